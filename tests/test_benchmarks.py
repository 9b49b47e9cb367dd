"""The benchmarks' command (docs/benchmarks.md) on one work, directly and through a relay."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks.harness import __main__ as harness


def test_the_command_measures_writes_page_and_plots_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = ["matmul", "--network", "loopback,lan", "--repeats", "1", "--only", "mpcc"]
    arguments = [*shape, "--output", str(tmp_path)]
    harness.main(arguments)
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| matmul")]
    assert len(rows) == 9  # the bars, loopback, LAN, offline, memory, four systems measured elsewhere
    for name in ("seconds", "peers", "predicted", "roofline"):
        ElementTree.parse(tmp_path / f"images/benchmarks-{name}.svg")

    def refuse(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(harness, "measure", refuse)
    harness.main(arguments)
    assert (tmp_path / "benchmarks.md").read_text(encoding="utf-8") == page
