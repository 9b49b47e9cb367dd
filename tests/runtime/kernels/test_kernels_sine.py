from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import cosine_table, twin


def arguments(
    n: int, terms: int, j: int, p: int, shift: int, bits: int, odd: bool, seed: int = 0
) -> tuple[Any, ...]:
    generator = np.random.default_rng(seed)
    return (
        generator.integers(0, (1 << j) - 1, n, dtype=np.uint64, endpoint=True),
        generator.integers(0, (1 << bits) - 1, (2 * terms, n), dtype=np.uint64, endpoint=True),
        cosine_table(p, 14),
        generator.integers(-(1 << 20), 1 << 20, terms),
        np.arange(1, terms + 1),
        j,
        shift,
        bits,
        odd,
    )


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(("j", "p", "shift", "bits"), [(14, 14, 12, 32), (16, 10, 0, 52), (12, 2, 5, 53)])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 65, 5003])
def test_matches_the_twin(native: Any, n: int, j: int, p: int, shift: int, bits: int, odd: bool) -> None:
    for terms in (0, 1, 12):
        args = arguments(n, terms, j, p, shift, bits, odd)
        assert np.array_equal(native.sine_series(*args), twin.sine_series(*args))


@pytest.mark.parametrize("odd", [False, True])
def test_the_widest_ring(native: Any, odd: bool) -> None:
    args = arguments(100, 5, 64, 12, 20, 64, odd)
    assert np.array_equal(native.sine_series(*args), twin.sine_series(*args))


def test_any_harmonics(native: Any) -> None:
    args = list(arguments(100, 4, 20, 12, 3, 40, False))
    args[4] = np.array([-3, 0, 17, 2**40 + 1])
    assert np.array_equal(native.sine_series(*args), twin.sine_series(*args))


@pytest.mark.parametrize("odd", [False, True])
def test_the_shares_sum_to_the_series(kernels: Any, odd: bool) -> None:
    """Two parties, a dealer's t: the result is sum of b_m cos(2 pi m x / 2^j), or of sines, at 2^24."""
    j, bits, n, terms, fraction = 12, 40, 500, 8, 12
    generator = np.random.default_rng(3)
    x, t = generator.integers(0, 1 << j, (2, n))
    harmonics = np.arange(1, terms + 1)
    amplitudes = generator.normal(0, 1, terms)
    angle = 2 * np.pi * np.outer(harmonics, t) / (1 << j)
    plain = np.rint(np.concatenate([np.cos(angle), np.sin(angle)]) * (1 << fraction)).astype(np.int64)
    mask = np.uint64((1 << bits) - 1)
    share = generator.integers(0, 1 << bits, plain.shape, dtype=np.uint64)
    delta = ((x - t) % (1 << j)).astype(np.uint64)
    fixed = np.rint(amplitudes * (1 << 20)).astype(np.int64)
    result = np.zeros(n, dtype=np.uint64)
    for one in (share, (plain.view(np.uint64) - share) & mask):
        result += kernels.sine_series(delta, one, cosine_table(12, 14), fixed, harmonics, j, 22, bits, odd)
    signed = ((result & mask) << np.uint64(64 - bits)).view(np.int64) >> (64 - bits)
    wave = np.sin if odd else np.cos
    expected = amplitudes @ wave(2 * np.pi * np.outer(harmonics, x) / (1 << j))
    # Per term: half a unit of 2^-12 in the factor and in the dealer's number, and the table's 2^-15 of |b_m|.
    bound = 2 * terms * 2.0**-13 * 1.1 + 2 * np.abs(amplitudes).sum() * (2.0**-13 + 2.0**-14)
    assert np.abs(signed / (1 << 24) - expected).max() < bound


def test_rounding_is_to_nearest_and_halves_go_up(kernels: Any) -> None:
    table = np.array([3, 1, -3, -1], dtype=np.int64)
    delta = np.array([0, 1, 2, 3], dtype=np.uint64)
    shares = np.array([[1] * 4, [0] * 4], dtype=np.uint64)
    one = np.array([1])
    got = kernels.sine_series(delta, shares, table, one, one, 2, 1, 8, False)
    assert got.tolist() == [2, 1, 255, 0]  # 3/2, 1/2, -3/2, -1/2


def test_wrong_arguments(kernels: Any) -> None:
    args = list(arguments(10, 3, 14, 10, 4, 32, False))
    for position, wrong, match in (
        (2, cosine_table(10, 14)[:1000].copy(), "2\\^p"),
        (5, 9, "2\\^p"),
        (6, 63, "shift"),
        (6, -1, "shift"),
        (7, 0, "bits must be"),
        (3, np.zeros(4, dtype=np.int64), "amplitudes"),
    ):
        changed = [*args[:position], wrong, *args[position + 1 :]]
        with pytest.raises(ValueError, match=match):
            kernels.sine_series(*changed)
    for position, dtype in ((0, np.int64), (2, np.float64), (3, np.int32), (1, np.uint32)):
        changed = [*args[:position], args[position].astype(dtype), *args[position + 1 :]]
        with pytest.raises(TypeError):
            kernels.sine_series(*changed)
