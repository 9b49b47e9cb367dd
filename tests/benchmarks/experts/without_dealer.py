"""One Switch-style layer of Switch-Base's sizes without a dealer: every layout, 8 to 128 experts, over
SecMoE's networks.

    python -m tests.benchmarks.experts.without_dealer                                    all of it
    python -m tests.benchmarks.experts.without_dealer --only points --experts 8,16 --tokens 1

From the repository root, in an environment with mpcc and its `test` extra. Every point is predicted; those
whose prediction takes no more than `--seconds`, and that this machine has memory for, are compiled and run
with both parties as processes and the network between them. It fails where bytes or rounds of a run are not
the predicted ones of its program. Finished points are kept in docs/two_party/experts.json; the page
beside it is written from them and from predictions of all the others.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mpcc.passes.experts.layout import ALL, DISPATCH, OUTER
from mpcc.runtime.report import merge_reports
from tests.benchmarks import kept
from tests.benchmarks.experts.__main__ import fits, listed
from tests.benchmarks.experts.layer import Layer
from tests.benchmarks.experts.layer_cost import NETWORKS, LayerCost, layer_costs
from tests.benchmarks.experts.points import EXPERTS, TOKENS, USUAL, Point
from tests.benchmarks.experts.predicted import Mixture
from tests.benchmarks.harness.measure import Watch
from tests.benchmarks.harness.results import Conditions
from tests.benchmarks.harness.sessions import run_sessions
from tests.benchmarks.pages import with_tables
from tests.benchmarks.rows import ROOT, Material
from tests.benchmarks.run import check, mpcc

WIDTH, ACTIVATIONS, LAYOUTS = 768, ("gelu", "relu"), (ALL, OUTER, DISPATCH)
FOLDER = ROOT / "docs/two_party"
KEPT, PAGE = "experts.json", "experts.md"


@dataclass(frozen=True)
class Run:
    """A point's sessions, one over each network: bytes that each party sends, rounds, offline and online;
    seconds offline and online by network; memory is the peak of each party; `error` as in `points`.
    """

    point: Point
    layout: str
    offline: tuple[int, int]
    online: tuple[int, int]
    rounds: tuple[int, int]
    seconds: dict[str, tuple[float, float]]
    memory: tuple[int, int]
    error: float
    conditions: Conditions

    @property
    def megabytes(self) -> float:
        return (sum(self.offline) + sum(self.online)) / 1e6


def points(experts: Sequence[int], tokens: Sequence[int], activations: Sequence[str]) -> list[Point]:
    return [
        Point(e, t, WIDTH, activation, layout, USUAL if layout == DISPATCH else 0.0)
        for e in experts
        for activation in activations
        for t in tokens
        for layout in LAYOUTS
    ]


def predicted(points: Sequence[Point]) -> dict[Point, LayerCost]:
    @cache
    def costs(experts: int, tokens: int, activation: str) -> dict[str, LayerCost]:
        layer = Layer(experts, WIDTH, activation)
        return layer_costs(Mixture(tokens, experts, 1, WIDTH, layer.hidden, activation), USUAL)

    return {p: costs(p.experts, p.tokens, p.activation)[p.layout] for p in points}


def measure(point: Point, folder: Path) -> Run:
    """In an empty folder."""
    watch = Watch()
    point.layer.write_weights(folder)
    material = point.layer.write(point.tokens, folder)
    program, lan = folder / "program", NETWORKS["LAN"]
    options = (*material.calibrate_options, *point.options, "--correlations", "two-party")
    mpcc("compile", material.model, "-o", program, *options, "--network", f"{lan.rtt_ms},{lan.mbit}")
    seconds, reports = {}, []
    for name, network in NETWORKS.items():
        (pair,) = run_sessions(program, material.input, network, 1, folder).reports
        report = merge_reports(*pair, 0.0, json.loads((program / "manifest.json").read_text())["predicted"])
        check(point.title, report, report["predicted"])
        seconds[name] = report["seconds"]["offline"], report["seconds"]["online"]
        reports.append(report)
    first = reports[0]
    chosen = json.loads((program / "experts.json").read_text())["layers"][0]["chosen"]
    offline, online = (first["bytes"][phase] for phase in ("offline", "online"))
    return Run(
        point,
        chosen["name"],
        (offline["party0"], offline["party1"]),
        (online["party0"], online["party1"]),
        (first["offline_rounds"], first["rounds"]),
        seconds,
        (first["memory"]["party0"], first["memory"]["party1"]),
        error(point, material, folder),
        watch.conditions(),
    )


def error(point: Point, material: Material, folder: Path) -> float:
    """The largest, as a share of the output's deviation; dropped tokens are expected to give 0."""
    session = onnxruntime.InferenceSession(material.model, providers=["CPUExecutionProvider"])
    with np.load(material.input) as inputs, np.load(folder / "y.npz") as outputs:
        x, secure = inputs["x"], outputs["y"]
    (plain,) = session.run(["y"], {"x": x})
    whole = point.layer.kept(x, point.slots or point.tokens, folder)
    return float(np.abs(secure - plain * whole[:, None]).max() / plain.std())


def read(path: Path) -> dict[Point, Run]:
    runs = []
    for entry in kept.read(path):
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in entry.items()}
        fields["point"], fields["conditions"] = Point(**entry["point"]), Conditions(**entry["conditions"])
        fields["seconds"] = {name: tuple(pair) for name, pair in entry["seconds"].items()}
        runs.append(Run(**fields))
    return {run.point: run for run in runs}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--experts", type=listed(int), default=EXPERTS, metavar="8,16", help="numbers of experts")
    add("--tokens", type=listed(int), default=TOKENS, metavar="1,128", help="numbers of tokens")
    add("--activations", type=listed(str), default=ACTIVATIONS, metavar="gelu,relu", help="of the experts")
    add(
        "--seconds",
        type=float,
        default=60.0,
        help="what is predicted to take longer is not run (default: 60)",
    )
    add("--again", action="store_true", help="measure finished points again")
    add("--only", choices=("points", "page"), help="only measure, or only write the page")
    options = parser.parse_args(arguments)
    runs = read(FOLDER / KEPT)
    if options.only != "page":
        wanted = points(options.experts, options.tokens, options.activations)
        measure_all([p for p in wanted if options.again or p not in runs], options.seconds, runs)
    if options.only != "points":
        from tests.benchmarks.experts.without_dealer_page import tables

        costs = predicted(points(EXPERTS, TOKENS, ACTIVATIONS))
        page = FOLDER / PAGE
        text = with_tables(page.read_text(encoding="utf-8"), tables(costs, runs))
        page.write_text(text, encoding="utf-8")


def measure_all(wanted: Sequence[Point], seconds: float, runs: dict[Point, Run]) -> None:
    """Those that take no longer and that memory is left for; keeps each."""
    for point, cost in predicted(wanted).items():
        if max(map(sum, cost.seconds.values())) <= seconds and fits(point):
            with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as folder:
                runs[point] = measure(point, Path(folder))
            kept.write(FOLDER / KEPT, [asdict(run) for run in runs.values()])
            tell(runs[point], cost)


def tell(run: Run, cost: LayerCost) -> None:
    seconds = ", ".join(f"{name} {sum(pair):.1f} s" for name, pair in run.seconds.items())
    print(
        f"{run.point.title}, {run.layout}: {run.megabytes:.1f} MB ({cost.megabytes:.1f} predicted for "
        f"{cost.layout}), {seconds}, error {run.error:.2%} of the deviation",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    main()
