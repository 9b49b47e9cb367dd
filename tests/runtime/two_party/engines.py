"""Two engines over a channel in one process, with the parties' own oblivious transfers or dealt ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.engine.engine import Engine
from mpcc.runtime.two_party.ot.softspoken import SoftSpokenReceiver, SoftSpokenSender, extension_bytes
from mpcc.runtime.two_party.ot.transfer import TransferReceiver, TransferSender
from tests.runtime.two_party.parties import in_threads

SOFTSPOKEN_BITS = 2
EXTENSION_BITS = extension_bytes(64, SOFTSPOKEN_BITS) / 8

T = TypeVar("T")


def both_parties(work: Callable[[int, StreamChannel], T]) -> tuple[T, T]:
    """What `work(party, channel)` returns at both ends of a channel, in threads. Raises what one does."""
    channels = channel_pair()
    return in_threads(lambda party: work(party, channels[party]), lambda party: channels[party].close())


class DealtOts:
    """Both ends' correlated OTs from one seed, without a message: the tests' dealer."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self.delta: U64 = self._words(2)

    def _words(self, *shape: int) -> U64:
        return self._generator.integers(0, 2**64, size=shape, dtype=np.uint64, endpoint=False)

    def next(self, count: int) -> tuple[U64, U64, U64]:
        q, choices = self._words(count, 2), self._words(-(-count // 64))
        bits = kernels.planes_unpack(choices[None], count)[0].astype(np.uint64)
        return q, choices, q ^ (np.uint64(0) - bits)[:, None] & self.delta


class DealtSender(DealtOts):
    def extend(self, channel: Channel, count: int) -> U64:
        return self.next(count)[0]


class DealtReceiver(DealtOts):
    def extend(self, channel: Channel, count: int) -> tuple[U64, U64]:
        return self.next(count)[1:]


def dealt_engine(party: int, channel: StreamChannel) -> Engine:
    """Both directions' OTs are dealt."""
    sender, receiver = DealtSender(1 - party), DealtReceiver(party)
    return Engine(party, channel, TransferSender(sender), TransferReceiver(receiver), 0)


def softspoken_engine(party: int, channel: StreamChannel) -> Engine:
    """The parties make the OTs."""
    if party == 0:
        receiver, sender = (
            SoftSpokenReceiver(channel, SOFTSPOKEN_BITS),
            SoftSpokenSender(channel, SOFTSPOKEN_BITS),
        )
    else:
        sender, receiver = (
            SoftSpokenSender(channel, SOFTSPOKEN_BITS),
            SoftSpokenReceiver(channel, SOFTSPOKEN_BITS),
        )
    return Engine(party, channel, TransferSender(sender), TransferReceiver(receiver), EXTENSION_BITS)


Connect = Callable[[int, StreamChannel], Engine]


def engines(connect: Connect) -> Callable[[Callable[[Engine], T]], tuple[T, T]]:
    """Runs a function of each party's engine."""
    return lambda work: both_parties(lambda party, channel: work(connect(party, channel)))
