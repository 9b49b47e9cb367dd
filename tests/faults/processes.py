"""Parties, dealers and servers as processes of their own, which start in milliseconds.

They are forked by a process that has imported everything they need. What they say goes to a file.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

AUDIT = "MPCC_TEST_AUDIT"  # the file where processes note the correlation sessions that they open
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.faults.entries"])
_lock = threading.Lock()  # starting one process looks after all others, which is not safe between threads
_CODE = re.compile(r"error\[(MPC-[A-Z]\d{3})\]")


@dataclass
class Running:
    """A process and the file with what it says."""

    process: ForkServerProcess
    log: Path

    def wait_for(self, text: str, seconds: float = 60.0) -> str:
        """The first line with `text`. Fails when it does not come, or the process ends without it."""
        end = time.monotonic() + seconds
        while True:
            ended = self.ended
            for line in self.text().splitlines():
                if text in line:
                    return line
            if ended or time.monotonic() > end:
                raise AssertionError(f"{text!r} never came: {self.text()}")
            time.sleep(0.005)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def ended(self) -> bool:
        return self._exit_code() is not None

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()

    def outcome(self, seconds: float) -> str:
        """`done`, `killed`, or the error code that it ended with. Fails when it has not ended by then."""
        end = time.monotonic() + seconds
        while (code := self._exit_code()) is None:
            assert time.monotonic() < end, f"it hangs: {self.text()}"
            time.sleep(0.005)
        if code == -9:
            return "killed"
        text = self.text()
        assert "Traceback" not in text, text
        codes = _CODE.findall(text)
        if code == 0:
            assert not codes, text
            return "done"
        assert (code, len(codes)) == (1, 1), f"exit code {code}: {text}"
        return str(codes[0])

    def _exit_code(self) -> int | None:
        with _lock:
            return self.process.exitcode


def start(log: Path, entry: Callable[..., int], *arguments: object, audit: Path | None = None) -> Running:
    """Run `entry`, a function of `tests.faults.entries`, in a process of its own."""
    process = _context.Process(target=_run, args=(log, audit, entry, arguments), daemon=True)
    with _lock:
        process.start()
    return Running(process, log)


def _run(log: Path, audit: Path | None, entry: Callable[..., int], arguments: tuple[object, ...]) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    if audit:
        os.environ[AUDIT] = str(audit)
    raise SystemExit(entry(*arguments))
