"""`mpcc run`: both parties, and the dealer if there is one, as processes on this machine: a demonstration."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpcc.runtime.arrays_file import Arrays, check_writable, read_inputs, write_outputs
from mpcc.runtime.events import Events
from mpcc.runtime.processes import Processes
from mpcc.runtime.program_folder import load_party_folder, load_program_folder
from mpcc.runtime.report import Report, merge_reports, write_report
from mpcc.runtime.transport.stream import DEFAULT_TIMEOUT

NOTICE = (
    "demonstration: both parties, and the dealer if there is one, run on this machine, which sees both "
    "shares; nothing is hidden from its owner"
)
DEALER_COMMAND = (sys.executable, "-m", "mpcc.runtime.commands.deal")


@dataclass(frozen=True)
class LocalRun:
    """`report` is R.json, `parties` are the reports of party 0 and 1 that it was made of; with several
    sessions, those of the session with the median online time.
    """

    outputs: Arrays
    report: Report
    parties: tuple[Report, Report]


def run_local(
    program: Path,
    input_path: Path,
    events: Events,
    *,
    output_path: Path | None = None,
    report_path: Path | None = None,
    sessions: int = 1,
    timeout: float = DEFAULT_TIMEOUT,
    profile: bool = False,
    dealer_command: Sequence[str] = DEALER_COMMAND,
) -> LocalRun:
    """Deal into a temporary store, then run the program on the input once per session; without a dealer the
    parties make the correlations of each run themselves.

    With `profile` the parties' reports have the spans of their online phase.
    Raises MpccError: problems of the program, the input or the outputs before anything starts, later what the
    processes report. No process and no file of the store is left behind.
    """
    whole = load_program_folder(program)
    owned = [load_party_folder(program / f"party{party}").inputs for party in (0, 1)]
    arrays = read_inputs(input_path, (*owned[0], *owned[1]))
    for path in (output_path, report_path):
        if path:
            check_writable(path)
    events.tell("notice", NOTICE)
    with tempfile.TemporaryDirectory(prefix="mpcc-run-") as name:
        folder = Path(name)
        inputs = []
        for party, specs in enumerate(owned):
            inputs.append(folder / f"input{party}.npz" if specs or party == 1 else None)
            if inputs[party]:
                np.savez(folder / f"input{party}.npz", **{spec.name: arrays[spec.name] for spec in specs})  # type: ignore[arg-type]
        store = None if whole.two_party else folder / "store"
        seconds = _deal(program, store, sessions, dealer_command, events) if store else 0.0
        runs = []
        for _ in range(sessions):
            parties = _run_parties(program, folder, store, inputs, timeout, profile, events)
            report = merge_reports(*parties, seconds / sessions, whole.manifest.get("predicted", {}))
            runs.append((report, parties))
        outputs = {}
        for party in (0, 1):
            with np.load(folder / f"output{party}.npz") as archive:
                outputs.update(archive)
    first = runs[0][0]["bytes"]["offline"]  # the weight differences are sent once for a store
    runs.sort(key=lambda run: float(run[0]["seconds"]["online"]))
    report, parties = runs[len(runs) // 2]
    report["bytes"]["offline"] = first
    if output_path:
        write_outputs(output_path, outputs)
    if report_path:
        write_report(report_path, report)
    return LocalRun(outputs, report, parties)


def _deal(program: Path, store: Path, sessions: int, command: Sequence[str], events: Events) -> float:
    arguments = [str(program), "-o", str(store), "--sessions", str(sessions), "--events"]
    with Processes(events) as processes:
        processes.start("dealer", [*command, *arguments])
        processes.wait_for_all()
        return float(processes.wait_for("dealer", "dealt")["seconds"])


def _run_parties(
    program: Path,
    folder: Path,
    store: Path | None,
    inputs: list[Path | None],
    timeout: float,
    profile: bool,
    events: Events,
) -> tuple[Report, Report]:
    reports = [folder / "party0.json", folder / "party1.json"]

    def command(party: int, *arguments: str) -> list[str]:
        run = [sys.executable, str(program / f"party{party}" / "run"), *arguments]
        given = inputs[party]
        return [
            *run,
            *(("--input", str(given)) if given else ()),
            "--output",
            str(folder / f"output{party}.npz"),
            *(("--store", str(store / f"party{party}")) if store else ()),
            "--report",
            str(reports[party]),
            "--timeout",
            str(timeout),
            *(("--profile",) if profile else ()),
            "--events",
        ]

    with Processes(events) as processes:
        processes.start("party 0", command(0, "--listen", "127.0.0.1:0"))
        port = processes.wait_for("party 0", "listening")["port"]
        processes.start("party 1", command(1, "--connect", f"127.0.0.1:{port}"))
        processes.wait_for_all()
    server, client_report = (json.loads(path.read_text()) for path in reports)
    return server, client_report
