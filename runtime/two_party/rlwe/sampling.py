"""Secrets, errors and floods of ring learning with errors, each call's from a seed of the operating system.

Errors follow the centred binomial distribution of 42 coins: variance 10.5 (a deviation of 3.24, where the
homomorphic encryption standard has 3.2), never above 21. Nothing branches or looks up by what was drawn.
"""

from __future__ import annotations

import secrets

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import I32, U64, mask

_COINS = 21  # on either side
ERROR_VARIANCE = _COINS / 2
ERROR_BOUND = _COINS


def ternary(count: int, degree: int) -> I32:
    """int32[count, degree]: -1, 0 or 1, each with probability 1/3 but for 2^-62."""
    words = _uniform(count * degree, 62)
    return ((words * np.uint64(3) >> np.uint64(62)).astype(np.int32) - np.int32(1)).reshape(count, degree)


def errors(count: int, degree: int) -> I32:
    """int32[count, degree], centred binomial."""
    words = _uniform(count * degree, 2 * _COINS)
    heads = np.bitwise_count(words & mask(_COINS)).astype(np.int32)
    tails = np.bitwise_count(words >> np.uint64(_COINS)).astype(np.int32)
    differences: I32 = heads - tails
    return differences.reshape(count, degree)


def uniform_below(bits: int, count: int, degree: int, moduli: U64) -> U64:
    """uint64[count, P, degree]: residues of integers uniform below 2^bits."""
    total = np.zeros((count, len(moduli), degree), dtype=np.uint64)
    add_uniform_below(bits, total, moduli)
    return total


def add_uniform_below(bits: int, x: U64, moduli: U64) -> None:
    """Adds integers uniform below 2^bits to x[R, P, n], residues, in place."""
    rows, primes, degree = x.shape
    widths = [min(64, bits - start) for start in range(0, bits, 64)]
    words = np.stack([_uniform(rows * degree, width).reshape(rows, degree) for width in widths], axis=1)
    parts = kernels.residues(words.reshape(-1, degree), moduli).reshape(rows, len(widths), primes, degree)
    powers = [[pow(2, 64 * place, int(p)) for p in moduli] for place in range(len(widths))]
    factors = np.repeat(np.array(powers, dtype=np.uint64)[:, None, :, None], degree, axis=3)
    kernels.multiply_accumulate(x[:, None], parts, factors, moduli)


def _uniform(count: int, bits: int) -> U64:
    return kernels.expand(secrets.token_bytes(16), 0, count, bits)
