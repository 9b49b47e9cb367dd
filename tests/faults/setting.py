"""A program, its stores and certificates in a scratch folder, and runs of it with a fault in between."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpcc.runtime.store.index import INDEX_NAME
from mpcc.runtime.transport.certificates import make_certificates
from tests.faults.processes import Running, start
from tests.faults.relay import WAITED_OUT, Fault, Relay
from tests.faults.works import Work, small

TIMEOUT = 2.0  # seconds of silence after which a side is taken for lost, where it may be for another reason
WAITING = 5.0  # the same where a fault is waited out
UNDISTURBED = 20.0  # the same where none is: machines may be busy
BAR = 60.0  # seconds within which both sides must have ended
DELAY = (0.3, 10.0)  # seconds: within the parties' patience, and beyond


@dataclass(frozen=True)
class Outcome:
    """`done`, `killed` or the error code of each party, and whether there is an answer (which is right)."""

    server: str
    client: str
    answered: bool
    seconds: float


class Setting:
    """Runs of one program on one pair of stores. Every run has an output file of its own."""

    def __init__(self, scratch: Path, sessions: int, make: Callable[[Path], Work] = small) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self.scratch = scratch
        self.work = make(scratch)
        self.store = scratch / "store"
        self.work.deal(self.work.program, sessions, self.store)
        np.savez(scratch / "x.npz", **self.work.inputs)  # type: ignore[arg-type]
        self.certificates = scratch / "certificates"
        make_certificates(self.certificates, ["localhost"], 1)
        self.audit = scratch / "audit"
        self.audit.touch()
        self._numbers = itertools.count()

    def serve(self, name: str, *options: str, tls: bool = False) -> tuple[Running, int]:
        """Party 0 for one client, and the port it listens on."""
        server = self._start(name, 0, "--listen", "127.0.0.1:0", *options, tls=tls)
        return server, int(server.wait_for("listening on port").split()[-1])

    def ask(self, name: str, port: int, *options: str, tls: bool = False) -> Running:
        """Party 1."""
        files = ("--input", str(self.scratch / "x.npz"), "--output", str(self.output(name)))
        return self._start(name, 1, "--connect", f"localhost:{port}", *files, *options, tls=tls)

    def output(self, name: str) -> Path:
        return self.scratch / f"{name}.npz"

    def new_name(self) -> str:
        return f"run{next(self._numbers)}"

    def run(self, fault: Fault | None = None, tls: bool = False) -> Outcome:
        """One run with a fault between the parties, or without."""
        name = self.new_name()
        patience = WAITING if fault and fault.kind in WAITED_OUT else UNDISTURBED
        # the server is patient until the client is there; then both are as the more impatient one
        server, port = self.serve(name, "--timeout", str(UNDISTURBED), tls=tls)
        started = time.monotonic()
        with Relay(port, fault, DELAY) as relay:
            client = self.ask(name, relay.port, "--timeout", str(patience), tls=tls)
            codes = server.outcome(BAR), client.outcome(BAR)
            seconds = time.monotonic() - started
            assert fault is None or relay.met.is_set(), f"{fault} never happened: {codes}"
        return Outcome(*codes, self.answered(name), seconds)

    def answered(self, name: str) -> bool:
        """Whether a run wrote its answer. Fails when that is wrong, or only part of a file is there."""
        if not self.output(name).exists():
            return False
        with np.load(self.output(name)) as archive:
            assert np.allclose(archive["y"], self.work.answer, 0, self.work.tolerance), "a wrong answer"
        return True

    def opened(self) -> list[str]:
        """The correlation sessions that processes have opened, one line each: party and id."""
        return self.audit.read_text().split("\n")[:-1]

    def states(self, party: int) -> dict[bytes, str]:
        """Of the sessions in a party's store, after what a killed process began is taken back."""
        path = self.store / f"party{party}" / INDEX_NAME
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as database:
            return dict(database.execute("SELECT id, state FROM sessions"))

    def _start(self, name: str, party: int, *arguments: str, tls: bool) -> Running:
        options = ["--store", str(self.store / f"party{party}"), "--timeout", str(TIMEOUT)]
        if tls:
            options += ["--tls", str(self.certificates / f"party{party}")]
        folder = self.work.program / f"party{party}"
        log = self.scratch / f"{name}.{party}"
        return start(log, self.work.party, folder, [*options, *arguments], audit=self.audit)
