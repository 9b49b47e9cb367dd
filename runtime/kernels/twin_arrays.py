"""What every NumPy twin needs: array types, the check of an argument, masks and planes."""

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
U16 = NDArray[np.uint16]
U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]


def check(array: object, dtype: type[np.generic], dimensions: int, what: str) -> None:
    if not (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and array.ndim == dimensions
        and array.flags.c_contiguous
        and array.flags.aligned
    ):
        raise TypeError(f"{what} must be a C-contiguous {dimensions}-dimensional array of {dtype.__name__}")


def low_mask(bits: int) -> np.uint64:
    """2^bits - 1. Raises ValueError when `bits` is not 1 to 64."""
    if not 1 <= bits <= 64:
        raise ValueError(f"bits must be 1 to 64, got {bits}")
    return np.uint64((1 << bits) - 1)


def words_of(count: int) -> int:
    """Of a plane of `count` elements."""
    return (count + 63) // 64


def to_plane(bits: NDArray[np.unsignedinteger]) -> U64:
    """Zeros and ones to one plane."""
    padded = np.zeros(words_of(len(bits)) * 64, dtype=np.uint8)
    padded[: len(bits)] = bits
    return np.packbits(padded, bitorder="little").view(np.uint64)
