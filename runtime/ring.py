"""Arithmetic of Z/2^bits in uint64 arrays, and fixed-point encoding."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
F64 = NDArray[np.float64]
Element = TypeVar("Element", np.int64, np.int32)


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


ENCODED_AT_ONCE = 1 << 20  # elements: weights have hundreds of millions, and doubles beside them are many


def encode(x: NDArray[np.floating], fraction: int) -> I64:
    """Round to `fraction` bits after the point."""
    return _encoded(x, fraction, np.int64)


def encode_narrow(x: NDArray[np.floating], fraction: int) -> I64 | I32:
    """`encode` in 32 bits where every integer fits."""
    extreme = max(float(np.max(x, initial=0)), -float(np.min(x, initial=0)))
    if extreme * 2.0**fraction < 2**31 - 1:
        return _encoded(x, fraction, np.int32)
    return _encoded(x, fraction, np.int64)


def _encoded(x: NDArray[np.floating], fraction: int, dtype: type[Element]) -> NDArray[Element]:
    flat = np.asarray(x).reshape(-1)
    result = np.empty(flat.size, dtype=dtype)
    for start in range(0, flat.size, ENCODED_AT_ONCE):
        part = slice(start, start + ENCODED_AT_ONCE)
        result[part] = np.rint(np.asarray(flat[part], dtype=np.float64) * 2.0**fraction)
    return result.reshape(np.shape(x))


def decode(x: I64, fraction: int) -> NDArray[np.float64]:
    """The real value of an integer with `fraction` bits after the point."""
    return np.asarray(x, dtype=np.float64) * 2.0**-fraction
