"""Transforms and products, against Python's integers and the twins."""

from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import ntt_primes, ntt_tables, twin
from mpcc.runtime.kernels.ntt_tables import NttTables, is_prime
from tests.runtime.kernels.integers import negacyclic, random_residues, some_moduli, to_residues
from tests.runtime.kernels.levels import check_sums_of_products, check_transforms

N = 1024
MODULI = some_moduli(N)
TABLES = ntt_tables(MODULI, N)


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
def test_transforms_match_the_twin(natives: dict[str, Any], degree: int) -> None:
    moduli = some_moduli(degree, (50, 47, 20))
    tables = ntt_tables(moduli, degree)
    for rows in (0, 1, 3):
        x = random_residues(moduli, rows, degree)
        if rows:
            x[0] = moduli[:, None] - np.uint64(1)
        check_transforms(natives, x, tables)
        there = x.copy()
        twin.ntt_forward(there, tables)
        twin.ntt_inverse(there, tables)
        assert np.array_equal(there, x)


def test_products_are_negacyclic(all_kernels: dict[str, Any]) -> None:
    x, y = random_residues(MODULI, 2, N, seed=1), random_residues(MODULI, 2, N, seed=2)
    expected = np.empty((len(MODULI), N), dtype=np.uint64)
    for k in range(len(MODULI)):
        products = [negacyclic(x[i, k].tolist(), y[i, k].tolist()) for i in range(2)]
        total = [a + b for a, b in zip(*products, strict=True)]
        expected[k] = to_residues(total, MODULI[k : k + 1])[0]
    for level, kernels in all_kernels.items():
        left, right = x.copy(), y.copy()
        kernels.ntt_forward(left, TABLES)
        kernels.ntt_forward(right, TABLES)
        sums = np.zeros((1, 1, len(MODULI), N), dtype=np.uint64)
        kernels.multiply_accumulate(sums, left[None], right[:, None], MODULI)
        kernels.ntt_inverse(sums[0], TABLES)
        assert np.array_equal(sums[0, 0], expected), level


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
    natives: dict[str, Any], rows: int, depth: int, columns: int, degree: int
) -> None:
    x = random_residues(MODULI, rows, depth, degree, seed=1)
    y = random_residues(MODULI, depth, columns, degree, seed=2)
    sums = random_residues(MODULI, rows, columns, degree, seed=3)
    check_sums_of_products(natives, sums, x, y, MODULI)


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
    natives: dict[str, Any],
    dtype: type[np.signedinteger],
    rows: int,
    depth: int,
    columns: int,
    length: int,
) -> None:
    x = random_residues(MODULI, rows, depth, N)
    limits = np.iinfo(dtype)
    y = np.random.default_rng(0).integers(
        limits.min, limits.max, (depth, columns, length), dtype, endpoint=True
    )
    expected = twin.multiply_plain(x, y, TABLES)
    for level, native in natives.items():
        assert np.array_equal(native.multiply_plain(x, y, TABLES), expected), level


def test_multiply_plain_at_other_degrees(natives: dict[str, Any]) -> None:
    for degree in (2048, 8192):
        moduli = some_moduli(degree, (49, 40))
        tables = ntt_tables(moduli, degree)
        x = random_residues(moduli, 2, 3, degree)
        for length in (32, 64, degree):
            y = np.random.default_rng(0).integers(-(2**40), 2**40, (3, 2, length))
            expected = twin.multiply_plain(x, y, tables)
            for level, native in natives.items():
                assert np.array_equal(native.multiply_plain(x, y, tables), expected), level


def test_multiply_plain_is_the_product_of_polynomials(all_kernels: dict[str, Any]) -> None:
    x, y = random_residues(MODULI, 1, 2, N), np.random.default_rng(1).integers(-(2**63), 2**63, (2, 1, 64))
    expected = np.empty((len(MODULI), N), dtype=np.uint64)
    for k in range(len(MODULI)):
        terms = [negacyclic(x[0, i, k].tolist(), y[i, 0].tolist() + [0] * (N - 64)) for i in range(2)]
        total = [a + b for a, b in zip(*terms, strict=True)]
        expected[k] = to_residues(total, MODULI[k : k + 1])[0]
    for level, kernels in all_kernels.items():
        left = x.copy()
        kernels.ntt_forward(left[0], TABLES)
        assert np.array_equal(kernels.multiply_plain(left, y, TABLES)[0, 0], expected), level


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
