"""What a protocol sees of the network: `Channel.exchange`, one tick of the two parties, and its counters.

Counted are payload bytes of data frames, by phase. Control messages (handshake, ready, finish, abort) and the
16-byte frame headers are not: `Counters.frames_sent` gives the latter.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

BytesLike = bytes | bytearray | memoryview | np.ndarray[Any, Any]
Phase = Literal["preparation", "setup", "online"]


def byte_view(data: BytesLike) -> memoryview:
    """The bytes of `data` as a flat view; an array that is not contiguous is copied."""
    view = np.ascontiguousarray(data).data if isinstance(data, np.ndarray) else memoryview(data)
    return view.cast("B") if view.nbytes else memoryview(b"")  # an empty array cannot be cast


@dataclass
class Counters:
    """What one party moved in one phase; `rounds` is the same on both parties.

    `seconds` is the wall-clock time spent inside `Meter.counting` blocks of the phase.
    """

    bytes_sent: int = 0
    bytes_received: int = 0
    rounds: int = 0
    frames_sent: int = 0
    seconds: float = 0.0


class Meter:
    """Counters by phase. The phase is "online" unless a `counting` block says otherwise."""

    def __init__(self) -> None:
        self.counters: defaultdict[Phase, Counters] = defaultdict(Counters)
        self._phase: Phase = "online"
        self._watch: Callable[[int], None] = lambda count: None

    @contextmanager
    def counting(self, phase: Phase) -> Iterator[Counters]:
        """Count the exchanges of the block, and its time, under `phase`."""
        outer, self._phase = self._phase, phase
        started = time.perf_counter()
        try:
            yield self.counters[phase]
        finally:
            self.counters[phase].seconds += time.perf_counter() - started
            self._phase = outer

    @contextmanager
    def watching(self, moved: Callable[[int], None]) -> Iterator[None]:
        """`moved` is told of the block's bytes, of both directions, as they are handed over."""
        self._watch = moved
        try:
            yield
        finally:
            self._watch = lambda count: None

    def move(self, count: int) -> None:
        """So many bytes of a tick, in either direction."""
        self._watch(count)

    def record(self, sent: int, received: int) -> None:
        """Count one tick; a tick without a byte in either direction is not a round."""
        counters = self.counters[self._phase]
        counters.bytes_sent += sent
        counters.bytes_received += received
        counters.rounds += int(sent + received > 0)

    def record_frame(self) -> None:
        self.counters[self._phase].frames_sent += 1


class Channel(Protocol):
    """The other party, as a program's execution sees it.

    A tick is what both parties send each other at the same time. Its messages go out one by one, as they are
    made, and travel while the party computes; they are taken one by one as well, when they are needed.
    """

    meter: Meter

    def start_tick(self, outgoing_length: int, incoming_length: int) -> None:
        """The next tick, of so many bytes each way; both parties start the same ones in the same order.

        It counts as one round unless both are zero. Bytes of earlier ticks may still be due to be received.
        Raises RuntimeError when the tick before has not sent all that it announced.
        """
        ...

    def send(self, data: BytesLike) -> None:
        """The next bytes of the tick started last. They must not change any more. Raises MPC-R004..R008, and
        RuntimeError when they are more than it announced.
        """
        ...

    def receive(self, length: int) -> memoryview:
        """The next bytes, of one tick: a fresh writable buffer. Raises MPC-R004..R008."""
        ...

    def exchange(self, outgoing: BytesLike, incoming_length: int) -> memoryview:
        """One whole tick: send `outgoing`, receive exactly `incoming_length` bytes. Raises MPC-R004..R008."""
        ...

    def synchronise(self) -> None:
        """Wait until the other party has arrived here too; not counted. Raises MPC-R004..R008."""
        ...
