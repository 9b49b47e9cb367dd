"""Works without a dealer, beside SPU's CHEETAH in the same call: seconds, CPU seconds, bytes and memory.

    python -m tests.benchmarks.without_dealer                            everything on the page
    python -m tests.benchmarks.without_dealer gelu softmax --only mpcc   these alone
    MPCC_THREADS=2 python -m tests.benchmarks.without_dealer matmul      with two threads a party

From the repository root, in an environment with mpcc and its `test` extra. Both parties are processes on this
machine, over loopback; every run makes its own correlations. It fails where bytes or rounds are not the
predicted ones. Finished points are kept in docs/two_party/benchmarks.json, the page is written from them.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mpcc.compiler.text import table
from tests.benchmarks import kept
from tests.benchmarks.harness.beside import measure_spu
from tests.benchmarks.harness.measure import Watch
from tests.benchmarks.harness.results import Conditions, PeerResult
from tests.benchmarks.peers.spu_environment import NotInstallable
from tests.benchmarks.rows import ROOT, ROWS, Row
from tests.benchmarks.run import TIMEOUT, check, largest_error, mpcc

WORKS = ("gelu", "softmax", "matmul", "layernorm", "minilm32", "bert-layer")
PROTOCOL = "CHEETAH"
TWO_PARTY = ("--correlations", "two-party")
FOLDER = ROOT / "docs/two_party"
POINTS, PAGE = "benchmarks.json", "benchmarks.md"
# What the project set out for, of CHEETAH's published seconds and megabytes.
BARS = {"gelu": (7.27, 159.0), "softmax": (3.6, 104.3), "matmul": (8.6, 14.5), "minilm32": (30.25, 450.0)}


@dataclass(frozen=True)
class Point:
    """A work's runs. Seconds offline and online are every run's, and so are CPU seconds, user's and system's
    of all of mpcc's processes from their start; bytes are what each party sends, offline and online; memory
    is the peak of each party in bytes.
    """

    system: str
    work: str
    offline_seconds: tuple[float, ...]
    online_seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    offline_bytes: tuple[int, int]
    online_bytes: tuple[int, int]
    rounds: tuple[int, int]
    memory: tuple[int, int]
    max_error: float
    conditions: Conditions

    @property
    def seconds(self) -> float:
        """The median of offline and online together."""
        pairs = zip(self.offline_seconds, self.online_seconds, strict=True)
        return statistics.median(map(sum, pairs))

    @property
    def megabytes(self) -> float:
        return (sum(self.offline_bytes) + sum(self.online_bytes)) / 1e6


def measure(work: str, row: Row, repeats: int) -> Point:
    """Compiles once. Fails when bytes or rounds are not the predicted ones."""
    watch, reports, cpu = Watch(), [], []
    with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as name:
        folder = Path(name)
        material = row.prepare(folder)
        program, output, report = folder / "program", folder / "y.npz", folder / "r.json"
        options = (*material.calibrate_options, *row.options, *TWO_PARTY)
        mpcc("compile", material.model, "-o", program, *options)
        for _ in range(repeats):
            files = ("--input", material.input, "--output", output, "--report", report)
            before = _cpu_seconds()
            mpcc("run", program, *files, "--timeout", TIMEOUT)
            cpu.append(_cpu_seconds() - before)
            reports.append(json.loads(report.read_text()))
            check(row.title, reports[-1], reports[-1]["predicted"])
        error = largest_error(material, output)
    first = reports[0]
    return Point(
        "mpcc",
        work,
        tuple(r["seconds"]["offline"] for r in reports),
        tuple(r["seconds"]["online"] for r in reports),
        tuple(cpu),
        _both(first["bytes"]["offline"]),
        _both(first["bytes"]["online"]),
        (first["offline_rounds"], first["rounds"]),
        _both({who: max(r["memory"][who] for r in reports) for who in first["memory"]}),
        error,
        watch.conditions(),
    )


def _cpu_seconds() -> float:
    """Of processes that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def of_peer(found: PeerResult) -> Point:
    """All of it is online; its CPU seconds are not measured."""
    none = (0.0,) * len(found.seconds)
    first, second = found.bytes
    memory = (found.memory[0], found.memory[1])
    rounds = (0, found.rounds or 0)
    return Point(
        found.system,
        found.work,
        none,
        found.seconds,
        (),
        (0, 0),
        (first, second),
        rounds,
        memory,
        found.max_error,
        found.conditions,
    )


