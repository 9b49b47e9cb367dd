"""Circuits on shared values against what they compute, every request answered in the clear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpcc.runtime.ring import U64, reduce
from mpcc.runtime.two_party.engine import circuits
from mpcc.runtime.two_party.engine.requests import Making
from tests.runtime.two_party.ideal import run_ideal

COUNTS = (0, 1, 63, 64, 130)
GENERATOR = np.random.default_rng(7)


def uniform(*shape: int, bits: int = 64) -> U64:
    return reduce(GENERATOR.integers(0, 2**64, size=shape, dtype=np.uint64, endpoint=False), bits)


def both(circuit: Callable[[int], Making], steps: int | None = None) -> tuple[Any, Any]:
    """What both parties' circuits return, after so many steps."""
    first, second, taken = run_ideal(([circuit(0)], [circuit(1)]), GENERATOR)
    assert steps is None or taken == steps
    return first[0], second[0]


def planes(x: U64, bits: int) -> U64:
    return np.stack([circuits.plane_of(x, bit) for bit in range(bits)])


def numbers(rows: U64, count: int) -> U64:
    """The opposite of `planes`."""
    bits = [circuits.elements_of(row, count) << np.uint64(place) for place, row in enumerate(rows)]
    return np.asarray(np.bitwise_or.reduce(np.stack(bits)))


def test_and() -> None:
    x, y = uniform(2, 9), uniform(2, 9)
    a, b = both(lambda party: circuits.and_shared(x[party], y[party], party), steps=1)
    assert np.array_equal(a ^ b, (x[0] ^ x[1]) & (y[0] ^ y[1]))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("size", "bits"), [(1, 1), (1, 2), (13, 5), (13, 13), (13, 14), (64, 64)])
def test_sum(size: int, bits: int, count: int) -> None:
    """Of addends of fewer bits, as many and more: the carry is the highest."""
    own = uniform(2, count, bits=size)
    a, b = both(lambda party: circuits.sum_bits(own[party], bits, party), bits - 1)
    assert a.shape == (bits, -(-count // 64))
    assert np.array_equal(numbers(a ^ b, count), reduce(own[0] + own[1], bits))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("bits", [1, 2, 3, 6, 7, 8])
def test_one_hot(bits: int, count: int) -> None:
    x = uniform(count, bits=bits)
    first = uniform(bits, -(-count // 64))
    shares = (first, planes(x, bits) ^ first)
    a, b = both(lambda party: circuits.one_hot(shares[party], count, party), bits - 1)
    expected = np.zeros((-(-(1 << bits) // 64), count), dtype=np.uint64)
    expected[(x >> np.uint64(6)).astype(int), np.arange(count)] = np.uint64(1) << (x & np.uint64(63))
    assert np.array_equal(a ^ b, expected)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("bits", "width"), [(1, 1), (1, 64), (4, 8), (7, 37)])
def test_one_hot_numbers(bits: int, width: int, count: int) -> None:
    own = uniform(2, count, bits=bits)
    a, b = both(lambda party: circuits.one_hot_numbers(own[party], bits, width, party))
    index = reduce(own[0] + own[1], bits)
    assert np.array_equal(reduce(a + b, width), index[:, None] == np.arange(1 << bits, dtype=np.uint64))


@pytest.mark.parametrize("number", [1, 63, 64, 65])
def test_select_planes(number: int) -> None:
    bit, rows = uniform(2, 5), uniform(2, number, 5)
    a, b = both(lambda party: circuits.select_planes(bit[party], rows[party], party), steps=1)
    assert np.array_equal(a ^ b, (bit[0] ^ bit[1]) & (rows[0] ^ rows[1]))


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("width", [1, 2, 33, 64])
def test_bits_as_numbers(width: int, count: int) -> None:
    bit = uniform(2, -(-count // 64))
    a, b = both(lambda party: circuits.to_arithmetic(bit[party], count, width, party))
    assert np.array_equal(reduce(a + b, width), circuits.elements_of(bit[0] ^ bit[1], count))
    a, b = both(lambda party: circuits.multiply_bits(bit[party], count, width, party), steps=1)
    assert np.array_equal(reduce(a + b, width), circuits.elements_of(bit[0] & bit[1], count))


def test_together_takes_as_many_steps_as_the_longest() -> None:
    own = uniform(2, 70)

    def circuit(party: int) -> Making:
        lengths = (1, 5, 3)
        parts = [circuits.sum_bits(own[party], bits, party) for bits in lengths]
        return (yield from circuits.together(parts))

    for bits, first, second in zip((1, 5, 3), *both(circuit, steps=4), strict=True):
        assert np.array_equal(numbers(first ^ second, 70), reduce(own[0] + own[1], bits))


def test_parity() -> None:
    words = uniform(100)
    assert circuits.parity(words).tolist() == [int(w).bit_count() % 2 for w in words]


def test_planes_and_elements() -> None:
    x = uniform(130, bits=3)
    assert np.array_equal(
        circuits.elements_of(circuits.plane_of(x, 2), 130), x >> np.uint64(2) & np.uint64(1)
    )
    assert np.array_equal(numbers(planes(x, 3), 130), x)
