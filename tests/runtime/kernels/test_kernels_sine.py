from typing import Any

import numpy as np
import pytest

from mpcc.runtime.kernels import cosine_table, twin, wave_table


def arguments(n: int, terms: int, j: int, p: int, shift: int, bits: int, seed: int = 0) -> tuple[Any, ...]:
    generator = np.random.default_rng(seed)
    return (
        generator.integers(0, (1 << j) - 1, n, dtype=np.uint64, endpoint=True),
        generator.integers(0, (1 << bits) - 1, (2 * terms, n), dtype=np.uint64, endpoint=True),
        wave_table(p, 14),
        generator.integers(-(1 << 20), 1 << 20, terms),
        np.arange(1, terms + 1),
        generator.integers(0, (1 << j) - 1, terms, dtype=np.uint64, endpoint=True),
        j,
        shift,
        bits,
    )


@pytest.mark.parametrize(
    ("j", "p", "shift", "bits"),
    [(14, 14, 12, 32), (16, 10, 0, 52), (12, 2, 5, 53), (32, 9, 3, 40), (33, 9, 3, 52), (40, 11, 9, 64)],
)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 65, 25_003])
def test_matches_the_twin(native: Any, n: int, j: int, p: int, shift: int, bits: int) -> None:
    for terms in (0, 1, 12):
        args = arguments(n, terms, j, p, shift, bits)
        assert np.array_equal(native.sine_series(*args), twin.sine_series(*args))


def test_the_widest_ring(native: Any) -> None:
    for j in (32, 64):
        args = arguments(100, 5, j, 12, 20, 64)
        assert np.array_equal(native.sine_series(*args), twin.sine_series(*args))


@pytest.mark.parametrize("p", [2, 3, 9])
def test_a_quarter_stands_for_the_period(kernels: Any, p: int) -> None:
    """Every angle, against the whole cosine table, for the cosine and minus the sine."""
    size, scale = 1 << p, 20
    cosine = cosine_table(p, scale)
    delta, one, none = np.arange(size, dtype=np.uint64), np.array([1]), np.zeros(1, dtype=np.uint64)
    for shares, expected in (([1, 0], cosine), ([0, 1], np.roll(cosine, -size // 4))):
        rows = np.repeat(np.array(shares, dtype=np.uint64)[:, None], size, axis=1)
        got = kernels.sine_series(delta, rows, wave_table(p, scale), one, one, none, p, 0, 64)
        assert np.array_equal(got.view(np.int64), expected)


def test_any_harmonics_and_phases(native: Any) -> None:
    args = list(arguments(100, 4, 20, 12, 3, 40))
    args[4] = np.array([-3, 0, 17, 2**40 + 1])
    args[5] = np.array([0, 1 << 19, 1 << 20, 2**64 - 3], dtype=np.uint64)  # counted mod 2^20
    assert np.array_equal(native.sine_series(*args), twin.sine_series(*args))


@pytest.mark.parametrize("sines", [0.0, 1.0, 0.37])
def test_the_shares_sum_to_the_series(kernels: Any, sines: float) -> None:
    """Two parties, a dealer's t: the result is sum of b_m cos(2 pi (m x - phase_m) / 2^j) at 2^24."""
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
    phases = np.full(terms, round(sines * (1 << j) / 4), dtype=np.uint64)
    fixed = np.rint(amplitudes * (1 << 20)).astype(np.int64)
    result = np.zeros(n, dtype=np.uint64)
    for one in (share, (plain.view(np.uint64) - share) & mask):
        result += kernels.sine_series(delta, one, wave_table(12, 14), fixed, harmonics, phases, j, 22, bits)
    signed = ((result & mask) << np.uint64(64 - bits)).view(np.int64) >> (64 - bits)
    turned = np.outer(harmonics, x) - phases[:, None].astype(np.int64)
    expected = amplitudes @ np.cos(2 * np.pi * turned / (1 << j))
    # Per term: half a unit of 2^-12 in the factor and in the dealer's number, and the table's 2^-15 of |b_m|.
    bound = 2 * terms * 2.0**-13 * 1.1 + 2 * np.abs(amplitudes).sum() * (2.0**-13 + 2.0**-14)
    assert np.abs(signed / (1 << 24) - expected).max() < bound


def test_rounding_is_to_nearest_and_halves_go_up(kernels: Any) -> None:
    table = np.array([3 << 32 | 1])  # cosines 3, 1, -3, -1
    delta = np.array([0, 1, 2, 3], dtype=np.uint64)
    shares = np.array([[1] * 4, [0] * 4], dtype=np.uint64)
    one = np.array([1])
    got = kernels.sine_series(delta, shares, table, one, one, np.array([0], dtype=np.uint64), 2, 1, 8)
    assert got.tolist() == [2, 1, 255, 0]  # 3/2, 1/2, -3/2, -1/2


def test_wrong_arguments(kernels: Any) -> None:
    args = list(arguments(10, 3, 14, 10, 4, 32))
    for position, wrong, match in (
        (2, wave_table(10, 14)[:100].copy(), "2\\^"),
        (6, 9, "2\\^"),
        (7, 63, "shift"),
        (7, -1, "shift"),
        (8, 0, "bits must be"),
        (3, np.zeros(4, dtype=np.int64), "amplitudes"),
        (3, np.array([0, 1 << 31, 0]), "32 bits"),
        (3, np.array([0, 0, -(1 << 31) - 1]), "32 bits"),
        (5, np.zeros(2, dtype=np.uint64), "phases"),
    ):
        changed = [*args[:position], wrong, *args[position + 1 :]]
        with pytest.raises(ValueError, match=match):
            kernels.sine_series(*changed)
    for position, dtype in ((0, np.int64), (2, np.float64), (3, np.int32), (1, np.uint32), (5, np.int64)):
        changed = [*args[:position], args[position].astype(dtype), *args[position + 1 :]]
        with pytest.raises(TypeError):
            kernels.sine_series(*changed)
