"""The README's benchmark table: compiles each model, runs the dealer and both parties as processes, prints
Markdown.

    python -m tests.benchmarks.run digits minilm32 minilm128
    python -m tests.benchmarks.run                               all rows

From the repository root, in an environment with mpcc; rows that export a model need its `examples` extra.
Seconds are the median of the sessions; bytes and rounds are the same in all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mpcc.runtime import kernels
from tests.benchmarks.rows import ROWS, Material, Row, call

TIMEOUT = 600  # seconds that a party waits for the other, which may have gigabytes to read


@dataclass(frozen=True)
class Measured:
    seconds: float
    rounds: int
    bytes_party0: int
    bytes_party1: int
    dealt_bytes: int
    setup_bytes: int
    max_error: float

    @property
    def megabytes(self) -> float:
        return (self.bytes_party0 + self.bytes_party1) / 1e6


def mpcc(*arguments: object) -> None:
    call("mpcc.compiler.cli", *map(str, arguments))


def measure(row: Row, sessions: int, folder: Path) -> Measured:
    """Compile and run a row in an empty folder. Fails when the cost is not the predicted one."""
    material = row.prepare(folder)
    report = secure_run(row.title, material, row.options, sessions, folder)
    online, offline = report["bytes"]["online"], report["bytes"]["offline"]
    return Measured(
        report["seconds"]["online"],
        report["rounds"],
        online["party0"],
        online["party1"],
        offline["dealer_to_party0"] + offline["dealer_to_party1"],
        offline["setup_party0_to_party1"],
        largest_error(material, folder / "y.npz"),
    )


def secure_run(
    title: str, material: Material, options: Sequence[str], sessions: int, folder: Path
) -> dict[str, Any]:
    """Writes program/ and y.npz into the folder; the report. Fails when the cost is not the predicted one."""
    calibration = [word for path in material.calibration for word in ("--calibrate", path)]
    mpcc("compile", material.model, "-o", folder / "program", *calibration, *options)
    files = ("--input", material.input, "--output", folder / "y.npz", "--report", folder / "r.json")
    mpcc("run", folder / "program", *files, "--sessions", sessions, "--timeout", TIMEOUT)
    report: dict[str, Any] = json.loads((folder / "r.json").read_text())
    measured = {name: report[name] for name in ("rounds", "bytes")}
    predicted = {name: report["predicted"][name] for name in measured}
    if measured != predicted:
        raise SystemExit(f"{title}: measured {measured}, predicted {predicted}")
    return report


def largest_error(material: Material, outputs: Path) -> float:
    session = onnxruntime.InferenceSession(material.model, providers=["CPUExecutionProvider"])
    with np.load(material.input) as inputs, np.load(outputs) as secure:
        names = list(secure.files)
        plain = session.run(names, dict(inputs))
        return max(float(np.abs(secure[n] - p).max()) for n, p in zip(names, plain, strict=True))


def lines(row: Row, ours: Measured) -> list[str]:
    """The row of mpcc, and one for each peer with how many times as much it needs."""
    each_way = f"{ours.bytes_party0 / 1e6:.2f} + {ours.bytes_party1 / 1e6:.2f}"
    offline = f"{ours.dealt_bytes / 1e6:.1f} + {ours.setup_bytes / 1e6:.1f}"
    largest = f"{ours.max_error:.2g}"
    cells = (row.title, "mpcc", f"{ours.seconds:.2f}", each_way, ours.rounds, offline, largest)
    table = [f"| {' | '.join(map(str, cells))} |"]
    for peer in row.peers:
        seconds = f"{peer.seconds:g} ({peer.seconds / ours.seconds:.1f}x)"
        sent = f"{peer.megabytes:g} ({peer.megabytes / ours.megabytes:.1f}x)"
        rounds = f"{peer.rounds} ({peer.rounds / ours.rounds:.1f}x)" if peer.rounds else ""
        table.append(f"| | {peer.name} | {seconds} | {sent} | {rounds} | | {peer.max_error:g} |")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure the rows of the README's benchmark table.")
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)} (default: all)")
    parser.add_argument("--sessions", type=int, default=5, help="runs of each row (default: 5)")
    options = parser.parse_args(arguments)
    unknown = set(options.rows) - ROWS.keys()
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    print(f"{os.cpu_count()} cores, {kernels.isa()}; both parties and the dealer on this machine, loopback\n")
    print(
        "| work | system | online s | online MB, server + client | rounds | dealt + set-up MB | max error |"
    )
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    for name in options.rows or ROWS:
        with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as folder:
            print(
                "\n".join(lines(ROWS[name], measure(ROWS[name], options.sessions, Path(folder)))), flush=True
            )


if __name__ == "__main__":
    main()
