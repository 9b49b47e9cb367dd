"""A compilation's phases on stderr: running lines with their time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

WARNING = "warning: "


class Phases:
    """Call it with the name of each phase as it begins, or with a warning; warnings are shown at the end."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bars = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task: TaskID | None = None
        self._current: tuple[str, float] | None = None
        self._warnings: list[str] = []

    def __call__(self, line: str) -> None:
        if line.startswith(WARNING):
            self._warnings.append(line)
            return
        self._end_current()
        self._current = (line, time.perf_counter())
        if self._console.is_terminal:
            self._task = self._bars.add_task(line, total=None)

    def progress(self, done: int, total: int) -> None:
        """How far the current phase is."""
        if self._task is not None:
            self._bars.update(self._task, completed=done, total=total)

    def __enter__(self) -> Phases:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end_current()
        if self._console.is_terminal:
            self._bars.stop()
        for warning in self._warnings:
            self._console.print(warning, markup=False)

    def _end_current(self) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=1, total=1)
            self._task = None
        elif self._current is not None:
            name, started = self._current
            self._console.print(f"{name}: {time.perf_counter() - started:.1f} s", markup=False)
        self._current = None
