"""Child processes that report JSON events on stdout, none of which outlives this process."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from typing import Any

from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.runtime.events import Events

GRACE_SECONDS = 3.0  # what a process gets to end by itself after another one failed, or after SIGTERM
_CONSEQUENCES = {"MPC-R004", "MPC-R005", "MPC-R008", "MPC-R041"}  # said by a party when the other one fails


class Processes:
    """A group of processes that fails as one. Leaving the context ends those still running.

    Their stdin is a pipe from this process: they end when it closes, however this process goes.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._all: list[subprocess.Popen[bytes]] = []
        self._arrivals: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._told: dict[tuple[str, str], dict[str, Any]] = {}
        self._problems: list[MpccError] = []
        self._end_at: float | None = None

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._all:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()

    def start(self, name: str, command: list[str]) -> None:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._running[name] = process
        self._all.append(process)
        threading.Thread(target=self._read, args=(name, process), daemon=True).start()

    def wait_for(self, name: str, event: str) -> dict[str, Any]:
        """The values of an event of one process. Raises what the processes report instead of it."""
        while (name, event) not in self._told and self._running:
            self._handle_one()
        if (name, event) not in self._told:
            self._raise_problems()
            raise _ended_silently(name, 0)
        return self._told[name, event]

    def wait_for_all(self) -> None:
        """Wait until every process has ended. Raises what they report, consequences left out."""
        while self._running:
            self._handle_one()
        self._raise_problems()

    def _read(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                self._arrivals.put((name, json.loads(line)))
        self._arrivals.put((name, {"event": "ended", "code": process.wait()}))

    def _handle_one(self) -> None:
        remaining = None if self._end_at is None else max(self._end_at - time.monotonic(), 0)
        try:
            name, values = self._arrivals.get(timeout=remaining)
        except queue.Empty:
            self._raise_problems()
            return
        event = values.pop("event")
        if event == "progress":
            self._events.progress(values["phase"], values["done"], values["total"])
        elif event == "failed":
            self._problems += [_from_json(name, error) for error in values["errors"]]
        elif event == "ended":
            self._handle_end(name, values["code"])
        self._told[name, event] = values

    def _handle_end(self, name: str, code: int) -> None:
        del self._running[name]
        if code and self._end_at is None:
            self._end_at = time.monotonic() + GRACE_SECONDS
        if code and (name, "failed") not in self._told:
            self._problems.append(_ended_silently(name, code))

    def _raise_problems(self) -> None:
        causes = [error for error in self._problems if error.code not in _CONSEQUENCES]
        with Diagnostics() as diagnostics:
            for error in causes or self._problems:
                diagnostics.collect(error)


def _from_json(name: str, error: dict[str, Any]) -> MpccError:
    where = f"{name}, {error['where']}" if error["where"] else name
    return MpccError(error["code"], error["message"], remedy=error["remedy"], where=where)


def _ended_silently(name: str, code: int) -> MpccError:
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return MpccError(
        "MPC-R040",
        f"the process {how} without a message",
        where=name,
        remedy="see whether the machine ran out of memory; the output above may say more",
    )
