"""Both ends of a protocol in one process, and a dealt base extension that costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.ot.extension import Receiver, Sender

First = TypeVar("First")
Second = TypeVar("Second")


def together(first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
    """Each in a thread of its own."""
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(first), pool.submit(second)
        return one.result(), other.result()


def unpacked(plane: U64, count: int) -> NDArray[np.uint8]:
    """The bits of a plane; those after the last are zero."""
    assert plane.shape == ((count + 63) // 64,)
    bits: NDArray[np.uint8] = kernels.planes_unpack(plane.reshape(1, -1), 64 * len(plane))[0]
    assert not bits[count:].any()
    return bits[:count]


def check_correlation(delta: U64, sent: U64, choices: U64, received: U64) -> NDArray[np.uint8]:
    """q = t xor b Delta for all; returns b."""
    assert sent.shape == received.shape
    bits = unpacked(choices, len(sent))
    assert np.array_equal(sent, received ^ bits[:, None] * delta)
    return bits


class Ends:
    """Of an extension, over two channels; counts what they sent."""

    channels: tuple[Channel, Channel]
    sender: Sender
    receiver: Receiver

    def extend(self, count: int) -> tuple[U64, U64, U64]:
        sent, (choices, received) = together(
            lambda: self.sender.extend(self.channels[0], count),
            lambda: self.receiver.extend(self.channels[1], count),
        )
        return sent, choices, received

    def sent_bytes(self) -> tuple[int, int]:
        first, second = (channel.meter.counters["online"].bytes_sent for channel in self.channels)
        return first, second


class DealtOts:
    """Both ends' correlated OTs from one seed, without a message."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self.delta: U64 = self._words(2)
        self.asked: list[int] = []

    def _words(self, *shape: int) -> U64:
        return self._generator.integers(0, 1 << 64, shape, dtype=np.uint64)

    def next(self, count: int) -> tuple[U64, U64, U64]:
        """q, choices, t."""
        self.asked.append(count)
        q, bits = self._words(count, 2), self._generator.integers(0, 2, count, dtype=np.uint8)
        return q, kernels.planes_pack(bits), q ^ bits[:, None] * self.delta


class DealtSender(DealtOts):
    def extend(self, channel: Channel, count: int) -> U64:
        return self.next(count)[0]


class DealtReceiver(DealtOts):
    def extend(self, channel: Channel, count: int) -> tuple[U64, U64]:
        return self.next(count)[1:]
