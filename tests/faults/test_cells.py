"""More of the matrix of faults: every kind of fault, on plain connections and on TLS."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.faults import matrix
from tests.faults.relay import Kind
from tests.faults.setting import Setting

OF_EACH = 2


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", list(Kind))
def test_cells(tmp_path: Path, kind: Kind, tls: bool) -> None:
    setting = Setting(tmp_path, OF_EACH + 5)  # the last ones are not offered alone: that is another error
    for case in Random().sample([c for c in matrix.cases(tls) if c.fault.kind is kind], OF_EACH):
        matrix.run(setting, case)
    opened = setting.opened()
    assert len(opened) == len(set(opened)), "a session was opened twice"
