"""Polynomials and residues by Python's integers: the oracle of the RLWE kernels."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpcc.runtime.kernels import ntt_primes

U64 = NDArray[np.uint64]


def some_moduli(degree: int, sizes: Sequence[int] = (50, 50, 46, 31)) -> U64:
    """Different primes of so many bits."""
    primes = [p for size in sorted(set(sizes)) for p in ntt_primes(size, degree, sizes.count(size))]
    return np.array(primes[::-1], dtype=np.uint64)


def random_residues(moduli: U64, *shape: int, seed: int = 0) -> U64:
    """Random, uint64[shape[:-1], P, shape[-1]], with the least and the largest residues among them."""
    generator = np.random.default_rng(seed)
    x = generator.integers(0, moduli[:, None], (*shape[:-1], len(moduli), shape[-1]), dtype=np.uint64)
    x[..., : shape[-1] // 16] = moduli[:, None] - np.uint64(1)
    x[..., shape[-1] // 16 : shape[-1] // 8] = 0
    return x


def to_residues(numbers: Sequence[int], moduli: U64) -> U64:
    """uint64[P, n]."""
    return np.array([[number % int(p) for number in numbers] for p in moduli], dtype=np.uint64)


def to_integers(x: U64, moduli: U64) -> list[int]:
    """Of residues [P, n], by the Chinese remainder theorem: 0 .. q - 1."""
    primes = [int(p) for p in moduli]
    q = math.prod(primes)
    units = [q // p * pow(q // p, -1, p) for p in primes]
    return [sum(int(r) * unit for r, unit in zip(column, units, strict=True)) % q for column in x.T]


def negacyclic(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """The product modulo X^n + 1 of polynomials of integers: one product of integers (Kronecker)."""
    n = len(a)
    width = max(abs(v) for v in a).bit_length() + max(abs(v) for v in b).bit_length() + n.bit_length() + 2
    product = sum(v << (i * width) for i, v in enumerate(a)) * sum(v << (i * width) for i, v in enumerate(b))
    terms, half = [], 1 << (width - 1)
    for _ in range(2 * n):
        term = ((product + half) & ((1 << width) - 1)) - half
        terms.append(term)
        product = (product - term) >> width
    return [terms[i] - terms[i + n] for i in range(n)]


def divide_rounding(x: int, d: int) -> int:
    """x / d to the nearest integer, a half up."""
    return (2 * x + d) // (2 * d)
