"""Arithmetic of Z/2^bits in uint64 arrays, and fixed-point encoding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


def mask(bits: int) -> np.uint64:
    """2^bits - 1."""
    return np.uint64((1 << bits) - 1)


def reduce(x: U64, bits: int) -> U64:
    """x mod 2^bits."""
    return x if bits == 64 else x & mask(bits)


def signed(x: U64, bits: int) -> I64:
    """The representative of x mod 2^bits in [-2^(bits-1), 2^(bits-1))."""
    shift = np.uint64(64 - bits)
    return (x << shift).view(np.int64) >> np.int64(64 - bits)


def to_ring(x: I64) -> U64:
    """Two's complement: a signed integer as an element of Z/2^64."""
    return np.asarray(x, dtype=np.int64, order="C").view(np.uint64)


def constant(value: int) -> np.uint64:
    """A Python integer mod 2^64."""
    return np.uint64(value & ((1 << 64) - 1))


def encode(x: NDArray[np.floating], fraction: int) -> I64:
    """Round to `fraction` bits after the point."""
    return np.rint(np.asarray(x, dtype=np.float64) * 2.0**fraction).astype(np.int64)


def decode(x: I64, fraction: int) -> NDArray[np.float64]:
    """The real value of an integer with `fraction` bits after the point."""
    return np.asarray(x, dtype=np.float64) * 2.0**-fraction
