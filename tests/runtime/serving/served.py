"""A server process of the fake program, its log and metrics, and clients of it in this process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mpcc.runtime.arrays_file import Arrays
from mpcc.runtime.client import InferenceSession, Server
from mpcc.runtime.dealing.keeper import Water
from mpcc.runtime.handshake import Limits
from mpcc.runtime.program_folder import PartyFolder, load_party_folder
from mpcc.runtime.session import ExecutionResult, Progress
from mpcc.runtime.store.opening import open_or_create
from mpcc.runtime.store.store import Session, Store
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.transport.tls import Credentials, Security
from tests.runtime.fake_program import INPUT, WEIGHTS, FakeProgram, build_program, deal, execute

ROOT = Path(__file__).parents[3]
EXPECTED = INPUT * WEIGHTS.astype(np.int64)
BAR = 60.0  # seconds within which anything must have happened
SILENT_SECONDS = 60.0  # that a caller may say nothing, unless others wait
_SERVE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from mpcc.runtime.commands.serve import main
from mpcc.runtime.serving import door
from tests.runtime.fake_program import FakeProgram
door.HANDSHAKE_SECONDS = {SILENT_SECONDS}
sys.exit(main(sys.argv[1:], FakeProgram))
"""


class Served:
    """A program and its stores in a folder, and at most one server process at a time."""

    def __init__(self, folder: Path, certificates: Path, sessions: int = 8, source: str = "dealer") -> None:
        self.folder = folder
        self.certificates = certificates
        self.program = build_program(folder / "prog", source=source)
        if source == "dealer":
            deal(self.program, sessions, folder / "store")
        self._log = folder / "log.jsonl"
        self._process: subprocess.Popen[str] | None = None
        self._clients: list[InferenceSession] = []

    def start(self, *options: str, timeout: float = 60.0, expected: bool = True) -> None:
        """The server; when it is `expected` to come up, it listens when this returns."""
        self._log.unlink(missing_ok=True)
        command = [sys.executable, "-c", _SERVE, str(self.program / "party0"), "--listen", "127.0.0.1:0"]
        stores = ["--store", str(self.folder / "store/party0"), "--tls", str(self.certificates / "party0")]
        log = ["--log", str(self._log), "--status", "127.0.0.1:0", "--timeout", str(timeout)]
        self._process = subprocess.Popen(
            [*command, *stores, *log, *options],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        if expected:
            self.wait_for("listening")

    def log(self) -> list[dict[str, Any]]:
        """Of whole lines: the last one may be about to be written."""
        whole, _, _ = self.log_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def log_text(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def wait_for(self, event: str, count: int = 1, **values: object) -> dict[str, Any]:
        """The `count`th entry of the log with this event and these values."""
        end = time.monotonic() + BAR
        assert self._process is not None
        while time.monotonic() < end:
            ended = self._process.poll() is not None  # before it is looked for: it may be the last word
            found = [e for e in self.log() if e["event"] == event and values.items() <= e.items()]
            if len(found) >= count:
                return found[count - 1]
            assert not ended, self._process.communicate()[1]
            time.sleep(0.02)
        raise AssertionError(f"{event} never came: {self.log_text()}")

    @property
    def address(self) -> Address:
        return Address("localhost", int(self.wait_for("listening")["port"]))

    def security(self) -> Security:
        return Security(Credentials.load(self.certificates / "party1"))

    def folder_of(self, party: int) -> PartyFolder:
        return load_party_folder(self.program / f"party{party}")

    def store_of_client(self) -> Store:
        return open_or_create(self.folder_of(1), self.folder / "store/party1", None)

    def server(self, timeout: float = 60.0) -> Server:
        return Server(self.address, self.security(), Limits(timeout))

    def client(
        self, prepare: Callable[[PartyFolder], FakeProgram] = FakeProgram, timeout: float = 60.0
    ) -> InferenceSession:
        folder, store = self.folder_of(1), self.store_of_client()
        client = InferenceSession(self.server(timeout), folder, store, None, Water(0, 1), prepare)
        self._clients.append(client)
        return client

    def status(self, path: str, method: str = "GET") -> tuple[int, str]:
        """HTTP status and text of the status endpoint."""
        url = f"http://127.0.0.1:{self.wait_for('status')['port']}{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=BAR) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """Its value, 0 where there is none yet."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.status("/metrics")[1], re.M)
        return float(found[1]) if found else 0.0

    def threads(self) -> int:
        """Of the server's process."""
        assert self._process
        return len(os.listdir(f"/proc/{self._process.pid}/task"))

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self._process
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Exit code and stderr."""
        assert self._process
        _, text = self._process.communicate(timeout=BAR)
        code, self._process = self._process.returncode, None
        return code, text

    def close(self) -> None:
        """End what a failed test leaves running."""
        for client in self._clients:
            client.close()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


class Held(FakeProgram):
    """A client's program that begins its session, says so, and goes on when it may."""

    def __init__(self, folder: PartyFolder) -> None:
        super().__init__(folder)
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.execute = self._held

    def _held(
        self, channel: Channel, session: Session, inputs: Arrays | None, progress: Progress
    ) -> ExecutionResult:
        self.begun.set()
        assert self.may_go_on.wait(BAR)
        return execute(self.folder, channel, session, inputs, progress)


def ask(client: InferenceSession) -> np.ndarray:
    (answer,) = client.run(None, {"x": INPUT})
    return answer
