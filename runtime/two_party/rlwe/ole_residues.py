"""Numbers modulo t, a product of up to three primes, as residues: lifted to other primes, reduced to shares.

The mixed-radix digits of x, 0 <= x < t, are d_0 < t_0, d_1 < t_1, ... with x = d_0 + d_1 t_0 + d_2 t_0 t_1
(Garner's algorithm: Knuth, The Art of Computer Programming, volume 2, section 4.3.2). The primes rise: a
digit is reduced modulo the primes after its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64, constant
from mpcc.runtime.two_party.rlwe.polynomials import add


class MixedRadix:
    """Digits modulo t, of arrays [R, k, N] with one degree N and k primes."""

    def __init__(self, primes: Sequence[int], degree: int) -> None:
        self.primes = primes
        self.radices = [math.prod(primes[:place]) for place in range(len(primes))]
        self._moduli = np.array(primes, dtype=np.uint64)
        self._degree = degree
        self._steps: list[U64] = []  # for digit i: the factors of its residue and of the digits before
        for place, (p, radix) in enumerate(zip(self.primes, self.radices, strict=True)):
            inverse = pow(radix, -1, p)
            factors = [inverse] + [-inverse * earlier % p for earlier in self.radices[:place]]
            self._steps.append(self.constants([[factor] for factor in factors]))

    def constants(self, factors: Sequence[Sequence[int]]) -> U64:
        """uint64[L, 1, P, N]: factors[L][P] of `multiply_accumulate`, the same for each coefficient."""
        table = np.array(factors, dtype=np.uint64)[:, None, :, None]
        return np.ascontiguousarray(np.broadcast_to(table, (*table.shape[:3], self._degree)))

    def digits(self, x: U64) -> U64:
        """uint64[R, k, N] of residues uint64[R, k, N]."""
        digits = x.copy()
        for place in range(1, len(self.primes)):
            sums = np.zeros((len(x), 1, 1, self._degree), dtype=np.uint64)
            parts = np.concatenate([x[:, place, None], digits[:, :place]], axis=1)[:, :, None]
            kernels.multiply_accumulate(sums, parts, self._steps[place], self._moduli[place : place + 1])
            digits[:, place] = sums[:, 0, 0]
        return digits

    def lift(self, x: U64, moduli: U64) -> U64:
        """uint64[R, P, N]: modulo the other primes, of the number in [-(t-1)/2, (t-1)/2] with residues
        uint64[R, k, N].
        """
        halves = (self._moduli >> np.uint64(1))[:, None]  # the residues of (t - 1) / 2, and its digits
        digits = self.digits(add(x, halves, self._moduli))
        parts = kernels.residues(digits.reshape(-1, self._degree), moduli)
        parts = parts.reshape(len(x), len(self.primes), len(moduli), self._degree)
        factors = self.constants([[radix % int(p) for p in moduli] for radix in self.radices])
        half = math.prod(self.primes) // 2
        sums = np.empty((len(x), 1, len(moduli), self._degree), dtype=np.uint64)
        sums[:] = np.array([-half % int(p) for p in moduli], dtype=np.uint64)[:, None]
        kernels.multiply_accumulate(sums, parts, factors, moduli)
        return sums[:, 0]

    def words(self, digits: U64) -> U64:
        """uint64[R, N]: the numbers modulo 2^64."""
        total: U64 = digits[:, 0].copy()
        for place, radix in enumerate(self.radices[1:], 1):
            total += digits[:, place] * constant(radix)
        return total

    def exceed_half(self, digits: U64) -> U64:
        """uint64[R, N], 0 or 1: whether the number is above (t - 1) / 2."""
        halves = np.array([p // 2 for p in self.primes], dtype=np.uint64)
        above: NDArray[np.bool_] = digits[:, 0] > halves[0]
        for place in range(1, len(self.primes)):
            digit = digits[:, place]
            above = (digit > halves[place]) | ((digit == halves[place]) & above)
        return above.astype(np.uint64)
