"""The two party executables as processes, and what a test may ask of them afterwards."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PATIENT = 200.0  # seconds to wait for what comes: starting a party takes many on a busy machine
BRIEF = 8.0  # where the other one falls silent
BAR = 100.0  # seconds within which every side must have ended: less than whoever waits in vain would take


@dataclass
class PartyProcess:
    """A running party; `lines` is what it has said on stderr so far."""

    process: subprocess.Popen[bytes]
    lines: list[str] = field(default_factory=list)

    def wait_for(self, text: str) -> str:
        """Read up to a line with `text`, and return it."""
        assert self.process.stderr
        for line in map(bytes.decode, self.process.stderr):
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came: {self.lines}")

    def end(self) -> tuple[int, str]:
        """Exit code and stderr; fails when the party is not done within the bar."""
        _, rest = self.process.communicate(timeout=BAR)
        return self.process.returncode, "".join([*self.lines, rest.decode()])

    def error(self) -> str:
        """The only error code of a party that must have failed, without a traceback."""
        returncode, text = self.end()
        assert "Traceback" not in text
        codes = re.findall(r"error\[(MPC-[A-Z]\d{3})\]", text)
        assert (returncode, len(codes)) == (1, 1), text
        return str(codes[0])


class Parties:
    """Starts the executables of a program folder in a scratch folder with store/, x.npz and y.npz."""

    def __init__(self, scratch: Path, program: Path, launcher: Sequence[str] = ()) -> None:
        """`launcher` is what Python is given before the executable."""
        self.scratch = scratch
        self._launcher = launcher
        self.program = program
        self._started: list[subprocess.Popen[bytes]] = []

    def serve(self, *options: str, address: str = "127.0.0.1:0") -> tuple[PartyProcess, int]:
        """Party 0, and the port it listens on."""
        server = self.start_server(*options, address=address)
        return server, int(server.wait_for("listening on port").split()[-1])

    def start_server(self, *options: str, address: str = "127.0.0.1:0") -> PartyProcess:
        return self._start(0, "--listen", address, *options)

    def ask(self, port: int, *options: str, input_name: str = "x.npz") -> PartyProcess:
        """Party 1, connecting to the port."""
        arrays = ("--input", str(self.scratch / input_name), "--output", str(self.output))
        return self._start(1, "--connect", f"127.0.0.1:{port}", *arrays, *options)

    @property
    def output(self) -> Path:
        return self.scratch / "y.npz"

    def _start(self, party: int, *arguments: str) -> PartyProcess:
        store = str(self.scratch / f"store/party{party}")
        run = [sys.executable, *self._launcher, str(self.program / f"party{party}/run"), "--store", store]
        process = subprocess.Popen(
            [*run, "--timeout", str(PATIENT), *arguments],
            stderr=subprocess.PIPE,
            bufsize=0,  # what one read takes ahead the other one, `communicate`, would miss
            preexec_fn=_heed_interrupts,
        )
        self._started.append(process)
        return PartyProcess(process)

    @contextmanager
    def running(self) -> Iterator[Parties]:
        """End what a failed test leaves running."""
        try:
            yield self
        finally:
            for process in self._started:
                process.kill()
                process.communicate()


def _heed_interrupts() -> None:
    """A suite in the background ignores SIGINT, one under nohup SIGHUP, and its children inherit that."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def quiet_port() -> Iterator[int]:
    """A port of this machine on which nobody listens, and which nobody gets who does not ask for it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one who asks may listen, though
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
