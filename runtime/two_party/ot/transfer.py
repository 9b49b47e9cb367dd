"""Products of one party's private bits with the other's private bits or values, from correlated OTs.

The receiver has the bits. For each it takes one correlated OT, tells the sender its bit xor the OT's random
choice (`corrections`), and the sender answers with a message as long as its values: both ends hash their 128
bits of the OT to pads (kernels.transfer_*), of which the receiver knows the one of its bit. Requests of one
direction can be batched: all corrections in one message, all answers in another.

    sender.reserve(channel, ots)                     receiver.reserve(channel, ots)
                                                     asked = receiver.ask(bits, count)
                            <- asked.corrections -
    message = sender.choose(corrections, values, widths, shares)
                            -  message ->
                                                     asked.choose(message, widths, shares)

Both ends make the same requests in the same order. A request of `count` takes `ots(count)` OTs, whole words
of them; no OT and no tweak of the hash is used twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.ot.extension import Receiver, Sender, words_of

U8 = NDArray[np.uint8]


def ots(count: int) -> int:
    """Correlated OTs that a request of `count` bits takes."""
    return 64 * words_of(count)


def corrections_bytes(count: int) -> int:
    """From the receiver, for any request of `count` bits."""
    return 8 * words_of(count)


def choose_bytes(count: int, widths: Sequence[int]) -> int:
    """From the sender, for `choose` of columns of these widths."""
    return sum((count * width + 7) // 8 for width in widths)


def bits_bytes(words: int) -> int:
    """From the sender, for `bit_products` of so many words."""
    return 8 * words


class TransferSender:
    """Answers the requests of the other party's `TransferReceiver`."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._pads = Queue(2)
        self.delta = sender.delta
        self.tweaks = Tweaks()

    def reserve(self, channel: Channel, count: int) -> None:
        """Extends so that `count` correlated OTs are there for requests. Raises MPC-R004..R008."""
        missing = ots(count) - self._pads.length
        if missing > 0:
            self._pads.put(self._sender.extend(channel, missing))

    def choose(
        self,
        corrections: U64,
        values: Sequence[U64],
        widths: Sequence[int],
        shares: Sequence[U64],
        boolean: bool = False,
        negated: U64 | None = None,
    ) -> U8:
        """The message. This party's shares of b v for the receiver's bits b and the columns `values`,
        uint64[count] each, are added to `shares`, mod 2^widths[c] or, where `boolean`, by xor. Values that
        the plane `negated` names are taken negative.
        """
        count = len(shares[0])
        pads, tweak = self.take(ots(count))[:count], self.tweaks.take(count)
        return kernels.transfer_send(
            pads, self.delta, corrections, values, tuple(widths), tweak, boolean, shares, negated
        )

    def bit_products(self, corrections: U64, bits: U64) -> tuple[U64, U64]:
        """The message and this party's xor share of x and y, uint64[words], for the receiver's plane x and
        `bits` y.
        """
        count = 64 * len(bits)
        pads, tweak = self.take(count), self.tweaks.take(count)
        return kernels.transfer_send_bits(pads, self.delta, corrections, bits, tweak)

    def take(self, count: int) -> U64:
        """q of the next `count` OTs, a multiple of 64, which are then used up."""
        return self._pads.take(count)


@dataclass(frozen=True, eq=False)
class Asked:
    """A request under way at the receiver: send `corrections`, a plane, and give the sender's message to one
    of the methods, once.
    """

    corrections: U64
    _bits: U64
    _pads: U64
    _tweak: int

    def choose(
        self, message: U8, widths: Sequence[int], shares: Sequence[U64], boolean: bool = False
    ) -> None:
        """This party's shares are added to `shares`, as `TransferSender.choose`."""
        kernels.transfer_receive(self._pads, self._bits, message, tuple(widths), self._tweak, boolean, shares)

    def bit_products(self, message: U64) -> U64:
        """This party's xor share, uint64[words]."""
        return kernels.transfer_receive_bits(self._pads, self._bits, message, self._tweak)


class TransferReceiver:
    """Makes requests of the other party's `TransferSender`."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._pads = Queue(2)
        self._choices = Queue()
        self.tweaks = Tweaks()

    def reserve(self, channel: Channel, count: int) -> None:
        """As `TransferSender.reserve`."""
        missing = ots(count) - self._pads.length
        if missing > 0:
            choices, pads = self._receiver.extend(channel, missing)
            self._choices.put(choices)
            self._pads.put(pads)

    def ask(self, bits: U64, count: int) -> Asked:
        """A request for `count` bits, a plane uint64[ceil(count / 64)]."""
        choices, pads = self.take(ots(count))
        return Asked(bits ^ choices, bits, pads[:count], self.tweaks.take(count))

    def take(self, count: int) -> tuple[U64, U64]:
        """The random bits, a plane, and t of the next `count` OTs, as `TransferSender.take`."""
        return self._choices.take(count // 64), self._pads.take(count)


class Tweaks:
    """Numbers of OTs, each given once: under one Delta the pads of two OTs never come from the same hash
    input."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, count: int) -> int:
        """The first of `count` numbers, a multiple of those that share a key of the hash."""
        first = self._next
        self._next += -(-count // kernels.KEY_OTS) * kernels.KEY_OTS
        return first


class Queue:
    """Rows of arrays uint64[n, *shape], put at the end and taken from the front: copied only where what is
    taken is of several arrays.
    """

    def __init__(self, *shape: int) -> None:
        self.length = 0
        self._none: U64 = np.empty((0, *shape), dtype=np.uint64)
        self._parts: deque[U64] = deque()

    def put(self, part: U64) -> None:
        self._parts.append(part)
        self.length += len(part)

    def take(self, count: int) -> U64:
        """The first `count` rows."""
        assert count <= self.length, "reserve first"
        self.length -= count
        taken = [self._none]
        while count:
            part = self._parts.popleft()
            if count < len(part):
                self._parts.appendleft(part[count:])
            taken.append(part[:count])
            count -= len(taken[-1])
        return np.concatenate(taken) if len(taken) > 2 else taken[-1]
