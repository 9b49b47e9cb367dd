"""Where a party's time goes: the online phase as spans without gaps, each one activity for one operation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum


class Activity(StrEnum):
    """What a party does in a span."""

    COMPUTE = "compute"  # the operation's own work, packing and unpacking of its messages included
    SEND = "send"  # handing a message to the network
    WAIT = "wait"  # for the other party's message
    CORRELATIONS = "correlations"  # until they are expanded


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds since the online phase began; `operation` is its result's name; `bytes` are those of the
    message that was sent or waited for.
    """

    operation: str
    activity: Activity
    start: float
    end: float
    bytes: int = 0

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Recorder:
    """What a party does at present, and since when. One activity ends where the next begins."""

    def __init__(self) -> None:
        self._begun: list[tuple[str, Activity, int, float]] = []
        self._end = 0.0

    def switch(self, operation: str, activity: Activity, size: int = 0) -> None:
        """From now on the party does this, on a message of `size` bytes."""
        self._begun.append((operation, activity, size, time.perf_counter()))

    def stop(self) -> None:
        """The online phase is over."""
        self._end = time.perf_counter()

    def spans(self) -> list[Span]:
        """In order; of a stopped recorder."""
        starts = [entry[3] for entry in self._begun]
        origin = starts[0] if starts else self._end
        return [
            Span(operation, activity, start - origin, end - origin, size)
            for (operation, activity, size, start), end in zip(
                self._begun, [*starts[1:], self._end], strict=True
            )
        ]


@dataclass
class OperationTime:
    """Seconds computing and sending, seconds waiting, bytes both ways."""

    seconds: float = 0.0
    wait_seconds: float = 0.0
    bytes: int = 0


def by_operation(spans: list[Span]) -> dict[str, OperationTime]:
    """The sums of each operation, by its result's name."""
    result: dict[str, OperationTime] = {}
    for span in spans:
        entry = result.setdefault(span.operation, OperationTime())
        entry.bytes += span.bytes
        if span.activity in (Activity.COMPUTE, Activity.SEND):
            entry.seconds += span.seconds
        else:
            entry.wait_seconds += span.seconds
    return result
