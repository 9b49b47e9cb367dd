from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mpcc.runtime.kernels import twin
from tests.runtime.kernels.levels import U64, Draw

WIDTHS = [1, 20, 32, 50, 52, 53, 63, 64]
# Remainders of the register tiles (2, 4, 8 rows; 4, 8, 24 columns), thin, empty, batched, deep.
SHAPES = [
    (1, 1, 1, 1),
    (1, 0, 5, 7),
    (1, 5, 0, 7),
    (1, 5, 7, 0),
    (0, 5, 7, 3),
    (1, 1, 300, 50),
    (1, 3, 64, 96),
    (1, 9, 257, 25),
    (1, 17, 513, 31),
    (2, 8, 16, 24),
    (12, 32, 32, 64),
    (3, 33, 70, 65),
    (1, 130, 100, 200),
]


def exact(a: U64, b: U64, bits: int) -> U64:
    """The product in Python integers."""
    product = a.astype(object) @ b.astype(object)
    return np.asarray(product % (1 << bits), dtype=np.uint64)


@pytest.mark.parametrize("bits", WIDTHS)
def test_small_products_are_exact(kernels: Any, ring: Draw, bits: int) -> None:
    a, b = ring(bits, 2, 5, 40), ring(bits, 2, 40, 27)
    assert np.array_equal(kernels.matmul(a, b, bits), exact(a, b, bits))


@pytest.mark.parametrize("bits", [32, 52, 64])
def test_the_largest_elements(kernels: Any, bits: int) -> None:
    a = np.full((1, 9, 600), (1 << bits) - 1, dtype=np.uint64)
    b = np.full((1, 600, 26), (1 << bits) - 1, dtype=np.uint64)
    assert (kernels.matmul(a, b, bits) == 600).all()


@pytest.mark.parametrize("bits", [20, 52, 64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(native: Any, ring: Draw, shape: tuple[int, ...], bits: int) -> None:
    batch, m, k, n = shape
    a = ring(bits, batch, m, k)
    for b in (ring(bits, batch, k, n), ring(bits, 1, k, n)):
        got = native.matmul(a, b, bits)
        assert got.shape == (batch, m, n)
        assert np.array_equal(got, twin.matmul(a, b, bits))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 300), st.integers(1, 70)),
    bits=st.integers(1, 64),
    seed=st.integers(0, 99),
)
def test_random_shapes(native: Any, shape: tuple[int, ...], bits: int, seed: int) -> None:
    batch, m, k, n = shape
    generator = np.random.default_rng(seed)
    high = (1 << bits) - 1
    a = generator.integers(0, high, (batch, m, k), dtype=np.uint64, endpoint=True)
    b = generator.integers(0, high, (batch, k, n), dtype=np.uint64, endpoint=True)
    assert np.array_equal(native.matmul(a, b, bits), twin.matmul(a, b, bits))


def test_unreduced_operands_count_modulo_the_ring(kernels: Any, ring: Draw) -> None:
    a, b = ring(64, 1, 11, 30), ring(64, 1, 30, 29)
    assert np.array_equal(kernels.matmul(a, b, 52), exact(a, b, 52))


def narrow(*shape: int) -> NDArray[np.int32]:
    """Integers of 32 bits, the extreme ones among them."""
    values = np.random.default_rng(7).integers(-(2**31), 2**31 - 1, shape, dtype=np.int32, endpoint=True)
    values[..., ::3], values[..., 1::5] = -(2**31), 2**31 - 1
    return values


@pytest.mark.parametrize("bits", [20, 52, 64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_integers_of_32_bits_are_elements_of_the_ring(
    kernels: Any, ring: Draw, shape: tuple[int, ...], bits: int
) -> None:
    batch, m, k, n = shape
    a = ring(bits, batch, m, k)
    for b in (narrow(batch, k, n), narrow(1, k, n)):
        expected = twin.matmul(a, b.astype(np.int64).view(np.uint64), bits)
        assert np.array_equal(kernels.matmul(a, b, bits), expected)


@pytest.mark.parametrize("bits", [20, 52, 64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_are_added(kernels: Any, ring: Draw, shape: tuple[int, ...], bits: int) -> None:
    batch, m, k, n = shape
    a, c = ring(bits, batch, m, k), ring(bits, batch, m, n)
    for b in (ring(bits, batch, k, n), narrow(1, k, n)):
        expected = (c + twin.matmul(a, b, bits)) & np.uint64((1 << bits) - 1)
        kernels.matmul_add(c, a, b, bits)
        assert np.array_equal(c, expected)


def test_wrong_sums(kernels: Any) -> None:
    a, b = np.zeros((2, 3, 4), dtype=np.uint64), np.zeros((2, 4, 5), dtype=np.uint64)
    for wrong in (
        np.zeros((2, 3, 5), dtype=np.int64),
        np.zeros((2, 5, 3), dtype=np.uint64).transpose(0, 2, 1),
    ):
        with pytest.raises(TypeError):
            kernels.matmul_add(wrong, a, b, 52)
    for shape in ((1, 3, 5), (2, 3, 4), (2, 4, 5)):
        with pytest.raises(ValueError, match="matmul_add"):
            kernels.matmul_add(np.zeros(shape, dtype=np.uint64), a, b, 52)


def test_wrong_arguments(kernels: Any) -> None:
    a, b = np.zeros((2, 3, 4), dtype=np.uint64), np.zeros((2, 4, 5), dtype=np.uint64)
    for wrong in (a.astype(np.int64), a[0], a.transpose(0, 2, 1), a[:, :, ::2]):
        with pytest.raises(TypeError):
            kernels.matmul(wrong, b, 52)
    for wrong in (b.astype(np.int16), b.astype(np.int32).transpose(0, 2, 1)):
        with pytest.raises(TypeError):
            kernels.matmul(a, wrong, 52)
    for wrong in (
        b[:, :3].copy(),
        np.zeros((3, 4, 5), dtype=np.uint64),
        np.zeros((0, 4, 5), dtype=np.uint64),
    ):
        with pytest.raises(ValueError, match="matmul"):
            kernels.matmul(a, wrong, 52)
    with pytest.raises(ValueError, match="bits must be 1 to 64"):
        kernels.matmul(a, b, 65)
