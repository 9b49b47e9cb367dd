"""The scaling study's command (docs/experts_scaling.md) on one tiny layer."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from mpcc.passes.experts.layout import DISPATCH, OUTER
from tests.benchmarks.experts import __main__ as study
from tests.benchmarks.experts.points import points


def test_it_measures_writes_page_and_plots_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = ("--experts", "8", "--tokens", "4", "--width", "16", "--layouts", DISPATCH)
    arguments = [*layer, "--sessions", "1", "--results", str(tmp_path / "results.json")]
    study.main([*arguments, "--output", str(tmp_path)])
    page = (tmp_path / "experts_scaling.md").read_text(encoding="utf-8")
    assert "1 of 1 points were measured" in page
    (row,) = (line for line in page.splitlines() if "`dispatch (1 slots)`, 2x" in line)
    for name in ("experts_bytes", "experts_seconds"):
        plot = ElementTree.parse(tmp_path / f"images/{name}.svg")
        assert "dispatch, 2x slots" in {"".join(text.itertext()) for text in plot.iterfind(".//{*}text")}

    def refuse(*_: object) -> None:
        raise AssertionError("measured again")

    capsys.readouterr()
    monkeypatch.setattr(study, "measure", refuse)
    study.main(arguments)
    assert row in capsys.readouterr().out


def test_equal_slots_are_measured_once() -> None:
    found = points([128], [1, 128], [256], [OUTER, DISPATCH])
    assert [(p.tokens, p.factor, p.slots) for p in found if p.layout == DISPATCH] == [
        (1, 2.0, 1),
        (128, 2.0, 2),
        (128, 4.0, 4),
        (128, 8.0, 8),
    ]
    assert [p.tokens for p in found if p.layout == OUTER] == [1, 128]
