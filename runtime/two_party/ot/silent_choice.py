"""Which extension makes a session's OTs soonest: SoftSpoken alone, or silent OT on top of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.ot import softspoken
from mpcc.runtime.two_party.ot.extension import Receiver, Sender
from mpcc.runtime.two_party.ot.silent import SilentReceiver, SilentSender
from mpcc.runtime.two_party.ot.silent_parameters import (
    LARGE,
    LONG,
    SHORT,
    SMALL,
    Stages,
    begun,
    iterations,
    silent_bytes,
)
from mpcc.runtime.two_party.ot.softspoken import SoftSpokenReceiver, SoftSpokenSender

# Measured with two threads a party (tests/benchmarks/oblivious_transfer.py): nanoseconds an OT, and of each
# output of an iteration that is begun, taken or not. The small table fits the second-level cache.
SOFTSPOKEN_NANOSECONDS = {4: 10.0, 5: 12.0, 6: 17.0, 7: 19.0, 8: 29.0}
SILENT_NANOSECONDS = {SMALL: 9.0, LARGE: 18.0}
BEGUN_NANOSECONDS = 3.0
_STAGES: dict[Stages, str] = {(): "", SHORT: "silent-short-", LONG: "silent-long-"}


@dataclass(frozen=True)
class Extension:
    """SoftSpoken with trees of 2^`softspoken_bits` seeds; with `stages`, for the first iteration only."""

    softspoken_bits: int
    stages: Stages = ()

    @property
    def name(self) -> str:
        """As programs name it."""
        return f"{_STAGES[self.stages]}softspoken-{self.softspoken_bits}"

    @property
    def bits_sent(self) -> float:
        """What making an OT sends, about: by it the engine chooses between OTs and encryption."""
        if not self.stages:
            return 8 * softspoken.extension_bytes(64, self.softspoken_bits) / 64
        return 8 * self.stages[-1].message_bytes / self.stages[-1].outputs

    @property
    def setup_bytes(self) -> tuple[int, int]:
        """Base OTs: by sender and receiver."""
        return softspoken.setup_bytes(self.softspoken_bits)

    @property
    def setup_rounds(self) -> int:
        """Of the base OTs."""
        return softspoken.SETUP_ROUNDS

    def sender(self, channel: Channel) -> Sender:
        """Base OTs. Raises MPC-R004..R008 and MPC-R090."""
        base = SoftSpokenSender(channel, self.softspoken_bits)
        return SilentSender(base, self.stages) if self.stages else base

    def receiver(self, channel: Channel) -> Receiver:
        """The other end of `sender`; raises the same."""
        base = SoftSpokenReceiver(channel, self.softspoken_bits)
        return SilentReceiver(base, self.stages) if self.stages else base

    def sent_bytes(self, counts: Sequence[int]) -> tuple[int, int]:
        """By sender and receiver in all, for calls of `extend` with these counts, without the base OTs."""
        asked = self._asked_of_softspoken(counts)
        from_receiver = sum(softspoken.extension_bytes(count, self.softspoken_bits) for count in asked)
        return silent_bytes(self.stages, 0, sum(counts)) if self.stages else 0, from_receiver

    def rounds(self, counts: Sequence[int]) -> int:
        """For the same calls."""
        own = len(begun(self.stages, sum(counts))) if self.stages else 0
        return own + sum(map(bool, self._asked_of_softspoken(counts)))

    def seconds(self, counts: Sequence[int], mbit: float) -> float:
        """Of both parties' work at the same time, and of what they send at `mbit` megabits a second."""
        nanoseconds = SOFTSPOKEN_NANOSECONDS[self.softspoken_bits] * sum(self._asked_of_softspoken(counts))
        left = sum(counts)
        for this, free in iterations(self.stages) if self.stages else ():
            if left <= 0:
                break
            taken = min(left, free)
            left -= taken
            with_next = this.outputs if left else taken
            nanoseconds += SILENT_NANOSECONDS[this] * with_next + BEGUN_NANOSECONDS * this.outputs
        return nanoseconds * 1e-9 + sum(self.sent_bytes(counts)) * 8e-6 / mbit

    def _asked_of_softspoken(self, counts: Sequence[int]) -> Sequence[int]:
        if not self.stages:
            return counts
        return [self.stages[0].needed] if sum(counts) else []


def cheapest_extension(counts: Sequence[int], mbit: float) -> Extension:
    """For calls of `extend` with these counts over a network of `mbit` megabits a second. Both parties decide
    alike.
    """
    return min(extensions(), key=lambda choice: choice.seconds(counts, mbit))


def extensions() -> list[Extension]:
    """All that there are."""
    return [Extension(bits, stages) for stages, bits in product(_STAGES, SOFTSPOKEN_NANOSECONDS)]


def extension_named(name: str) -> Extension:
    """Raises ValueError when there is none of that name."""
    for extension in extensions():
        if extension.name == name:
            return extension
    raise ValueError(f"there is no extension of oblivious transfers called {name!r}")
