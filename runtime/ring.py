"""Arithmetic of Z/2^bits in uint64 arrays, and fixed-point encoding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

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


ENCODED_AT_ONCE = 1 << 16  # elements, whose doubles stay in the cache: weights have hundreds of millions


class Rows(Protocol):
    """An array, or one that lies in a file (`StoredArray`) and is read by rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: slice) -> NDArray[Any]: ...


def encode(x: Rows, fraction: int) -> I64:
    """Round to `fraction` bits after the point."""
    result = np.empty(x.shape, dtype=np.int64)
    _encode(x, fraction, result)
    return result


def encode_narrow(x: Rows, fraction: int) -> I64 | I32:
    """`encode` in 32 bits where every integer fits."""
    result = np.empty(x.shape, dtype=np.int32)
    if _encode(x, fraction, result):
        return result
    return encode(x, fraction)


def _encode(x: Rows, fraction: int, result: NDArray[Element]) -> bool:
    """Whether the integers fit; in 64 bits they always do."""
    flat, done = result.reshape(-1), 0
    buffer = np.empty(min(flat.size, ENCODED_AT_ONCE))
    for piece in _pieces(x):
        numbers = buffer[: piece.size]
        np.rint(np.multiply(piece, np.float64(2.0**fraction), out=numbers), out=numbers)
        if result.dtype == np.int32 and max(numbers.max(), -numbers.min()) >= 2**31 - 1:
            return False
        flat[done : done + piece.size] = numbers
        done += piece.size
    return True


def _pieces(x: Rows) -> Iterator[NDArray[Any]]:
    """Its numbers in order, at most ENCODED_AT_ONCE at a time."""
    if not x.shape:
        yield np.asarray(x).reshape(1)
        return
    step = max(1, ENCODED_AT_ONCE // max(1, math.prod(x.shape[1:])))
    for start in range(0, x.shape[0], step):
        flat = x[start : start + step].reshape(-1)
        yield from (flat[i : i + ENCODED_AT_ONCE] for i in range(0, flat.size, ENCODED_AT_ONCE))


def decode(x: I64, fraction: int) -> NDArray[np.float64]:
    """The real value of an integer with `fraction` bits after the point."""
    return np.asarray(x, dtype=np.float64) * 2.0**-fraction
