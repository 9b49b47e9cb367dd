"""SoftSpoken OT (Roy, CRYPTO 2022) for semi-honest parties: correlated OTs from 128 base OTs.

The receiver has a tree of seeds for every k bits of Delta, the sender all of its leaves but one, the leaf at
its bits of Delta. A leaf's key stream gives one bit an OT; sums of the streams are the correlation of these
k bits for random choices of the tree's own, and the receiver corrects all trees to the choices of the first:
ceil(128 / k) - 1 bits an OT in all, and nothing back. Larger k sends less and computes more: 2^k / k AES
blocks an OT.
"""

from __future__ import annotations

import secrets

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.ot import base
from mpcc.runtime.two_party.ot.extension import words_of
from mpcc.runtime.two_party.ot.seed_trees import full_trees, punctured_trees

DELTA_BITS = 128
DEFAULT_BITS = 5
SESSION = b"SoftSpoken"
SETUP_ROUNDS = base.ROUNDS + 1


def setup_bytes(bits: int = DEFAULT_BITS) -> tuple[int, int]:
    """Bytes that the sender and the receiver send before the first extension: base OTs, whose roles are
    swapped, and two sums a level of every tree.
    """
    receives, sends = base.base_bytes(DELTA_BITS)
    return sends, receives + 2 * base.KEY_BYTES * DELTA_BITS


def extension_bytes(count: int, bits: int = DEFAULT_BITS) -> int:
    """Bytes that the receiver sends for one extension by `count`; the sender sends none."""
    return 8 * words_of(count) * (len(kernels.tree_bits(bits)) - 1)


class SoftSpokenSender:
    """`delta`: uint64[2]. `bits` is k, 2 to 8."""

    def __init__(self, channel: Channel, bits: int = DEFAULT_BITS) -> None:
        """`setup_bytes` in SETUP_ROUNDS. Raises MPC-R004..R008 and MPC-R090."""
        self.delta: U64 = np.frombuffer(secrets.token_bytes(16), dtype=np.uint64)
        self._bits = bits
        delta_bits = np.unpackbits(self.delta.view(np.uint8), bitorder="little")
        keys = base.receive(channel, delta_bits ^ np.uint8(1), SESSION)
        sums = np.frombuffer(channel.exchange(b"", 2 * base.KEY_BYTES * DELTA_BITS), dtype=np.uint64)
        self._seeds = punctured_trees(keys, sums.reshape(DELTA_BITS, 2, 2), delta_bits, bits)
        self._next_chunk = 0

    def extend(self, channel: Channel, count: int) -> U64:
        """As `extension.Sender`; one message, from the receiver."""
        words = words_of(count)
        trees = len(kernels.tree_bits(self._bits))
        received = channel.exchange(b"", extension_bytes(count, self._bits))
        corrections = np.frombuffer(received, dtype=np.uint64).reshape(trees - 1, words)
        chunk, self._next_chunk = self._next_chunk, self._next_chunk + chunks_of(words)
        return kernels.softspoken_send(self._seeds, self._bits, self.delta, corrections, chunk)[:count]


class SoftSpokenReceiver:
    """`bits` is k, 2 to 8, the same at the sender."""

    def __init__(self, channel: Channel, bits: int = DEFAULT_BITS) -> None:
        """`setup_bytes` in SETUP_ROUNDS. Raises MPC-R004..R008 and MPC-R090."""
        self._bits = bits
        keys = base.send(channel, DELTA_BITS, SESSION)
        self._seeds, sums = full_trees(keys, bits)
        channel.exchange(sums, 0)
        self._next_chunk = 0

    def extend(self, channel: Channel, count: int) -> tuple[U64, U64]:
        """As `extension.Receiver`; one message."""
        words = words_of(count)
        chunk, self._next_chunk = self._next_chunk, self._next_chunk + chunks_of(words)
        choices, corrections, pads = kernels.softspoken_receive(self._seeds, self._bits, chunk, words)
        channel.exchange(corrections, 0)
        if count % 64:
            choices[-1] &= np.uint64((1 << count % 64) - 1)
        return choices, pads[:count]


def chunks_of(words: int) -> int:
    """Of the leaves' key streams, that an extension reads: the next begins after them."""
    return (words + kernels.SOFTSPOKEN_CHUNK - 1) // kernels.SOFTSPOKEN_CHUNK
