"""Matrix products by RLWE: exact for all values, declared bytes, nothing that depends on a secret."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.runtime.ring import mask
from mpcc.runtime.transport.channel import BytesLike, byte_view
from mpcc.runtime.two_party.rlwe.layout import layout
from mpcc.runtime.two_party.rlwe.matrix_product import Sizes, key_bytes, matrix_product_bytes
from tests.runtime.two_party.rlwe.pairs import Parties, check, draw

CASES: list[Sizes] = [
    ((1, 1, 1, 1), 3, 8),
    ((1, 3, 5, 7), 8, 30),
    ((1, 1, 100, 70), 17, 44),  # one token
    ((1, 20, 33, 65), 17, 52),
    ((1, 130, 17, 9), 20, 54),  # more than one row block
    ((3, 4, 50, 40), 16, 48),  # experts
    ((2, 16, 8, 16), 41, 41),  # attention heads: elements of the ring
    ((2, 5, 9, 3), 52, 52),
    ((1, 6, 11, 10), 17, 55),  # a reply by residues
    ((1, 3, 70, 6), 64, 64),  # limbs
    ((1, 4, 6, 5), 33, 63),
    ((1, 2, 3, 4), 12, 10),  # weights longer than the ring
    ((5, 7, 1, 1), 17, 50),  # a scale for each channel
]


@pytest.mark.parametrize("sizes", CASES, ids=str)
def test_products_are_exact(sizes: Sizes) -> None:
    left, right = draw(np.random.default_rng(1), sizes)
    (first,), (second,) = Parties().products([sizes], [left], [right])
    check((first, second), left, right, sizes[2])


@pytest.mark.slow
@pytest.mark.parametrize("ring", [8, 44, 54, 55, 64])
@pytest.mark.parametrize("right_bits", [1, 17, 64])
def test_extreme_values(ring: int, right_bits: int) -> None:
    sizes: Sizes = ((4, 3, 40, 20), right_bits, ring)
    left, right = draw(np.random.default_rng(2), sizes)
    low, high = (0, mask(ring)) if right_bits >= ring else (-(1 << right_bits), 1 << right_bits)
    left[0], left[1], left[2] = mask(ring), 0, 1 << (ring - 1)
    right[0], right[1], right[2], right[3] = low, high, high, low
    (first,), (second,) = Parties().products([sizes], [left], [right])
    check((first, second), left, right, ring)


@pytest.mark.slow
def test_many_products_are_packed_to_several_replies() -> None:
    sizes: Sizes = ((1, 64, 150, 140), 17, 50)
    chosen = layout(*sizes)
    assert chosen.levels > 2
    assert chosen.replies > 1
    assert chosen.inner_blocks > 1
    left, right = draw(np.random.default_rng(3), sizes)
    (first,), (second,) = Parties().products([sizes], [left], [right])
    check((first, second), left, right, 50)


def test_one_round_trip_and_the_declared_bytes() -> None:
    rng, parties = np.random.default_rng(4), Parties()
    calls: list[list[Sizes]] = [
        [((1, 8, 30, 64), 17, 48), ((2, 3, 5, 6), 52, 52)],  # keys for three primes, and for four
        [((1, 8, 30, 64), 17, 48)],
        [((1, 8, 30, 64), 48, 48), ((1, 1, 200, 300), 17, 44)],  # more primes and levels than before
        [],
    ]
    seen: list[Sizes] = []
    for number, sizes in enumerate(calls):
        before, keys = parties.sent, key_bytes(seen)
        drawn = [draw(rng, each) for each in sizes]
        lefts, rights = [left for left, _ in drawn], [right for _, right in drawn]
        first, second = parties.products(sizes, lefts, rights)
        for each, left, right, *shares in zip(sizes, lefts, rights, first, second, strict=True):
            check((shares[0], shares[1]), left, right, each[2])
        seen += sizes
        declared = np.sum(
            [(0, key_bytes(seen) - keys)] + [matrix_product_bytes(*each) for each in sizes], axis=0
        )
        np.testing.assert_array_equal(np.subtract(parties.sent, before), declared)
        rounds = {channel.meter.counters["online"].rounds for channel in parties.channels}
        assert rounds == {2 * min(number + 1, 3)}


def test_no_message_has_another_length_for_other_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: Sizes = ((1, 4, 20, 30), 17, 48)
    left, right = draw(np.random.default_rng(5), sizes)
    lengths = []
    for factor in (0, 1):
        parties = Parties()
        recorded: tuple[list[int], list[int]] = ([], [])
        for channel, sent in zip(parties.channels, recorded, strict=True):
            send = channel.send

            def recording(data: BytesLike, send=send, sent=sent) -> None:  # type: ignore[no-untyped-def]
                sent.append(len(byte_view(data)))
                send(data)

            monkeypatch.setattr(channel, "send", recording)
        parties.products([sizes], [left * np.uint64(factor)], [right * np.int32(factor)])
        lengths.append(recorded)
    assert lengths[0] == lengths[1]
    assert all(lengths[0])


def test_party_0s_share_is_uniform_and_fresh() -> None:
    sizes: Sizes = ((1, 64, 4, 128), 17, 48)
    zeros = np.zeros((1, 64, 4), dtype=np.uint64), np.zeros((1, 4, 128), dtype=np.int32)
    parties = Parties()
    shares = [parties.products([sizes], [zeros[0]], [zeros[1]])[0][0].reshape(-1) for _ in range(2)]
    count = len(shares[0])
    for words in (*shares, shares[0] ^ shares[1]):
        for bit in range(48):
            ones = int(np.sum(words >> np.uint64(bit) & np.uint64(1)))
            assert abs(ones - count / 2) < 3 * count**0.5  # six deviations


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="no product has the shape"):
        matrix_product_bytes((1, 0, 1, 1), 8, 8)
    with pytest.raises(ValueError, match="no product has the shape"):
        matrix_product_bytes((1, 1, 1, 1), 8, 65)
