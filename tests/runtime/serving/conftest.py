"""A served program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.serving.served import Served


@pytest.fixture
def served(tmp_path: Path, certificates: Path) -> Iterator[Served]:
    made = Served(tmp_path, certificates)
    try:
        yield made
    finally:
        made.close()
