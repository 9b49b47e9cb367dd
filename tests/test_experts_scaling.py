"""The scaling study's command (docs/experts_scaling.md) on one tiny layer."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mpcc.passes.experts.layout import ALL, DISPATCH, OUTER
from tests.benchmarks import kept
from tests.benchmarks.experts import __main__ as study
from tests.benchmarks.experts import without_dealer
from tests.benchmarks.experts.layer_cost import layer_costs
from tests.benchmarks.experts.points import USUAL, Point, points
from tests.benchmarks.experts.predicted import Mixture
from tests.benchmarks.experts.without_dealer import Run
from tests.benchmarks.experts.without_dealer_page import layer_table
from tests.benchmarks.harness.results import Conditions


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


@pytest.mark.slow
def test_without_a_dealer_points_are_kept_and_shown_beside_predictions(tmp_path: Path) -> None:
    costs = {
        Point(8, 16, 64, "relu", kind, USUAL if kind == DISPATCH else 0.0): cost
        for kind, cost in layer_costs(Mixture(16, 8, 1, 64, 256, "relu"), USUAL).items()
    }
    by_kind = {point.layout: cost for point, cost in costs.items()}
    assert by_kind.keys() == {ALL, OUTER, DISPATCH}
    assert by_kind[OUTER].megabytes < by_kind[ALL].megabytes
    (point,) = (p for p in costs if p.layout == OUTER)
    conditions = Conditions("machine", "processor", "commit", 1.0, 0.5)
    seconds = {"LAN": (1.0, 0.5), "WAN": (2.0, 1.0)}
    sent = ((10**6, 2 * 10**6), (10**5, 10**5))
    run = Run(point, "outer (in, in)", *sent, (9, 8), seconds, (1, 1), 0.01, conditions)
    kept.write(tmp_path / "kept.json", [asdict(run)])
    assert without_dealer.read(tmp_path / "kept.json") == {point: run}
    rows = layer_table(costs, {point: run}).splitlines()
    (shown,) = (row for row in rows if "outer" in row)
    assert all(text in shown for text in ("3.2", "| measured", "1.00 %"))
    assert sum("| predicted" in row and "measured" not in row for row in rows[2:]) == 2
