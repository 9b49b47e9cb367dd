"""Measures one work: compiled once, run over every network."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpcc.compiler.cost.report import cost_json
from mpcc.runtime.program_folder import load_program_folder
from mpcc.runtime.report import merge_reports
from tests.benchmarks.harness import peak
from tests.benchmarks.harness.networks import NETWORKS
from tests.benchmarks.harness.results import MPCC, Conditions, Result
from tests.benchmarks.harness.roofline import Limits
from tests.benchmarks.harness.sessions import run_sessions
from tests.benchmarks.machine import Others, commit, machine, processor
from tests.benchmarks.rows import Material, Row, call
from tests.benchmarks.run import check, largest_error


@dataclass(frozen=True)
class Compiled:
    """`memory` is the compiler's peak in bytes, `log` what it said of its phases."""

    material: Material
    program: Path
    program_hash: str
    seconds: float
    memory: int
    log: str


class Watch:
    """The conditions of what happens between its making and `conditions`."""

    def __init__(self) -> None:
        self._load, self._others = os.getloadavg()[0], Others.watch()

    def conditions(self) -> Conditions:
        return Conditions(machine(), processor(), commit(), self._load, self._others.cores())


def compile_row(row: Row, folder: Path) -> Compiled:
    """In an empty folder."""
    material, program = row.prepare(folder), folder / "program"
    started = time.perf_counter()
    log = call(
        *(peak.__name__, str(folder / "peak"), "mpcc.compiler.cli", "compile", str(material.model)),
        *("-o", str(program), *material.calibrate_options, *row.options),
    )
    seconds, memory = time.perf_counter() - started, int((folder / "peak").read_text())
    return Compiled(material, program, load_program_folder(program).program_hash, seconds, memory, log)


def measure(work: str, compiled: Compiled, network: str, repeats: int, limits: Limits) -> Result:
    """Fails when the cost is not the predicted one."""
    watch = Watch()
    shaped = NETWORKS[network]
    predicted = predict(compiled.program, network, limits)
    with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as name:
        folder = Path(name)
        run = run_sessions(compiled.program, compiled.material.input, shaped, repeats, folder)
        error = largest_error(compiled.material, folder / "y.npz")
    reports = [merge_reports(*pair, run.dealing_seconds, predicted) for pair in run.reports]
    first = reports[0]  # the set-up is sent once for a store
    check(work, first, predicted)
    online, offline = first["bytes"]["online"], first["bytes"]["offline"]
    reveal = next(kind for kind in predicted["operations"] if kind["name"] == "reveal")
    return Result(
        system=MPCC,
        work=work,
        network=network,
        program_hash=compiled.program_hash,
        seconds=tuple(report["seconds"]["online"] for report in reports),
        dealing_seconds=run.dealing_seconds,
        setup_seconds=first["seconds"]["offline"] - run.dealing_seconds,
        rounds=first["rounds"],
        bytes=(online["party0"], online["party1"]),
        reveal_rounds=reveal["rounds"],
        reveal_bytes=reveal["bytes"]["party0"] + reveal["bytes"]["party1"],
        dealt_bytes=offline["dealer_to_party0"] + offline["dealer_to_party1"],
        setup_bytes=offline["setup_party0_to_party1"],
        memory=(
            *(max(report["memory"][f"party{party}"] for report in reports) for party in (0, 1)),
            *(run.dealer_memory, compiled.memory),
        ),
        max_error=error,
        compile_seconds=compiled.seconds,
        predicted_wire=predicted["seconds"]["network"],
        predicted_compute=predicted["seconds"]["compute"],
        multiplications=predicted["multiplications"],
        limits=limits,
        conditions=watch.conditions(),
    )


def predict(program: Path, network: str, limits: Limits) -> dict[str, Any]:
    """What `mpcc cost --json` says of the network; of loopback as it was measured."""
    predicted: dict[str, Any] = json.loads(cost_json(program, NETWORKS[network] or limits.loopback))
    return predicted
