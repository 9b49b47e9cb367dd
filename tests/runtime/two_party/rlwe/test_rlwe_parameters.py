"""Primes, keys and layouts: within the standard's table, and as the sizes of the issue need them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mpcc.runtime.kernels.ntt_tables import PRIME_BITS, is_prime
from mpcc.runtime.two_party.rlwe import sampling
from mpcc.runtime.two_party.rlwe.keys import PUBLIC, merge, missing, missing_bytes, needs
from mpcc.runtime.two_party.rlwe.layout import layout
from mpcc.runtime.two_party.rlwe.matrix_product import Sizes, key_bytes, matrix_product_bytes
from mpcc.runtime.two_party.rlwe.parameters import (
    DEGREE,
    MOST_PRIMES,
    SECURE_BITS,
    SPECIAL,
    WIDTHS,
    chain,
    moduli,
)
from tests.runtime.kernels.integers import to_integers

SIZES: list[Sizes] = [
    ((1, 128, 768, 3072), 17, 44),
    ((1, 128, 768, 3072), 17, 52),
    ((1, 128, 3072, 768), 17, 52),
    ((1, 32, 384, 1536), 17, 50),
    ((1, 1, 768, 3072), 17, 50),
    ((8, 16, 768, 3072), 17, 50),
    ((12, 128, 64, 128), 40, 40),
    ((12, 128, 64, 128), 52, 52),
    ((3, 5, 7, 9), 64, 64),
    ((1, 300, 20, 11), 9, 33),
]


def test_the_chain_is_within_the_128_bit_table() -> None:
    primes = chain()
    assert math.log2(math.prod(primes)) <= SECURE_BITS[DEGREE] == 218
    assert len(set(primes)) == len(primes) == MOST_PRIMES + 1
    for prime, width in zip(primes, WIDTHS, strict=True):
        assert is_prime(prime)
        assert prime % (2 * DEGREE) == 1
        assert prime.bit_length() == width <= PRIME_BITS


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_each_result_is_in_one_reply_and_places_do_not_meet(sizes: Sizes) -> None:
    chosen = layout(*sizes)
    assert chosen.block_rows * chosen.stride * chosen.block_columns == DEGREE
    seen = []
    for reply in range(chosen.replies):
        places, indices = chosen.received(reply)
        assert len(np.unique(places)) == len(places)
        assert places.min() >= 0
        assert places.max() < DEGREE
        seen.append(indices)
    batch, rows, _, columns = sizes[0]
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(batch * rows * columns))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_declared_request_bytes_are_those_of_the_coefficients(sizes: Sizes) -> None:
    chosen = layout(*sizes)
    total = 0
    for row_block in range(chosen.row_blocks):
        for inner_block in range(chosen.inner_blocks):
            places = chosen.sent(row_block, inner_block)
            assert len(np.unique(places)) == len(places)
            total += sum(-(-len(places) * width // 8) for width in WIDTHS[: chosen.primes])
    assert chosen.request_bytes == chosen.batch * total


@pytest.mark.parametrize(("ring", "most"), [(35, 11_000_000), (44, 15_000_000), (52, 16_000_000)])
@pytest.mark.parametrize("right_bits", [16, 20])
def test_bytes_of_a_bert_layers_product_with_keys(ring: int, most: int, right_bits: int) -> None:
    sizes: Sizes = ((1, 128, 768, 3072), right_bits, ring)
    assert sum(matrix_product_bytes(*sizes)) + key_bytes([sizes]) < most


def test_keys_grow_by_what_is_missing() -> None:
    sizes: list[Sizes] = [((1, 32, 384, 1536), 17, 36), ((12, 128, 64, 128), 52, 52)]
    first, second = (needs([layout(*each)]) for each in sizes)
    both = merge(first, second)
    assert second[PUBLIC] == 4
    assert first[PUBLIC] == 3
    assert (
        missing_bytes({}, both) == missing_bytes({}, first) + missing_bytes(first, both) == key_bytes(sizes)
    )
    rows = [(exponent, digit, row) for exponent, digit, rows in missing({}, both) for row in rows]
    grown = [
        (exponent, digit, row)
        for step in (missing({}, first), missing(first, both))
        for exponent, digit, rows in step
        for row in rows
    ]
    assert sorted(rows) == sorted(grown)
    assert len(set(rows)) == len(rows)
    assert list(missing(both, first)) == []
    assert {row for exponent, _, row in rows if exponent == PUBLIC} == {0, 1, 2, 3} != {SPECIAL}


def test_samples_have_their_distributions() -> None:
    ternary = sampling.ternary(8, 8192).reshape(-1)
    for value in (-1, 0, 1):
        assert abs(np.mean(ternary == value) - 1 / 3) < 0.012  # six deviations
    small = sampling.errors(8, 8192).reshape(-1)
    assert np.abs(small).max() <= sampling.ERROR_BOUND
    assert abs(small.mean()) < 0.08
    assert abs(small.var() - sampling.ERROR_VARIANCE) < 0.4
    assert not np.array_equal(small, sampling.errors(8, 8192).reshape(-1))


@pytest.mark.parametrize("bits", [1, 40, 64, 65, 100])
def test_uniform_numbers_of_any_length(bits: int) -> None:
    residues = sampling.uniform_below(bits, 2, 4096, moduli(MOST_PRIMES))
    numbers = to_integers(residues[0], moduli(len(residues[0])))
    assert max(numbers) < 1 << bits
    for bit in (0, bits // 2, bits - 1):
        assert abs(sum(number >> bit & 1 for number in numbers) - 2048) < 200  # six deviations
