"""A party that computes for long says so, and the other one waits longer: how often, and for how long.

Its channel sends an empty WORKING frame whenever it has computed for a part of the other party's patience.
The times follow from the limits that both agreed on and from how long it computes, which the other party sees
anyway.
"""

from __future__ import annotations

import time

FRAMES_IN_PATIENCE = 3  # one may be late
SHORTEST_PERIOD = 0.05  # seconds, whatever patience the other party says that it has
LONGEST_WORK = 100.0  # patiences that a message is waited for beyond its time
MOST_FRAMES = int(2 * FRAMES_IN_PATIENCE * LONGEST_WORK)  # they gather while the receiver computes, too
LEAST_BUSY = 0.05  # of a processor, below which a process hangs, or waits for a disk


def period(patience: float) -> float:
    """Seconds of computing after which a party says so, and again."""
    return max(patience / FRAMES_IN_PATIENCE, SHORTEST_PERIOD)


class Deadline:
    """When something must be there: `patience` seconds from now, or from when the other party last said that
    it computes, which puts it off by `work` seconds at most. `last` is when that ends.
    """

    def __init__(self, patience: float, work: float = 0.0) -> None:
        self._patience = patience
        self._frames = 0
        self.end = time.monotonic() + patience
        self.last = self.end + work

    def put_off(self) -> bool:
        """The other party computes; False when it has said so too often."""
        self._frames += 1
        self.end = max(self.end, min(time.monotonic() + self._patience, self.last))
        return self._frames <= MOST_FRAMES


class Activity:
    """Whether this process computes, as told by the processor time that it takes."""

    def __init__(self) -> None:
        self._looked, self._used = time.monotonic(), time.process_time()

    def look(self) -> bool:
        """Whether it did since the last look."""
        looked, used = self._looked, self._used
        self._looked, self._used = time.monotonic(), time.process_time()
        return self._used - used > LEAST_BUSY * (self._looked - looked)
