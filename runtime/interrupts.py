"""Ctrl-C, SIGTERM and the end of the terminal as KeyboardInterrupt in the main thread, between its steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Step:
    """A block that an interrupt does not cut in two: `with step:`, in any thread.

    A signal's handler may run between a system call and the note of what it sent: the other party would never
    hear why this one ended.
    """

    def __init__(self) -> None:
        self._inside = self._interrupted = False

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._inside = True

    def __exit__(self, *error: object) -> None:
        if threading.current_thread() is threading.main_thread():
            self._inside = False
            if self._interrupted:
                self._interrupted = False
                raise KeyboardInterrupt

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """A handler of signals."""
        if not self._inside:
            raise KeyboardInterrupt
        self._interrupted = True


step = Step()


def heed_interrupts() -> None:
    """From now on; signals that this process was told to ignore stay ignored. In the main thread."""
    signal.signal(signal.SIGTERM, step.interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, step.interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # not under nohup
        signal.signal(signal.SIGHUP, step.interrupt)
