"""How everything grows with tokens, layers and width: compiling, dealing, set-up, running, memory.

    python -m tests.benchmarks.scaling                     every axis, into docs/scaling.md with plots
    python -m tests.benchmarks.scaling --axis tokens

From the repository root, in an environment with mpcc and its `test` extra. Every point exports a BERT-shaped
encoder with random weights, compiles it and runs a dealer and two parties as processes; it fails where rounds
or bytes of a run are not the predicted ones. Finished points are kept in docs/scaling.json: an interrupted
study goes on where it was.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.rows import ROOT
from tests.benchmarks.scaling.page import write_page
from tests.benchmarks.scaling.plots import draw
from tests.benchmarks.scaling.points import AXES, Results, measure, tell

SESSIONS = 5


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--axis", action="append", choices=AXES, help="this one only; may be given again")
    add("--sessions", type=int, default=SESSIONS, help=f"runs of each program (default: {SESSIONS})")
    add("--again", action="store_true", help="measure finished points again")
    add("--output", type=Path, default=ROOT / "docs", metavar="FOLDER", help="of page, points and plots")
    options = parser.parse_args(arguments)
    results = Results(options.output / "scaling.json")
    wanted = dict.fromkeys(encoder for axis in options.axis or AXES for encoder in AXES[axis])
    for encoder in wanted:
        if options.again or encoder not in results.by_encoder:
            with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as folder:
                results.add(measure(encoder, options.sessions, Path(folder)))
            tell(results.by_encoder[encoder])
    write_page(results, options.output)
    draw(results, options.output / "images")


if __name__ == "__main__":
    main()
