"""Noise of matrix products, seen with the secret key, against what the parameters are derived from."""

from __future__ import annotations

import pytest

from mpcc.runtime.two_party.rlwe.layout import layout
from mpcc.runtime.two_party.rlwe.matrix_product import Sizes
from mpcc.runtime.two_party.rlwe.parameters import DEGREE, MOST_PRIMES
from tests.runtime.two_party.rlwe.noise import matrix_noise

CASES: dict[str, Sizes] = {
    "two primes, no packing": ((1, 64, 32, 4), 4, 12),
    "two primes": ((1, 64, 32, 128), 4, 12),
    "linear layer": ((1, 128, 128, 64), 17, 52),
    "many levels": ((1, 1, 100, 1500), 17, 44),
    "attention": ((1, 64, 64, 64), 52, 52),
    "limbs": ((1, 32, 64, 64), 64, 64),
}


@pytest.mark.parametrize("sizes", CASES.values(), ids=CASES.keys())
def test_noise_and_flood_stay_within_their_bounds(sizes: Sizes) -> None:
    noise = matrix_noise(sizes)
    assert 0 <= noise.mean_margin < 9  # the bound has something to do with it
    assert noise.largest_margin >= 0
    assert noise.phase < 0.45  # half a unit would be another message


def test_flood_is_forty_bits_above_the_noise_of_a_whole_reply() -> None:
    for sizes in CASES.values():
        noise = layout(*sizes).noise
        assert DEGREE * noise.mean / 2**noise.flood_bits <= 2**-40
        assert layout(*sizes).primes <= MOST_PRIMES
