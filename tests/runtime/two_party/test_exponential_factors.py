"""Factors of exponentials that two parties make: close to the function at every mask."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mpcc.runtime.protocols.making_exponential import make_factors
from mpcc.runtime.ring import reduce, signed
from tests.runtime.two_party.ideal import run_ideal

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # NumPy's, of scalars that wrap


@pytest.mark.parametrize(
    ("j", "f", "fraction"),  # bits of the opening, of the argument's fraction and of both factors
    [
        (21, 16, 60),
        (21, 16, 62),
        (20, 16, 60),
        (18, 16, 62),
        (13, 12, 62),
        (6, 0, 60),
        (3, 0, 20),
        (2, 4, 10),
    ],
)
def test_factors_of_long_and_of_precise_exponentials(j: int, f: int, fraction: int) -> None:
    """Every mask's error in the result, for the largest public factor that is used with it."""
    generator, half = np.random.default_rng(j), 2.0 ** (j - f - 1)
    s0 = (fraction - math.ceil(half * math.log2(math.e))) // 2
    s1 = fraction - s0
    parts = generator.integers(0, 2**j, size=(2, 20000)).astype(np.uint64)
    makings = [[make_factors(j, f, s0, s1, parts[party], 64, party)] for party in (0, 1)]
    [one], [other], _ = run_ideal((makings[0], makings[1]), generator)
    t = reduce(parts[0] + parts[1], j)
    arguments = np.stack([signed(t, j) * 2.0**-f - half, t * 2.0**-f - 2 * half])
    error = np.abs((one + other).view(np.int64) - np.exp(arguments) * 2.0**s1) * 2.0**-s1
    largest = np.minimum(np.exp(half), np.exp(-arguments))
    assert (error * largest).max() < 4 * 2.0**-s0
