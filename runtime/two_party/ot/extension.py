"""What every OT extension offers: correlated oblivious transfers (OTs) under one 128-bit Delta of the sender.

The sender has q_i, the receiver a random bit b_i and t_i = q_i xor b_i Delta; both are 128 bits, uint64[2].
Both parties call `extend` with the same counts in the same order.
"""

from __future__ import annotations

from typing import Protocol

from mpcc.runtime.ring import U64
from mpcc.runtime.transport.channel import Channel


def words_of(count: int) -> int:
    """Of a plane of `count` bits."""
    return (count + 63) // 64


class Sender(Protocol):
    """`delta`: uint64[2], uniform, fixed for the session, known to this party only."""

    delta: U64

    def extend(self, channel: Channel, count: int) -> U64:
        """The next `count` q, uint64[count, 2]. Raises MPC-R004..R008."""
        ...


class Receiver(Protocol):
    def extend(self, channel: Channel, count: int) -> tuple[U64, U64]:
        """The next `count` random bits, a plane uint64[ceil(count / 64)], and t, uint64[count, 2]. Raises
        MPC-R004..R008.
        """
        ...
