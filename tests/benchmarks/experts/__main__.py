"""The scaling study of mixtures of experts: one Switch-style layer, 8 to 128 experts, every layout.

    python -m tests.benchmarks.experts --output docs                        all of it, into docs/
    python -m tests.benchmarks.experts --experts 8,16 --tokens 128 --width 256

From the repository root, in an environment with mpcc and its `test` extra. Every point compiles a layer with
random weights and runs dealer and both parties as processes; it fails where a run's rounds or bytes are not
the predicted ones. Finished points are kept in a file: an interrupted study goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from tests.benchmarks.experts.page import Study, tables, write_page
from tests.benchmarks.experts.plots import draw
from tests.benchmarks.experts.points import (
    EXPERTS,
    LAYOUTS,
    TOKENS,
    WIDTHS,
    Point,
    Results,
    measure,
    points,
    tell,
)
from tests.benchmarks.machine import available_memory
from tests.benchmarks.rows import ROOT

RESULTS = ROOT / "build/experts_scaling.json"


def run(wanted: Sequence[Point], results: Results, sessions: int) -> None:
    """Measure the points; those that this machine has no memory for are left out, with a word."""
    for layer, members in groupby(filter(fits, wanted), key=lambda point: point.layer):
        with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as name:
            weights = Path(name)
            layer.write_weights(weights)
            for tokens, row in groupby(members, key=lambda point: point.tokens):
                material = layer.write(tokens, weights)
                for point in row:
                    with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as folder:
                        results.add(measure(point, material, weights, sessions, Path(folder)))
                    tell(results.by_point[point])


def fits(point: Point) -> bool:
    needed, left = point.memory / 1e9, available_memory() / 1e9
    if needed > left:
        why = f"not run: memory: needs {needed:.0f} GB, {left:.0f} are left"
        print(f"{point.title}: {why}", file=sys.stderr, flush=True)
    return needed <= left


def listed(kind: Callable[[str], object]) -> Callable[[str], list[object]]:
    return lambda text: [kind(part) for part in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--experts", type=listed(int), default=EXPERTS, metavar="8,16", help="numbers of experts")
    add("--tokens", type=listed(int), default=TOKENS, metavar="1,128", help="numbers of tokens")
    add("--width", type=listed(int), default=WIDTHS, metavar="256", help="d; experts are 4 d wide inside")
    add("--layouts", type=listed(str), default=LAYOUTS, metavar="all,outer", help=f"of {', '.join(LAYOUTS)}")
    add("--sessions", type=int, default=3, help="runs of each program (default: 3)")
    add("--again", action="store_true", help="measure finished points again")
    add("--results", type=Path, default=RESULTS, metavar="FILE", help="where finished points are kept")
    add("--output", type=Path, metavar="FOLDER", help="write page and plots here; else print the tables")
    options = parser.parse_args(arguments)
    if unknown := set(options.layouts) - set(LAYOUTS):
        parser.error(f"no such layout: {', '.join(sorted(unknown))}")
    wanted = points(options.experts, options.tokens, options.width, options.layouts)
    results = Results(options.results)
    run([p for p in wanted if options.again or p not in results.by_point], results, options.sessions)
    study = Study(wanted, results)
    if options.output:
        write_page(study, options.output)
        draw(study, options.output / "images")
    else:
        print(tables(study))


if __name__ == "__main__":
    main()
