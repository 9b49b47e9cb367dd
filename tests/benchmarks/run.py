"""Compiles a model and runs it with `mpcc run`: what it costs and how far it is from onnxruntime.

Seconds are the median of the sessions; bytes and rounds are the same in all of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mpcc.runtime.report import EXACT
from tests.benchmarks.rows import Material, Row, call

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
    mpcc("compile", material.model, "-o", folder / "program", *material.calibrate_options, *options)
    files = ("--input", material.input, "--output", folder / "y.npz", "--report", folder / "r.json")
    mpcc("run", folder / "program", *files, "--sessions", sessions, "--timeout", TIMEOUT)
    report: dict[str, Any] = json.loads((folder / "r.json").read_text())
    check(title, report, report["predicted"])
    return report


def check(title: str, measured: dict[str, Any], predicted: dict[str, Any]) -> None:
    """Raises SystemExit where rounds or bytes differ."""
    for name in EXACT:
        found, expected = measured.get(name), predicted.get(name)
        if found != expected:
            raise SystemExit(f"{title}: {name}: measured {found}, predicted {expected}")


def largest_error(material: Material, outputs: Path) -> float:
    session = onnxruntime.InferenceSession(material.model, providers=["CPUExecutionProvider"])
    with np.load(material.input) as inputs, np.load(outputs) as secure:
        names = list(secure.files)
        plain = session.run(names, dict(inputs))
        return max(float(np.abs(secure[n] - p).max()) for n, p in zip(names, plain, strict=True))
