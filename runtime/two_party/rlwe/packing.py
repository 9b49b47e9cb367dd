"""Packing of ciphertexts that need only every S-th coefficient, 2^levels to one, by automorphisms.

Level l (of l = 0 ..) puts pairs together: with x and y of coefficients needed at multiples of s = S / 2^l,
    x' = x + X^(s/2) y + phi(x - X^(s/2) y),     phi: X -> X^(2N/s + 1)
has 2 x at multiples of s and 2 y in their middle: phi keeps X^(ts) and negates X^(ts + s/2) (Chen, Dai,
Kim, Song, "Efficient homomorphic conversion between (ring) LWE ciphertexts", ACNS 2021, section 3.3). A
factor of 2^levels remains.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.two_party.rlwe.layout import Layout
from mpcc.runtime.two_party.rlwe.parameters import DEGREE, switching, tables

_TOGETHER = 64  # ciphertexts that are packed at once: the key switches of a level are what threads share


class Packer:
    """Takes the ciphertexts in their order and returns the packed ones as they are done.

    `key` gives the switching key of an exponent. Ciphertexts are uint64[2, R, P, N], in coefficient form.
    """

    def __init__(self, layout: Layout, key: Callable[[int], U64]) -> None:
        self._layout = layout
        self._key = key
        self._taken: list[U64] = []  # fewer than _TOGETHER
        self._waiting: list[U64 | None] = [None] * layout.levels  # one without its partner, level by level

    def push(self, ciphertexts: U64) -> U64:
        """What is packed completely by these, uint64[2, R', P, N]."""
        self._taken.append(ciphertexts)
        if sum(taken.shape[1] for taken in self._taken) < _TOGETHER:
            return ciphertexts[:, :0]
        return self._pack_taken()

    def _pack_taken(self) -> U64:
        taken, self._taken = self._taken, []
        return self._pack(np.concatenate(taken, axis=1) if len(taken) > 1 else taken[0], 0)

    def _pack(self, ciphertexts: U64, level: int) -> U64:
        if level == self._layout.levels:
            return ciphertexts
        waiting = self._waiting[level]
        if waiting is not None:
            ciphertexts = np.concatenate([waiting, ciphertexts], axis=1)
        paired = ciphertexts.shape[1] // 2 * 2
        self._waiting[level] = ciphertexts[:, paired:].copy() if paired < ciphertexts.shape[1] else None
        if not paired:
            return ciphertexts[:, :0]
        return self._pack(self._merge(ciphertexts[:, :paired], level), level + 1)

    def finish(self) -> U64:
        """The others, and the last, for which there were fewer, if there is one."""
        done = [self._pack_taken()] if self._taken else []
        for level, waiting in enumerate(self._waiting):
            if waiting is not None:
                self._waiting[level] = None
                pair = np.concatenate([waiting, np.zeros_like(waiting)], axis=1)
                done.append(self._pack(self._merge(pair, level), level + 1))
        nothing = np.zeros((2, 0, self._layout.primes, DEGREE), dtype=np.uint64)
        return np.concatenate([nothing, *done], axis=1)

    def _merge(self, pairs: U64, level: int) -> U64:
        exponent, shift = self._layout.exponents[level], self._layout.stride >> (level + 1)
        table = tables(switching(self._layout.primes))
        return kernels.merge_pairs(np.ascontiguousarray(pairs), shift, exponent, self._key(exponent), table)
