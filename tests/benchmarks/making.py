"""What a run costs whose two parties make their correlations themselves: seconds, CPU, bytes and memory.

    python tests/benchmarks/making.py                   GeLU, softmax, a matrix product and MiniLM
    python tests/benchmarks/making.py gelu softmax      these alone
    MPCC_THREADS=2 python tests/benchmarks/making.py    with two threads a party

Seconds are those of making the correlations and of the online phase, without the start of the processes; CPU
seconds, of user and system, are those of all processes of `mpcc run`, which do not depend on what else the
machine does. Bytes are what both parties send, memory is the larger party's. Fails when rounds or bytes are
not the predicted ones.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.rows import ALL_ROWS
from tests.benchmarks.run import TIMEOUT, check, mpcc

SEGMENTS = ("--gelu", "segments", "--max-error", "0.02")
WORKS: dict[str, tuple[str, ...]] = {
    "gelu": SEGMENTS,
    "softmax": ("--max-error", "0.02"),
    "matmul": (),
    "minilm32": (),
}
COLUMNS = ("", "offline s", "online s", "user s", "system s", "offline MB", "online MB", "memory MB")


def measured(name: str, options: Sequence[str], folder: Path) -> list[str]:
    """A row of the table."""
    material = ALL_ROWS[name].prepare(folder)
    program, report = folder / "program", folder / "r.json"
    how = ("--correlations", "two-party", *options)
    mpcc("compile", material.model, "-o", program, *material.calibrate_options, *how)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    mpcc("run", program, "--input", material.input, "--report", report, "--timeout", TIMEOUT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    r = json.loads(report.read_text())
    check(name, r, r["predicted"])
    numbers = [r["seconds"]["offline"], r["seconds"]["online"]]
    numbers += [after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime]
    numbers += [sum(r["bytes"][phase].values()) / 1e6 for phase in ("offline", "online")]
    memory = max(r["memory"].values()) / 1e6
    return [name, *(f"{number:.2f}" for number in numbers), f"{memory:.0f}"]


def main(names: Sequence[str]) -> None:
    load = f"load {os.getloadavg()[0]:.1f} before"
    table = Table(title=f"{os.cpu_count()} cores for both parties, {load}")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column else "left")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            table.add_row(*measured(name, WORKS[name], Path(folder)))
    Console(width=110).print(table)


if __name__ == "__main__":
    main(sys.argv[1:] or list(WORKS))
