"""Where tests with many stores put them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

RAM = Path("/dev/shm")  # where it costs nothing to make something durable


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    if not os.access(RAM, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=RAM) as name:
        yield Path(name)
