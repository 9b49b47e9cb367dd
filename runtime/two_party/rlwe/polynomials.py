"""Sums and multiples of polynomials as residues, uint64[..., P, N]."""

from __future__ import annotations

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64


def add(x: U64, y: U64, moduli: U64) -> U64:
    """x + y modulo each prime."""
    total: U64 = x + y
    np.minimum(total, total - moduli[:, None], out=total)
    return total


def subtract(x: U64, y: U64, moduli: U64) -> U64:
    """x - y modulo each prime."""
    difference: U64 = x - y
    np.minimum(difference, difference + moduli[:, None], out=difference)
    return difference


def times(x: U64, y: U64, moduli: U64) -> U64:
    """x[R, P, N] times the one y[P, N], element by element."""
    product = np.zeros((len(x), 1, *x.shape[1:]), dtype=np.uint64)
    kernels.multiply_accumulate(product, x[:, None], np.ascontiguousarray(y)[None, None], moduli)
    return product[:, 0]


def scale(x: U64, factor: int, moduli: U64) -> U64:
    """x[R, P, N] times an integer."""
    factors = np.array([factor % int(p) for p in moduli], dtype=np.uint64)
    return times(x, np.broadcast_to(factors[:, None], x.shape[1:]), moduli)
