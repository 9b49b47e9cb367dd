"""All benchmarks, in one command, written into docs/benchmarks.md with plots.

    python -m tests.benchmarks.harness                                  every work, every network
    python -m tests.benchmarks.harness gelu bert-layer --network loopback,wan

From the repository root, in an environment with mpcc and its `test` extra. Every work is exported, compiled
and run by a dealer and two parties as processes, connected directly or through a relay that makes a network;
it fails where rounds or bytes of a run are not the predicted ones. SPU runs beside it where it can be
installed. Finished points are kept in benchmarks.json, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from tests.benchmarks.harness.beside import measure_spu
from tests.benchmarks.harness.measure import Compiled, compile_row, measure
from tests.benchmarks.harness.networks import LOOPBACK, NETWORKS
from tests.benchmarks.harness.page import write_pages
from tests.benchmarks.harness.plots import draw
from tests.benchmarks.harness.results import PeerResult, Result, Results
from tests.benchmarks.harness.roofline import Limits, measure_limits
from tests.benchmarks.machine import machine
from tests.benchmarks.peers import spu_work
from tests.benchmarks.peers.spu_environment import NotInstallable
from tests.benchmarks.rows import ALL_ROWS, ROOT, ROWS

REPEATS, SHAPED_REPEATS = 5, 3  # on loopback, and on shaped networks
SPU_REPEATS, SPU_LONG_REPEATS = 3, 1  # on loopback, and on shaped networks and of what takes minutes
SPU_MINUTES = ("bert-base", "minilm128", "gpt2-small")  # which is run on loopback only


class Run:
    """One call: what is wanted, and what there is already."""

    def __init__(self, options: argparse.Namespace, results: Results) -> None:
        self.options, self.results = options, results
        self.limits: Limits | None = None

    def mpcc(self, work: str) -> None:
        with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as folder:
            compiled = compile_row(ALL_ROWS[work], Path(folder))
            for network in self.options.network:
                if self.options.again or not self._known(work, network, compiled):
                    self.limits = self.limits or measure_limits()
                    repeats = self.options.repeats or (REPEATS if network == LOOPBACK else SHAPED_REPEATS)
                    self._keep([measure(work, compiled, network, repeats, self.limits)])

    def spu(self, work: str) -> None:
        """Raises NotInstallable."""
        for network in self.options.network:
            shaped, long = network != LOOPBACK, work in SPU_MINUTES
            if work not in spu_work.WORKS or (long and shaped):
                continue
            known = [r for key, r in self.results.peers.items() if key[:2] == (work, network)]
            if self.options.again or not any(r.conditions.machine == machine() for r in known):
                usual = SPU_LONG_REPEATS if long or shaped else SPU_REPEATS
                repeats = self.options.repeats or usual
                self._keep(measure_spu(work, network, repeats))

    def _known(self, work: str, network: str, compiled: Compiled) -> bool:
        known = self.results.mpcc.get((work, network))
        here = known and (known.program_hash, known.conditions.machine)
        return here == (compiled.program_hash, machine())

    def _keep(self, found: Sequence[Result | PeerResult]) -> None:
        self.results.add(found)
        for result in found:
            print(
                f"{result.work}, {result.network}, {result.system}: {result.median:.3f} s, "
                f"{result.megabytes:.2f} MB, {result.rounds} rounds, error {result.max_error:.2g}",
                file=sys.stderr,
                flush=True,
            )


def networks(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - NETWORKS.keys():
        raise argparse.ArgumentTypeError(f"no such network: {', '.join(sorted(unknown))}")
    return names


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("works", nargs="*", metavar="WORK", help=f"of {', '.join(ALL_ROWS)} (default: the first {len(ROWS)})")
    add("--network", type=networks, default=[*NETWORKS], help=f"of {','.join(NETWORKS)} (default: all)")
    add("--repeats", type=int, help=f"runs of each (default: {REPEATS}, shaped {SHAPED_REPEATS})")
    add("--again", action="store_true", help="measure finished points again")
    add("--only", choices=("mpcc", "spu", "page"), help="leave the others out; page: measure nothing")
    add("--output", type=Path, default=ROOT / "docs", metavar="FOLDER", help="of page, points and plots")
    options = parser.parse_args(arguments)
    if unknown := set(options.works) - ALL_ROWS.keys():
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    results = Results(options.output / "benchmarks.json")
    run, missing = Run(options, results), ""
    try:
        for work in options.works or ROWS:
            if options.only in (None, "mpcc"):
                run.mpcc(work)
            if options.only in (None, "spu") and not missing:
                try:
                    run.spu(work)
                except NotInstallable as error:
                    missing = str(error)
                    print(f"without SPU: {missing}", file=sys.stderr, flush=True)
    except MpccError as error:
        raise SystemExit(error.render()) from None
    write_pages(results, options.output)
    draw(results, options.output / "images")


if __name__ == "__main__":
    main()
