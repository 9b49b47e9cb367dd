"""What a long-running process says: sentences and bars for a person, or JSON lines for `mpcc run`."""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mpcc.ir.diagnostics import MpccError, MpccErrors

_PROGRESS_INTERVAL = 0.1  # seconds between two progress lines


class Events(Protocol):
    def tell(self, event: str, text: str, **values: Any) -> None:
        """Something happened: a name for programs, a sentence for people, values for both."""
        ...

    def progress(self, phase: str, done: int, total: int) -> None:
        """`done` of `total` bytes of a phase are through."""
        ...

    def failed(self, error: MpccError) -> None: ...


class ScreenEvents:
    """Sentences and errors on stderr; progress bars with bytes and remaining time where it is a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def tell(self, event: str, text: str, **values: Any) -> None:
        self._console.print(text, markup=False)

    def progress(self, phase: str, done: int, total: int) -> None:
        if not self._console.is_terminal:
            return
        if self._bars is None:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._bars.start()
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(phase, total=total)
        self._bars.update(self._tasks[phase], completed=done, total=total)

    def failed(self, error: MpccError) -> None:
        self._console.print(error.render(), markup=False)

    def __enter__(self) -> ScreenEvents:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()


class JsonEvents:
    """One JSON object a line on stdout, for `mpcc run`."""

    def __init__(self) -> None:
        self._last_progress = 0.0

    def tell(self, event: str, text: str, **values: Any) -> None:
        self._write({"event": event, **values})

    def progress(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - self._last_progress >= _PROGRESS_INTERVAL:
            self._last_progress = now
            self._write({"event": "progress", "phase": phase, "done": done, "total": total})

    def failed(self, error: MpccError) -> None:
        errors = error.errors if isinstance(error, MpccErrors) else [error]
        self._write({"event": "failed", "errors": [_as_json(one) for one in errors]})

    def _write(self, value: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


def _as_json(error: MpccError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "remedy": error.remedy,
        "where": error.where,
    }
