"""Silent OT: the correlation, declared bytes, several iterations, uniform parts."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.ot.silent import SilentReceiver, SilentSender, noise_points, tree_keys
from mpcc.runtime.two_party.ot.silent_parameters import (
    LARGE,
    LONG,
    SHORT,
    SMALL,
    Parameters,
    Stages,
    begun,
    iterations,
    silent_bytes,
)
from mpcc.runtime.two_party.ot.softspoken import SoftSpokenReceiver, SoftSpokenSender
from tests.runtime.two_party.ot.ends import DealtReceiver, DealtSender, Ends, check_correlation, together

# Far too small to be secure.
TINY = Parameters(depth=3, trees=8, secret=12)
GROWING: Stages = (Parameters(depth=3, trees=16, secret=12), Parameters(depth=5, trees=10, secret=30))
SIGMAS = 7.0  # two-sided false alarm 2.6e-12


Channels = tuple[Channel, Channel]


class Pair(Ends):
    """Both ends over two channels, with dealt base OTs; counts what they sent."""

    def __init__(self, channels: Channels, stages: Stages, seed: int = 1) -> None:
        self.channels = channels
        self.sender = SilentSender(DealtSender(seed), stages)
        self.receiver = SilentReceiver(DealtReceiver(seed), stages)


@pytest.mark.parametrize("stages", [(TINY,), GROWING], ids=["one size", "two sizes"])
@pytest.mark.parametrize("counts", [(1,), (28,), (29,), (1000,), (3, 0, 5, 60, 1, 64, 300, 7)], ids=str)
def test_correlation_and_bytes_over_iterations(
    channels: Channels, stages: Stages, counts: Sequence[int]
) -> None:
    pair, before = Pair(channels, stages), 0
    for count in counts:
        sent_before = pair.sent_bytes()[0]
        check_correlation(pair.sender.delta, *pair.extend(count))
        assert pair.sent_bytes()[0] - sent_before == silent_bytes(stages, before, count)
        before += count
    assert pair.sent_bytes()[1] == 0
    assert pair.channels[1].meter.counters["online"].rounds == len(begun(stages, before))


def test_the_same_outputs_whatever_the_calls(channels: Channels, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leftovers are handed out next, in order, none lost and none twice."""
    monkeypatch.setattr("mpcc.runtime.two_party.ot.silent.secrets.token_bytes", lambda length: bytes(length))
    whole = Pair(channels, GROWING).extend(700)
    pair = Pair(channels, GROWING)
    parts = [pair.extend(count) for count in (1, 15, 64, 0, 33, 500, 87)]
    assert np.array_equal(np.concatenate([sent for sent, _, _ in parts]), whole[0])
    assert np.array_equal(np.concatenate([received for _, _, received in parts]), whole[2])


def test_both_directions_at_the_same_time(channels: Channels) -> None:
    stages: Stages = (TINY,)

    def party(index: int, channel: Channel) -> list[U64 | tuple[U64, U64]]:
        ends = (SilentSender(DealtSender(3), stages), SilentReceiver(DealtReceiver(4), stages))
        mirrored = (SilentReceiver(DealtReceiver(3), stages), SilentSender(DealtSender(4), stages))
        return [end.extend(channel, 500) for end in (mirrored if index else ends)]

    (sent_0, got_0), (got_1, sent_1) = together(lambda: party(0, channels[0]), lambda: party(1, channels[1]))
    for seed, sent, got in ((3, sent_0, got_1), (4, sent_1, got_0)):
        delta = SilentSender(DealtSender(seed), stages).delta
        check_correlation(delta, sent, *got)  # type: ignore[arg-type]


def test_base_is_asked_once_for_the_first_iteration(channels: Channels) -> None:
    pair = Pair(channels, GROWING)
    pair.extend(0)
    assert pair.sender._sender.asked == []  # type: ignore[attr-defined]
    pair.extend(2000)
    assert pair.sender._sender.asked == [GROWING[0].needed]  # type: ignore[attr-defined]


def test_large_iterations_hold_no_more_than_was_asked_for(channels: Channels) -> None:
    """Not an iteration's 168 MB, but its inputs, the table and roots at both ends, and the call's results."""
    pair, counts = Pair(channels, LONG), (SMALL.outputs - LARGE.needed, 200_000, 100_001)
    tracemalloc.start()
    try:
        for count in counts:
            check_correlation(pair.sender.delta, *pair.extend(count))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert begun(LONG, sum(counts)) == [SMALL, LARGE]
    assert peak < 64 << 20
    assert pair.sent_bytes() == (SMALL.message_bytes + LARGE.message_bytes, 0)


def test_lowest_bit_of_delta_is_set_and_the_rest_is_the_base() -> None:
    for seed in range(8):
        base = DealtSender(seed)
        assert np.array_equal(SilentSender(base, SHORT).delta, base.delta | np.array([1, 0], dtype=np.uint64))


def test_sizes_of_the_parameters() -> None:
    assert (SMALL.outputs, LARGE.outputs) == (1 << 19, 10 << 20)
    for stages in (SHORT, LONG):
        for this, free in islice(iterations(stages), 4):
            assert free > 0
            assert this.needed < this.outputs
    assert 8 * LARGE.message_bytes / (LARGE.outputs - LARGE.needed) < 0.6
    assert 8 * SMALL.message_bytes / (SMALL.outputs - SMALL.needed) < 3


@pytest.mark.slow
def test_parts_look_uniform_at_the_real_size(channels: Channels) -> None:
    """Choice bits, and every bit of q and t but the lowest, on real base OTs. Together the bounds
    raise a false alarm with probability below 1e-9.
    """
    first, second = channels
    count = 300_000
    sender, receiver = together(
        lambda: SilentSender(SoftSpokenSender(first), SHORT),
        lambda: SilentReceiver(SoftSpokenReceiver(second), SHORT),
    )
    sent, (choices, received) = together(
        lambda: sender.extend(first, count), lambda: receiver.extend(second, count)
    )
    bits = check_correlation(sender.delta, sent, choices, received)
    bound = SIGMAS * count**0.5 / 2
    assert abs(int(bits.sum()) - count / 2) < bound
    assert abs(int((bits[1:] ^ bits[:-1]).sum()) - (count - 1) / 2) < bound
    for blocks, lowest in ((sent, 0.0), (received, float(bits.sum()))):
        ones = np.unpackbits(blocks.view(np.uint8), axis=1, bitorder="little").sum(axis=0, dtype=np.int64)
        assert ones[0] == lowest
        assert (abs(ones[1:] - count / 2) < bound).all()
    assert len(np.unique(sent, axis=0)) == count


def test_noise_is_one_uniform_point_a_tree() -> None:
    """Pearson's statistic over the 512 leaves; false alarm below 1e-9."""
    trees, depth = 20 * SMALL.trees, SMALL.depth
    choices = np.random.default_rng(5).integers(0, 2, (trees, depth), dtype=np.uint64)
    points = noise_points(choices)
    counts = np.bincount(points.astype(np.int64), minlength=1 << depth)
    assert len(counts) == 1 << depth
    expected = trees / (1 << depth)
    assert ((counts - expected) ** 2 / expected).sum() < 730  # 511 degrees of freedom
    assert noise_points(np.array([[1, 1, 0], [0, 1, 1]], dtype=np.uint64)).tolist() == [1, 4]


def test_trees_have_different_public_keys() -> None:
    keys = tree_keys(bytes(16), LARGE.trees)
    assert len(np.unique(keys, axis=0)) == LARGE.trees
    assert not np.array_equal(keys[0], kernels.expand(bytes(16), 0, 2, 64))  # the code's stream
