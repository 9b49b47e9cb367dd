"""Automorphisms, key switching and packing, against Python's integers and the twins."""

import math
from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import ntt_tables, twin
from mpcc.runtime.kernels.ntt_tables import NttTables
from tests.runtime.kernels.integers import (
    U64,
    divide_rounding,
    negacyclic,
    random_residues,
    some_moduli,
    to_integers,
    to_residues,
)

N = 1024
MODULI = some_moduli(N)
TABLES = ntt_tables(MODULI, N)
SMALLER = ntt_tables(MODULI[:3], N)


@pytest.mark.parametrize("exponent", [1, 3, 257, N + 1, 2 * N - 1])
def test_automorphisms(kernels: Any, exponent: int) -> None:
    x = random_residues(MODULI, 3, N)
    expected = np.zeros_like(x)
    for i in range(N):
        place = i * exponent % (2 * N)
        negated = np.where(x[..., i] == 0, 0, MODULI - x[..., i])
        expected[..., place % N] = x[..., i] if place < N else negated
    assert np.array_equal(kernels.automorphism(x, exponent, MODULI), expected)


def test_automorphisms_of_small_degrees(native: Any) -> None:
    for degree in (1, 2, 4, 16):
        x = random_residues(MODULI, 2, degree)
        for exponent in range(1, 2 * degree, 2):
            turned = native.automorphism(x, exponent, MODULI)
            assert np.array_equal(turned, twin.automorphism(x, exponent, MODULI))


def trivial_key(tables: NttTables) -> U64:
    """Switches c to (c, 0): digit d is p modulo q_d and 0 modulo the other primes, p the special one."""
    primes, degree = len(tables.moduli) - 1, tables.forward.shape[2]
    key = np.zeros((primes, 2, primes + 1, degree), dtype=np.uint64)
    for d in range(primes):
        key[d, 0, d] = tables.moduli[-1] % tables.moduli[d]
    return key


def test_a_trivial_key_switches_to_the_same(kernels: Any) -> None:
    c = random_residues(SMALLER.moduli, 5, N)
    switched = kernels.key_switch(c, trivial_key(TABLES), TABLES)
    assert np.array_equal(switched[:, 0], c)
    assert not switched[:, 1].any()


def test_key_switching_rounds_the_exact_sum(all_kernels: dict[str, Any]) -> None:
    """One row of a random key, by integers: the digits times the key modulo q p, over p."""
    moduli = MODULI[1:]  # two primes and a special one
    tables = ntt_tables(moduli, N)
    key = random_residues(moduli, 2, 2, N, seed=4)
    c = random_residues(moduli[:2], 1, N, seed=5)
    primes = [int(p) for p in moduli]
    expected = []
    for part in range(2):
        terms = [negacyclic(c[0, d].tolist(), to_integers(key[d, part], moduli)) for d in range(2)]
        total = [(a + b) % math.prod(primes) for a, b in zip(*terms, strict=True)]
        expected.append(to_residues([divide_rounding(value, primes[2]) for value in total], moduli[:2]))
    for level, kernels in all_kernels.items():
        transformed = key.copy()
        kernels.ntt_forward(transformed.reshape(4, 3, N), tables)
        assert np.array_equal(kernels.key_switch(c, transformed, tables)[0], np.stack(expected)), level


@pytest.mark.parametrize("sizes", [(50, 39), (46, 46, 46, 39), (50, 50, 50, 50), (30,) * 5])
def test_key_switching_matches_the_twin(natives: dict[str, Any], sizes: tuple[int, ...]) -> None:
    for degree in (1024, 2048):
        moduli = some_moduli(degree, sizes)
        tables, primes = ntt_tables(moduli, degree), len(sizes) - 1
        key = random_residues(moduli, primes, 2, degree, seed=6)
        c = random_residues(moduli[:primes], 4, degree, seed=7)
        expected = twin.key_switch(c, key, tables)
        for level, native in natives.items():
            assert np.array_equal(native.key_switch(c, key, tables), expected), level


@pytest.mark.parametrize(("shift", "exponent"), [(1, N + 1), (N // 2, 3), (37, 2 * N - 1), (N - 1, 5)])
def test_merging_matches_the_twin(natives: dict[str, Any], shift: int, exponent: int) -> None:
    key = random_residues(MODULI, 3, 2, N, seed=8)
    for pairs in (0, 1, 3):
        x = random_residues(SMALLER.moduli, 2, 2 * pairs, N, seed=9)
        expected = twin.merge_pairs(x, shift, exponent, key, TABLES)
        for level, native in natives.items():
            assert np.array_equal(native.merge_pairs(x, shift, exponent, key, TABLES), expected), level


def test_merging_puts_a_pair_into_one(kernels: Any) -> None:
    """Of each coefficient at a multiple of s, twice: of the first there, of the second s / 2 places on."""
    stride = 16
    x = random_residues(SMALLER.moduli, 2, 2, N)
    merged = kernels.merge_pairs(x, stride // 2, 2 * N // stride + 1, trivial_key(TABLES), TABLES)
    phase = (merged[0, 0] + merged[1, 0]) % SMALLER.moduli[:, None]  # the key's owner has s = 1
    of_pair = x.sum(axis=0) % SMALLER.moduli[:, None]
    for place, half in ((0, of_pair[0]), (stride // 2, of_pair[1])):
        assert np.array_equal(
            phase[:, place::stride], half[:, ::stride] * np.uint64(2) % SMALLER.moduli[:, None]
        )


def test_wrong_arguments_of_automorphisms_and_keys(kernels: Any) -> None:
    x = np.zeros((2, 4, 8), dtype=np.uint64)
    for exponent in (0, 2, -1, 16, 17):
        with pytest.raises(ValueError, match="exponent"):
            kernels.automorphism(x, exponent, MODULI)
    for wrong in (x[..., :7].copy(), x[:, :3].copy()):
        with pytest.raises(ValueError, match=r"x must be|automorphism"):
            kernels.automorphism(wrong, 3, MODULI)
    c, key = np.zeros((2, 3, N), dtype=np.uint64), np.zeros((3, 2, 4, N), dtype=np.uint64)
    for c_wrong, key_wrong, tables in (
        (c, key[:2].copy(), TABLES),
        (c, key, SMALLER),
        (c[:, :2].copy(), key, TABLES),
    ):
        with pytest.raises(ValueError, match=r"key|tables"):
            kernels.key_switch(c_wrong, key_wrong, tables)
    pairs = np.zeros((2, 2, 3, N), dtype=np.uint64)
    for wrong, shift, exponent in (
        (pairs[:1].copy(), 1, 3),
        (pairs[:, :1].copy(), 1, 3),
        (pairs, 0, 3),
        (pairs, N, 3),
        (pairs, 1, 2),
    ):
        with pytest.raises(ValueError, match=r"merge_pairs|exponent"):
            kernels.merge_pairs(wrong, shift, exponent, key, TABLES)
