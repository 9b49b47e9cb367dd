"""Noise of elementwise products against its bounds, and what a flood makes of it."""

import numpy as np
import pytest

from mpcc.runtime.two_party.rlwe.ole_parameters import slot_parameters
from tests.runtime.two_party.rlwe.noise import slot_errors, slot_noise

SETS = [((8, 8), 1), ((26, 26), 1), ((12, 12), 12), ((44, 44), 1)]


@pytest.mark.parametrize(("sizes", "terms"), SETS)
def test_noise_within_its_bounds(sizes: tuple[int, int], terms: int) -> None:
    noise = slot_noise(slot_parameters(sizes, terms))
    assert 0.5 < noise.mean_margin < 2.5  # of random numbers: 1.12 bits
    assert noise.largest_margin > 6
    assert noise.phase_margin > 1
    assert noise.distance_bits >= 40


def test_the_largest_numbers() -> None:
    """u in all slots the same, and alternating: polynomials of the least and of other shapes."""
    chosen = slot_parameters((26, 26))
    v = np.full((1, 1, chosen.degree), -(1 << 25))
    for u in (v, np.where(np.arange(chosen.degree) % 2, v, -v - 1), np.zeros_like(v)):
        errors = slot_errors(chosen, u, v)
        assert chosen.degree * np.abs(errors.noise).mean() <= 2.0 ** (chosen.flood_bits - 40)
        assert np.abs(errors.phase).max() < 0.25


def test_floods_are_uniform_and_independent_of_the_noise() -> None:
    chosen = slot_parameters((8, 8))
    generator = np.random.default_rng(2)
    u, v = generator.integers(-128, 128, size=(2, 16, 1, chosen.degree))
    errors = slot_errors(chosen, u, v)
    parts = errors.flood / 2.0**chosen.flood_bits
    assert parts.min() >= 0
    assert parts.max() < 1
    expected = parts.size / 16
    counts = np.bincount((parts * 16).astype(np.int64), minlength=16)
    assert np.sum((counts - expected) ** 2 / expected) < 100  # chi-square of 15 degrees: 10^-14
    assert abs(np.corrcoef(parts, errors.noise)[0, 1]) * np.sqrt(parts.size) < 7  # normal: 10^-11
