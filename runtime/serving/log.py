"""A server's log: one JSON object a line. It names clients, sizes, times and codes; never a value."""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

from mpcc.ir.diagnostics import MpccError


def open_log(path: Path | None) -> FilteringBoundLogger:
    """Appends to a file, else writes to stderr. Raises MPC-R084."""
    stream: TextIO = sys.stderr
    if path is not None:
        try:
            stream = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise MpccError(
                "MPC-R084",
                f"the log cannot be written: {error.strerror}",
                where=str(path),
                remedy="give another place with --log",
            ) from None
    logger: FilteringBoundLogger = structlog.wrap_logger(
        _Lines(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    return logger


class LogEvents:
    """What a command has to tell, into the log."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log

    def tell(self, event: str, text: str, **values: Any) -> None:
        self._log.info(event, text=text, **values)

    def progress(self, phase: str, done: int, total: int) -> None:
        """Not logged."""

    def failed(self, error: MpccError) -> None:
        self._log.warning("failed", code=error.code, message=error.message, where=error.where)


class _Lines:
    """Writes whole lines, from any thread; a full disk stops nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(line + "\n")
            self._stream.flush()

    info = warning = error = write
