"""Some cells of the matrix of faults, other ones each time, and some kills: the rest is in the slow tier."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.faults import matrix
from tests.faults.kills import Kills
from tests.faults.relay import Kind
from tests.faults.setting import Setting

CELLS = 5
KILLS = 4
WAITING = (Kind.HALF_OPEN, Kind.SLOW, Kind.DELAY_LONG)  # which last as long as the parties' patience


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_some_cells(tmp_path: Path, tls: bool) -> None:
    setting = Setting(tmp_path, CELLS + 5)  # the last ones are not offered alone: that is another error
    for case in Random().sample([c for c in matrix.cases(tls) if c.fault.kind not in WAITING], CELLS):
        matrix.run(setting, case)


def test_some_kills(tmp_path: Path) -> None:
    kills = Kills(Setting(tmp_path, 2 * KILLS + 2), Random())
    for number in range(KILLS):
        kills.run(number % 2)
