from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import twin


def arguments(n: int, j: int, low: int, scale: int, bits: int) -> tuple[Any, ...]:
    generator = np.random.default_rng(n + j)
    return (
        generator.integers(0, (1 << j) - 1, n, dtype=np.uint64, endpoint=True),
        generator.integers(0, 2**64 - 1, (2, n), dtype=np.uint64, endpoint=True),
        generator.integers(0, 1 << 40, 1 << (j - 1 - low)),
        generator.integers(0, 1 << 30, 1 << low),
        j,
        scale,
        bits,
    )


@pytest.mark.parametrize(
    ("j", "low", "scale", "bits"), [(1, 0, 1, 64), (2, 1, 63, 1), (12, 5, 40, 64), (21, 10, 58, 52)]
)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 65, 70_003])
def test_matches_the_twin(native: Any, n: int, j: int, low: int, scale: int, bits: int) -> None:
    args = arguments(n, j, low, scale, bits)
    assert np.array_equal(native.exponential(*args), twin.exponential(*args))


def test_only_the_opened_bits_count(kernels: Any) -> None:
    args = list(arguments(100, 12, 5, 40, 64))
    expected = kernels.exponential(*args)
    args[0] = args[0] | np.uint64(2**64 - 2**12)
    assert np.array_equal(kernels.exponential(*args), expected)


def test_the_top_bit_chooses_the_factor(kernels: Any) -> None:
    delta = np.array([0, 1, 2, 3, 4, 5, 6, 7], dtype=np.uint64)
    factors = np.array([[1] * 8, [10] * 8], dtype=np.uint64)
    coarse, fine = np.array([4, 8]), np.array([0, 2])  # c + round(c f / 2^2)
    got = kernels.exponential(delta, factors, coarse, fine, 3, 2, 64)
    assert got.tolist() == [4, 6, 8, 12, 40, 60, 80, 120]


def test_wrong_arguments(kernels: Any) -> None:
    args = list(arguments(10, 6, 2, 20, 32))
    for position, wrong, match in (
        (1, args[1][:, :9].copy(), "factors"),
        (1, args[1][:1].copy(), "factors"),
        (2, args[2][:7].copy(), "coarse"),
        (2, args[2][:4].copy(), "coarse"),
        (3, args[3][:3].copy(), "coarse"),
        (3, args[3][:0].copy(), "coarse"),
        (4, 7, "coarse"),
        (4, 65, "coarse"),
        (5, 0, "scale"),
        (5, 64, "scale"),
        (6, 0, "bits must be"),
    ):
        changed = [*args[:position], wrong, *args[position + 1 :]]
        with pytest.raises(ValueError, match=match):
            kernels.exponential(*changed)
    for position in range(4):
        changed = [*args[:position], args[position].astype(np.float64), *args[position + 1 :]]
        with pytest.raises(TypeError):
            kernels.exponential(*changed)
