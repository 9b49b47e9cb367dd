"""Transforms, products, automorphisms and key switching, against Python's integers and the twins."""

import math
from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import ntt_primes, ntt_tables, twin
from mpcc.runtime.kernels.ntt_tables import NttTables, is_prime
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


def test_primes() -> None:
    assert [p for p in range(60) if is_prime(p)] == [
        p for p in range(2, 60) if all(p % d for d in range(2, p))
    ]
    assert [n for n in (3215031751, 2**61 + 1, 2**61 - 1, 1, 0) if is_prime(n)] == [2**61 - 1]
    for bits in (16, 30, 50):
        primes = ntt_primes(bits, N, 3)
        assert all(p.bit_length() == bits and p % (2 * N) == 1 and is_prime(p) for p in primes)
        assert primes == sorted(primes, reverse=True)
    for arguments in ((51, N, 1), (12, N, 5)):
        with pytest.raises(ValueError, match="ntt_primes"):
            ntt_primes(*arguments)


def test_a_transform_is_the_values_at_roots(kernels: Any) -> None:
    x = random_residues(MODULI, 1, N)
    transformed = x.copy()
    kernels.ntt_forward(transformed, TABLES)
    for k, p in enumerate(MODULI.tolist()):
        psi = int(TABLES.forward[k, 0, N // 2])
        assert pow(psi, N, p) == p - 1
        for place in (0, 1, 2, 7, 8, 300, N - 1):
            root = pow(psi, 2 * int(f"{place:010b}"[::-1], 2) + 1, p)
            value = 0
            for coefficient in x[0, k, ::-1].tolist():
                value = (value * root + coefficient) % p
            assert transformed[0, k, place] == value
    kernels.ntt_inverse(transformed, TABLES)
    assert np.array_equal(transformed, x)


@pytest.mark.parametrize("degree", [1024, 2048, 4096, 8192, 16384])
def test_transforms_match_the_twin(native: Any, degree: int) -> None:
    moduli = some_moduli(degree, (50, 47, 20))
    tables = ntt_tables(moduli, degree)
    for rows in (0, 1, 3):
        x = random_residues(moduli, rows, degree)
        if rows:
            x[0] = moduli[:, None] - np.uint64(1)
        got, expected = x.copy(), x.copy()
        native.ntt_forward(got, tables)
        twin.ntt_forward(expected, tables)
        assert np.array_equal(got, expected)
        got[:] = x
        twin.ntt_inverse(expected, tables)
        native.ntt_inverse(got, tables)
        back = x.copy()
        twin.ntt_inverse(back, tables)
        assert np.array_equal(expected, x)
        assert np.array_equal(got, back)


def test_products_are_negacyclic(kernels: Any) -> None:
    x, y = random_residues(MODULI, 2, N, seed=1), random_residues(MODULI, 2, N, seed=2)
    left, right = x.copy(), y.copy()
    kernels.ntt_forward(left, TABLES)
    kernels.ntt_forward(right, TABLES)
    sums = np.zeros((1, 1, len(MODULI), N), dtype=np.uint64)
    kernels.multiply_accumulate(sums, left[None], right[:, None], MODULI)
    kernels.ntt_inverse(sums[0], TABLES)
    for k in range(len(MODULI)):
        products = [negacyclic(x[i, k].tolist(), y[i, k].tolist()) for i in range(2)]
        total = [a + b for a, b in zip(*products, strict=True)]
        assert np.array_equal(sums[0, 0, k], to_residues(total, MODULI[k : k + 1])[0])


@pytest.mark.parametrize(
    ("rows", "depth", "columns", "degree"),
    [
        (1, 1, 1, 8),
        (2, 15, 4, 20),
        (3, 16, 7, 520),
        (4, 31, 2, 1024),
        (1, 70, 3, 1),
        (2, 0, 2, 9),
        (5, 3, 0, 4),
    ],
)
def test_multiply_accumulate_matches_the_twin(
    native: Any, rows: int, depth: int, columns: int, degree: int
) -> None:
    x = random_residues(MODULI, rows, depth, degree, seed=1)
    y = random_residues(MODULI, depth, columns, degree, seed=2)
    got = random_residues(MODULI, rows, columns, degree, seed=3)
    expected = got.copy()
    native.multiply_accumulate(got, x, y, MODULI)
    twin.multiply_accumulate(expected, x, y, MODULI)
    assert np.array_equal(got, expected)


def test_the_largest_products(kernels: Any) -> None:
    largest = np.broadcast_to(MODULI[:, None] - np.uint64(1), (1, 100, len(MODULI), 16))
    x = np.ascontiguousarray(largest)
    sums = x[:, :1].copy()
    kernels.multiply_accumulate(sums, x, x.reshape(100, 1, len(MODULI), 16).copy(), MODULI)
    assert (sums == np.uint64(99)).all()  # -1 + 100 (-1)(-1)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(
    ("rows", "depth", "columns", "length"),
    [(1, 5, 5, N), (2, 37, 5, 64), (3, 5, 4, 8), (2, 2, 2, 1), (1, 11, 6, N // 2), (2, 0, 1, 16)],
)
def test_multiply_plain_matches_the_twin(
    native: Any, dtype: type[np.signedinteger], rows: int, depth: int, columns: int, length: int
) -> None:
    x = random_residues(MODULI, rows, depth, N)
    limits = np.iinfo(dtype)
    y = np.random.default_rng(0).integers(
        limits.min, limits.max, (depth, columns, length), dtype, endpoint=True
    )
    got = native.multiply_plain(x, y, TABLES)
    assert np.array_equal(got, twin.multiply_plain(x, y, TABLES))


def test_multiply_plain_at_other_degrees(native: Any) -> None:
    for degree in (2048, 8192):
        moduli = some_moduli(degree, (49, 40))
        tables = ntt_tables(moduli, degree)
        x = random_residues(moduli, 2, 3, degree)
        for length in (32, 64, degree):
            y = np.random.default_rng(0).integers(-(2**40), 2**40, (3, 2, length))
            assert np.array_equal(native.multiply_plain(x, y, tables), twin.multiply_plain(x, y, tables))


def test_multiply_plain_is_the_product_of_polynomials(kernels: Any) -> None:
    x, y = random_residues(MODULI, 1, 2, N), np.random.default_rng(1).integers(-(2**63), 2**63, (2, 1, 64))
    left = x.copy()
    kernels.ntt_forward(left[0], TABLES)
    product = kernels.multiply_plain(left, y, TABLES)
    for k in range(len(MODULI)):
        terms = [negacyclic(x[0, i, k].tolist(), y[i, 0].tolist() + [0] * (N - 64)) for i in range(2)]
        total = [a + b for a, b in zip(*terms, strict=True)]
        assert np.array_equal(product[0, 0, k], to_residues(total, MODULI[k : k + 1])[0])


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


def test_key_switching_rounds_the_exact_sum(kernels: Any) -> None:
    """One row of a random key, by integers: the digits times the key modulo q p, over p."""
    moduli = MODULI[1:]  # two primes and a special one
    tables = ntt_tables(moduli, N)
    key = random_residues(moduli, 2, 2, N, seed=4)
    c = random_residues(moduli[:2], 1, N, seed=5)
    transformed = key.copy()
    kernels.ntt_forward(transformed.reshape(4, 3, N), tables)
    switched = kernels.key_switch(c, transformed, tables)
    primes = [int(p) for p in moduli]
    for part in range(2):
        terms = [negacyclic(c[0, d].tolist(), to_integers(key[d, part], moduli)) for d in range(2)]
        total = [(a + b) % math.prod(primes) for a, b in zip(*terms, strict=True)]
        rounded = [divide_rounding(value, primes[2]) for value in total]
        assert np.array_equal(switched[0, part], to_residues(rounded, moduli[:2]))


@pytest.mark.parametrize("sizes", [(50, 39), (46, 46, 46, 39), (50, 50, 50, 50), (30,) * 5])
def test_key_switching_matches_the_twin(native: Any, sizes: tuple[int, ...]) -> None:
    for degree in (1024, 2048):
        moduli = some_moduli(degree, sizes)
        tables, primes = ntt_tables(moduli, degree), len(sizes) - 1
        key = random_residues(moduli, primes, 2, degree, seed=6)
        c = random_residues(moduli[:primes], 4, degree, seed=7)
        assert np.array_equal(native.key_switch(c, key, tables), twin.key_switch(c, key, tables))


@pytest.mark.parametrize(("shift", "exponent"), [(1, N + 1), (N // 2, 3), (37, 2 * N - 1), (N - 1, 5)])
def test_merging_matches_the_twin(native: Any, shift: int, exponent: int) -> None:
    key = random_residues(MODULI, 3, 2, N, seed=8)
    for pairs in (0, 1, 3):
        x = random_residues(SMALLER.moduli, 2, 2 * pairs, N, seed=9)
        got = native.merge_pairs(x, shift, exponent, key, TABLES)
        assert np.array_equal(got, twin.merge_pairs(x, shift, exponent, key, TABLES))


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


def test_wrong_tables(kernels: Any) -> None:
    x = np.zeros((2, 4, N), dtype=np.uint64)
    for wrong in (
        x[:, :3].copy(),
        np.zeros((2, 4, 2 * N), dtype=np.uint64),
        np.zeros((1, 4, 0), dtype=np.uint64),
    ):
        for transform in (kernels.ntt_forward, kernels.ntt_inverse):
            with pytest.raises(ValueError, match="tables"):
                transform(wrong, TABLES)
    for not_array in (x.astype(np.int64), x[0], x[:, :, ::2], x.tolist()):
        with pytest.raises(TypeError):
            kernels.ntt_forward(not_array, TABLES)
    broken = NttTables(TABLES.moduli, TABLES.forward[:, :1].copy(), TABLES.inverse)
    with pytest.raises(ValueError, match="tables"):
        kernels.ntt_forward(x, broken)
    for degree, moduli in ((1023, MODULI), (512, MODULI), (N, MODULI + np.uint64(2)), (16384, MODULI)):
        with pytest.raises(ValueError, match="ntt_tables"):
            ntt_tables(moduli, degree)


def test_wrong_arguments_of_products(kernels: Any) -> None:
    x = np.zeros((2, 3, 4, 8), dtype=np.uint64)
    y, sums = np.zeros((3, 5, 4, 8), dtype=np.uint64), np.zeros((2, 5, 4, 8), dtype=np.uint64)
    kernels.multiply_accumulate(sums, x, y, MODULI)
    for arguments in (
        (sums[:1].copy(), x, y, MODULI),
        (sums, x[:, :2].copy(), y, MODULI),
        (sums, x, y[..., :7].copy(), MODULI),
        (sums, x, y[:, :, :3].copy(), MODULI),
        (sums, x, y, MODULI[:3].copy()),
    ):
        with pytest.raises(ValueError, match="multiply_accumulate"):
            kernels.multiply_accumulate(*arguments)
    with pytest.raises(TypeError):
        kernels.multiply_accumulate(sums, x, y.astype(np.int64), MODULI)
    left, right = np.zeros((2, 3, 4, N), dtype=np.uint64), np.zeros((3, 5, 64), dtype=np.int64)
    for plain in (
        right[:2].copy(),
        right[..., :63].copy(),
        right[..., :0].copy(),
        np.zeros((3, 1, 2 * N), np.int64),
    ):
        with pytest.raises(ValueError, match="multiply_plain"):
            kernels.multiply_plain(left, plain, TABLES)
    with pytest.raises(ValueError, match="tables"):
        kernels.multiply_plain(left[:, :, :3].copy(), right, TABLES)
    with pytest.raises(TypeError):
        kernels.multiply_plain(left, right.astype(np.uint64), TABLES)


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