def _both(entry: dict[str, Any]) -> tuple[int, int]:
    return entry["party0"], entry["party1"]


def read(path: Path) -> dict[tuple[str, str], Point]:
    """By work and system."""
    points = []
    for entry in kept.read(path):
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
        points.append(Point(**{**fields, "conditions": Conditions(**entry["conditions"])}))
    return {(p.work, p.system): p for p in points}


def page(points: dict[tuple[str, str], Point]) -> str:
    """The tables, and on what they were measured."""
    rows = [_row(points[key]) for key in sorted(points, key=lambda k: (WORKS.index(k[0]), k[1]))]
    here = "; ".join(sorted({p.conditions.machine for p in points.values()}))
    processors = "; ".join(sorted({p.conditions.processor for p in points.values()}))
    commits = ", ".join(sorted({p.conditions.commit for p in points.values() if p.system == "mpcc"}))
    return TEXT.format(table=table(HEAD, rows), machine=here, processor=processors, commits=commits)


def _row(p: Point) -> tuple[object, ...]:
    seconds, megabytes = f"{p.seconds:.2f}", f"{p.megabytes:.1f}"
    if p.system == "mpcc" and p.work in BARS:
        seconds, megabytes = f"{seconds} ({BARS[p.work][0]:g})", f"{megabytes} ({BARS[p.work][1]:g})"
    return (
        ROWS[p.work].title,
        p.system,
        seconds,
        f"{statistics.median(p.online_seconds):.2f}",
        f"{statistics.median(p.cpu_seconds):.2f}" if p.cpu_seconds else "",
        megabytes,
        f"{sum(p.online_bytes) / 1e6:.1f}",
        sum(p.rounds),
        f"{max(p.memory) / 1e6:.0f}",
        f"{p.max_error:.2g}",
    )


HEAD = (
    *("work", "system", "s", "of it online", "CPU s", "MB", "of it online"),
    *("rounds", "MB of memory", "error"),
)
TEXT = """# Without a dealer: seconds and bytes

Written by `python -m tests.benchmarks.without_dealer`. Offline and online together, both parties as processes
on one machine over loopback, four cores for both, the median of the runs; every run makes its own
correlations, base OTs and keys included. CPU seconds, user's and system's, are of all of mpcc's processes
from their start; they depend little on what else the machine does. MB: what both parties send. In brackets
what was asked for: a third of CHEETAH's seconds and bytes in the project's reference for GeLU and softmax, a
third of the seconds and half the bytes for the matrix product, a quarter and half for MiniLM. Bytes and
rounds are exact and were predicted by the compiler.

{table}

CHEETAH is SPU 0.9.5's protocol of two parties that trust nobody (Huang et al., USENIX Security 2022), with
the weights declared as the server's, which halves its matrix products. All of its work is online.

Machine: {machine}; {processor}. mpcc at {commits}.
"""


def points_of(work: str, only: str | None, repeats: int) -> Iterator[Point]:
    """Raises NotInstallable."""
    if only in (None, "mpcc"):
        yield measure(work, ROWS[work], repeats)
    if only in (None, "spu"):
        yield from map(of_peer, measure_spu(work, "loopback", repeats, PROTOCOL))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)} (default: all)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--only", choices=("mpcc", "spu", "page"), help="page: measure nothing")
    options = parser.parse_args(arguments)
    if unknown := set(options.works) - set(WORKS):
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    points = read(FOLDER / POINTS)
    for work in (options.works or WORKS) if options.only != "page" else ():
        try:
            for point in points_of(work, options.only, options.repeats):
                points[point.work, point.system] = point
                kept.write(FOLDER / POINTS, [asdict(p) for p in points.values()])
                cells = [f"{name} {cell}" for name, cell in zip(HEAD, _row(point), strict=True)]
                print(", ".join(cells), f"on {point.conditions.machine}", file=sys.stderr, flush=True)
        except NotInstallable as missing:
            print(f"without SPU: {missing}", file=sys.stderr, flush=True)
    (FOLDER / PAGE).write_text(page(points), encoding="utf-8")


if __name__ == "__main__":
    main()
