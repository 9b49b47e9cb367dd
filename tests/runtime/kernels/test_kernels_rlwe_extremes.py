"""Moduli of every size with the least and the largest residues, at every level against the twins: integers of
52 bits, of 128 bits and doubles have different bounds inside.
"""

from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import ntt_primes, ntt_tables, twin
from tests.runtime.kernels.integers import U64, some_moduli
from tests.runtime.kernels.levels import check_sums_of_products, check_transforms

SIZES = range(14, 51)  # at degree 1024 there are primes of so many bits
# Odd and coprime, between both ends of what the kernels take.
ODD = (3, 5, 7, 2**13 - 1, 2**26 - 3, 2**47 - 1, 2**47 + 5, 2**49 - 1, 2**49 + 9, 2**50 - 5, 2**50 - 3)


def extremes(moduli: U64, *shape: int, seed: int = 0) -> U64:
    """uint64[*shape[:-1], P, shape[-1]] of 0, 1, those next to p / 2, p - 2 and p - 1, at random.

    The first four rows are all 0, 1, p - 1, and p - 1 and 0 in turn; half of every second one after them is
    any residues.
    """
    generator = np.random.default_rng(seed)
    p = moduli.astype(np.int64)[:, None]
    corners = np.stack([0 * p, 0 * p + 1, p // 2, p // 2 + 1, p - 2, p - 1])
    size = (int(np.prod(shape[:-1])), len(moduli), shape[-1])
    rows = np.choose(generator.integers(0, len(corners), size), corners[:, None])
    drawn = generator.integers(0, p, size)
    rows[5::2] = np.where(generator.integers(0, 2, size)[5::2] == 0, rows[5::2], drawn[5::2])
    for row, (even, odd) in zip(rows, ((0, 0), (1, 1), (5, 5), (5, 0)), strict=False):
        row[:, ::2], row[:, 1::2] = corners[even], corners[odd]
    return rows.astype(np.uint64).reshape(*shape[:-1], len(moduli), shape[-1])


@pytest.mark.parametrize("sizes", [SIZES[:13], SIZES[13:26], SIZES[26:]], ids=str)
def test_transforms_by_primes_of_every_size(natives: dict[str, Any], sizes: range) -> None:
    moduli = some_moduli(1024, sizes)
    tables = ntt_tables(moduli, 1024)
    x = extremes(moduli, 8, 1024)
    check_transforms(natives, x, tables)
    for other in (twin.ntt_inverse, twin.ntt_forward):
        before = x.copy()
        other(before, tables)
        check_transforms(natives, before, tables)  # extreme after one of them


@pytest.mark.parametrize("degree", [2048, 4096, 8192, 16384])
def test_transforms_by_the_largest_primes(natives: dict[str, Any], degree: int) -> None:
    moduli = np.array([*ntt_primes(50, degree, 2), *ntt_primes(47, degree, 1)], dtype=np.uint64)
    tables = ntt_tables(moduli, degree)
    check_transforms(natives, extremes(moduli, 7, degree), tables)


@pytest.mark.parametrize("depth", [1, 2, 14, 15, 16])
def test_sums_of_products_by_moduli_of_every_size(natives: dict[str, Any], depth: int) -> None:
    moduli = np.array(ODD, dtype=np.uint64)
    x, y = extremes(moduli, 5, depth, 37, seed=1), extremes(moduli, depth, 7, 37, seed=2)
    sums = extremes(moduli, 5, 7, 37, seed=3)
    check_sums_of_products(natives, sums, x, y, moduli)


def test_residues_by_moduli_of_every_size(natives: dict[str, Any]) -> None:
    moduli = np.array(ODD, dtype=np.uint64)
    near = [sign * (1 << bits) + offset for bits in range(64) for sign in (-1, 1) for offset in (-1, 0, 1)]
    multiples = [p * (2**63 // p) + offset for p in ODD for offset in (-1, 0)]
    words = np.array([[value % 2**64 for value in near + multiples]], dtype=np.uint64)
    for level, native in natives.items():
        for values in (words, words.view(np.int64), words.astype(np.int32)):
            assert np.array_equal(native.residues(values, moduli), twin.residues(values, moduli)), level
        for bits in (1, 30, 64):
            assert np.array_equal(native.scale_up(words, bits, moduli), twin.scale_up(words, bits, moduli)), (
                level
            )


@pytest.mark.parametrize("order", [ODD, ODD[::-1], ODD[::2] + ODD[1::2]], ids=["up", "down", "mixed"])
def test_divisions_by_moduli_of_every_size(natives: dict[str, Any], order: tuple[int, ...]) -> None:
    """A small modulus is dropped beside a large one, and a large one beside a small."""
    moduli = np.array(order, dtype=np.uint64)
    x = extremes(moduli, 8, 101)
    for keep in (1, 6, 10):
        expected = twin.drop_primes(x, moduli, keep)
        for level, native in natives.items():
            assert np.array_equal(native.drop_primes(x, moduli, keep), expected), level
    for bits in (1, 37, 64):
        expected = twin.scale_down(x, moduli, bits)
        for level, native in natives.items():
            assert np.array_equal(native.scale_down(x, moduli, bits), expected), level


@pytest.mark.parametrize("sizes", [(50,) * 5, (50, 14), (14, 50), (46, 50, 20, 47, 48), (50,) * 16], ids=str)
def test_key_switching_by_primes_of_every_size(natives: dict[str, Any], sizes: tuple[int, ...]) -> None:
    primes = [ntt_primes(size, 1024, sizes[: place + 1].count(size))[-1] for place, size in enumerate(sizes)]
    moduli = np.array(primes, dtype=np.uint64)
    tables, count = ntt_tables(moduli, 1024), len(moduli) - 1
    c, key = extremes(moduli[:-1], 6, 1024), extremes(moduli, count, 2, 1024, seed=1)
    pairs = extremes(moduli[:-1], 2, 2, 1024, seed=2)
    switched = twin.key_switch(c, key, tables)
    merged = twin.merge_pairs(pairs, 16, 65, key, tables)
    for level, native in natives.items():
        assert np.array_equal(native.key_switch(c, key, tables), switched), level
        assert np.array_equal(native.merge_pairs(pairs, 16, 65, key, tables), merged), level


@pytest.mark.parametrize("length", [1, 32, 64, 1024])
def test_plain_products_by_primes_of_every_size(natives: dict[str, Any], length: int) -> None:
    moduli = some_moduli(1024, (50, 49, 47, 32, 14))
    tables = ntt_tables(moduli, 1024)
    x = extremes(moduli, 2, 17, 1024)
    limits = np.iinfo(np.int64)
    y = np.random.default_rng(0).choice(np.array([limits.min, -1, 0, 1, limits.max]), (17, 3, length))
    expected = twin.multiply_plain(x, y, tables)
    for level, native in natives.items():
        assert np.array_equal(native.multiply_plain(x, y, tables), expected), level
