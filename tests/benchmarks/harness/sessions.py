"""Sessions of a program: the dealer, if there is one, and both parties as processes, with a network between
the parties.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpcc.compiler.cost.network import Network
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.processes import Processes
from mpcc.runtime.program_folder import load_program_folder
from mpcc.runtime.report import Report
from tests.benchmarks.harness import peak
from tests.benchmarks.harness.relay import relay

TIMEOUT = 600  # seconds that a party waits for the other, which may have gigabytes to send


@dataclass(frozen=True)
class Sessions:
    """Reports of party 0 and 1 by session; `dealing_seconds` are one's, `dealer_memory` is in bytes, both 0
    without a dealer.
    """

    reports: tuple[tuple[Report, Report], ...]
    dealing_seconds: float
    dealer_memory: int


class Quiet:
    """Processes report to nobody; what fails is raised all the same."""

    def tell(self, event: str, text: str, **values: Any) -> None: ...

    def progress(self, phase: str, done: int, total: int) -> None: ...

    def failed(self, error: MpccError) -> None: ...


def run_sessions(program: Path, inputs: Path, network: Network | None, count: int, folder: Path) -> Sessions:
    """Deal into an empty folder, then run the program `count` times on the client's inputs. Writes y.npz.

    The set-up of the first session is sent over the network too, and without a dealer all that makes a
    session. Raises what the processes report.
    """
    if load_program_folder(program).two_party:
        return Sessions(tuple(_session(program, inputs, network, folder, None) for _ in range(count)), 0.0, 0)
    store = folder / "store"
    dealer = [*peak.command(folder / "peak", "mpcc.runtime.commands.deal"), str(program), "-o", str(store)]
    with Processes(Quiet()) as processes:
        processes.start("dealer", [*dealer, "--sessions", str(count), "--events"])
        processes.wait_for_all()
        seconds = float(processes.wait_for("dealer", "dealt")["seconds"])
    reports = tuple(_session(program, inputs, network, folder, store) for _ in range(count))
    return Sessions(reports, seconds / count, int((folder / "peak").read_text()))


def _session(
    program: Path, inputs: Path, network: Network | None, folder: Path, store: Path | None
) -> tuple[Report, Report]:
    def command(party: int, *arguments: str) -> list[str]:
        stored = ("--store", store / f"party{party}") if store else ()
        options = (*stored, "--report", folder / f"{party}.json")
        return [
            *(sys.executable, str(program / f"party{party}/run"), *arguments, *map(str, options)),
            *("--timeout", str(TIMEOUT), "--events"),
        ]

    with ExitStack() as stack:
        processes = stack.enter_context(Processes(Quiet()))
        processes.start("party 0", command(0, "--listen", "127.0.0.1:0"))
        port = processes.wait_for("party 0", "listening")["port"]
        if network:
            port = stack.enter_context(relay(network, {0: port}))[0]
        client = ("--connect", f"127.0.0.1:{port}", "--input", str(inputs), "--output", str(folder / "y.npz"))
        processes.start("party 1", command(1, *client))
        processes.wait_for_all()
    server, asked = (json.loads((folder / f"{party}.json").read_text()) for party in (0, 1))
    return server, asked
