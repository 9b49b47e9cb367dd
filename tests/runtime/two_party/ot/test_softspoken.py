"""SoftSpoken: trees of seeds, the correlation, declared bytes, fresh streams, uniform parts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.ot.seed_trees import full_trees, punctured_trees
from mpcc.runtime.two_party.ot.softspoken import (
    SoftSpokenReceiver,
    SoftSpokenSender,
    extension_bytes,
    setup_bytes,
)
from tests.runtime.two_party.ot.ends import Ends, check_correlation, together

SIGMAS = 7.0  # two-sided false alarm 2.6e-12
CHI_SQUARE = 450.0  # exceeded with probability 6e-13 at 255 degrees of freedom


class Pair(Ends):
    """Both ends over two channels; counts what they sent."""

    channels: tuple[StreamChannel, StreamChannel]

    def __init__(self, bits: int) -> None:
        self.channels = channel_pair()
        self.sender, self.receiver = together(
            lambda: SoftSpokenSender(self.channels[0], bits),
            lambda: SoftSpokenReceiver(self.channels[1], bits),
        )


@pytest.mark.parametrize("delta", [0, 1, 1 << 127, (1 << 128) - 1, 0x0123456789ABCDEF0F1E2D3C4B5A6978])
@pytest.mark.parametrize("bits", range(2, 9))
def test_trees_have_all_leaves_but_one(bits: int, delta: int) -> None:
    keys = np.random.default_rng(bits).integers(0, 2**64, (128, 2, 2), dtype=np.uint64)
    delta_bits = np.array([delta >> i & 1 for i in range(128)], dtype=np.uint8)
    leaves, message = full_trees(keys, bits)
    known = punctured_trees(keys[np.arange(128), 1 - delta_bits], message, delta_bits, bits)
    start = first = 0
    for size in kernels.tree_bits(bits):
        missing = delta >> first & ((1 << size) - 1)
        places = start + (np.arange(1 << size) ^ missing)
        same = (known[places] == leaves[start : start + (1 << size)]).all(axis=1)
        assert np.flatnonzero(~same).tolist() == [missing]
        start, first = start + (1 << size), first + size
    assert len(np.unique(leaves, axis=0)) == len(leaves)


@pytest.mark.parametrize("bits", range(2, 9))
def test_correlation_and_bytes(bits: int) -> None:
    pair = Pair(bits)
    assert pair.sent_bytes() == setup_bytes()
    before = pair.sent_bytes()
    for count in (1, 0, 63, 64, 65, 10_000):
        check_correlation(pair.sender.delta, *pair.extend(count))
        after = pair.sent_bytes()
        assert (after[0] - before[0], after[1] - before[1]) == (0, extension_bytes(count, bits))
        before = after


def test_many_ots() -> None:
    pair = Pair(5)
    choices = check_correlation(pair.sender.delta, *pair.extend(100_000))
    assert_fair(choices.sum(), 100_000)


def assert_fair(ones: int, bits: int) -> None:
    assert abs(int(ones) - bits / 2) < SIGMAS * np.sqrt(bits) / 2


def test_each_part_alone_is_uniform() -> None:
    """Frequencies of every bit position, of bytes, and of neighbours; false alarms below 1e-9 in all."""
    pair = Pair(4)
    sent, _, received = pair.extend(100_000)
    for part in (sent, received):
        bits = np.unpackbits(part.view(np.uint8), axis=1, bitorder="little")
        ones = bits.sum(axis=0, dtype=np.int64)
        assert np.abs(ones - 50_000).max() < SIGMAS * np.sqrt(100_000) / 2
        counts = np.bincount(part.view(np.uint8).reshape(-1), minlength=256)
        expected = part.nbytes / 256
        assert ((counts - expected) ** 2 / expected).sum() < CHI_SQUARE
        assert_fair((bits[1:] ^ bits[:-1]).sum(), bits[1:].size)
        assert_fair((bits[:, 1:] ^ bits[:, :-1]).sum(), bits[:, 1:].size)


def test_extensions_are_fresh() -> None:
    """No OT comes twice, within an extension or in a later one, and sessions have nothing in common."""
    pair = Pair(6)
    parts = [part for _ in range(3) for part in pair.extend(9000)[::2]]
    parts += Pair(6).extend(9000)[::2]
    for ends in (parts[::2], parts[1::2]):
        assert len(np.unique(np.concatenate(ends), axis=0)) == 4 * 9000


def test_delta_and_choices_are_drawn_anew() -> None:
    one, other = Pair(4), Pair(4)
    assert not np.array_equal(one.sender.delta, other.sender.delta)
    assert not np.array_equal(one.extend(640)[1], other.extend(640)[1])


def test_both_directions_at_the_same_time() -> None:
    def ends(index: int, channel: Channel) -> Sequence[U64 | tuple[U64, U64]]:
        if index == 0:
            sender, receiver = SoftSpokenSender(channel), SoftSpokenReceiver(channel)
            return [sender.delta, sender.extend(channel, 1000), receiver.extend(channel, 1000)]
        receiver, sender = SoftSpokenReceiver(channel), SoftSpokenSender(channel)
        return [sender.delta, receiver.extend(channel, 1000), sender.extend(channel, 1000)]

    one, other = channel_pair()
    (delta_0, sent_0, received_0), (delta_1, received_1, sent_1) = together(
        lambda: ends(0, one), lambda: ends(1, other)
    )
    check_correlation(np.asarray(delta_0), np.asarray(sent_0), *received_1)
    check_correlation(np.asarray(delta_1), np.asarray(sent_1), *received_0)


@pytest.mark.parametrize(("length", "code"), [(-8, "MPC-R005"), (8, "MPC-R006")])
def test_hostile_lengths_are_coded_errors(length: int, code: str) -> None:
    pair = Pair(8)
    pair.channels[0].limit(1, math.inf)
    pair.channels[1].exchange(bytes(extension_bytes(100, 8) + length), 0)
    with pytest.raises(MpccError) as caught:
        pair.sender.extend(pair.channels[0], 100)
    assert caught.value.code == code
