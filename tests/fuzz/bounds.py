"""One execution within its bounds: some kilobytes must not cost seconds or hundreds of megabytes."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mpcc.ir.diagnostics import MpccError
from tests.fuzz.target import Target

SECONDS = 2.0  # of processor time
MEMORY = 500 << 20  # bytes
ADDRESS_SPACE = 12 << 30  # bytes more than at first; what asks for more is told that there is no memory
_KILOBYTE = 1024


class TooSlow(BaseException):
    """An input took longer than `SECONDS`. No `Exception`: what is fuzzed must not catch it."""


class TooLarge(BaseException):
    """An input took more than `MEMORY`."""


@contextmanager
def limits() -> Iterator[None]:
    """Within it `execute` may be called, from the main thread."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGPROF, _too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (_pages(0) + ADDRESS_SPACE, before[1]))
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def execute(target: Target, data: bytes) -> None:
    """Run the target; whatever this raises is a finding."""
    before, peak = _pages(1), _peak()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        target.run(data)
    except MpccError as error:
        if _out_of_memory(error):
            raise TooLarge(str(error)) from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if _peak() > max(peak, before + MEMORY):
        raise TooLarge(f"{(_peak() - before) >> 20} MiB")


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"more than {SECONDS:g} s")


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether an error hides that memory ran out."""
    while error is not None:
        if isinstance(error, MemoryError) or "bad_alloc" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _pages(which: int) -> int:
    """Bytes of address space (0) or of memory (1)."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[which]) * resource.getpagesize()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILOBYTE
