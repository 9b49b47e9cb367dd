"""Mixed-radix digits against whole numbers."""

import math

import numpy as np
import pytest

from mpcc.runtime.kernels.ntt_tables import ntt_primes
from mpcc.runtime.ring import U64
from mpcc.runtime.two_party.rlwe.ole_residues import MixedRadix

DEGREE = 1024
OTHERS = np.array(ntt_primes(48, DEGREE, 3), dtype=np.uint64)


def whole(primes: list[int]) -> list[list[int]]:
    """Two rows of numbers below t, with those around 0, (t - 1) / 2 and t - 1."""
    t, generator = math.prod(primes), np.random.default_rng(3)
    edges = [0, 1, (t - 1) // 2 - 1, (t - 1) // 2, (t - 1) // 2 + 1, t - 1]
    drawn = [int.from_bytes(generator.bytes(32), "little") % t for _ in range(2 * DEGREE - len(edges))]
    return [(edges + drawn)[:DEGREE], (edges + drawn)[DEGREE:]]


def residues(rows: list[list[int]], primes: list[int]) -> U64:
    return np.array([[[x % p for x in row] for p in primes] for row in rows], dtype=np.uint64)


@pytest.mark.parametrize("sizes", [(30,), (26, 27), (35, 35, 36), (50, 50, 50)])
def test_digits_lift_and_half(sizes: tuple[int, ...]) -> None:
    primes = sorted({p for size in sizes for p in ntt_primes(size, DEGREE, sizes.count(size))})
    t, rows = math.prod(primes), whole(primes)
    radix = MixedRadix(primes, DEGREE)
    x = residues(rows, primes)
    digits = radix.digits(x)
    words = [[value & (2**64 - 1) for value in row] for row in rows]
    assert np.array_equal(radix.words(digits), np.array(words, dtype=np.uint64))
    above = [[value > (t - 1) // 2 for value in row] for row in rows]
    assert np.array_equal(radix.exceed_half(digits), np.array(above, dtype=np.uint64))
    centred = [[value - t if value > (t - 1) // 2 else value for value in row] for row in rows]
    assert np.array_equal(radix.lift(x, OTHERS), residues(centred, OTHERS.tolist()))
