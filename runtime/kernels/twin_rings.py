"""Key streams, bit streams, matrix products and planes of ring elements."""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mpcc.runtime.kernels.twin_arrays import I32, U8, U64, check, low_mask, to_plane, words_of

__all__ = [
    "expand",
    "matmul",
    "matmul_add",
    "pack",
    "planes_join",
    "planes_pack",
    "planes_split",
    "planes_unpack",
    "unpack",
]


def expand(key: bytes, stream: int, count: int, bits: int, first: int = 0) -> U64:
    """`count` elements of Z/2^bits from AES-128 in counter mode (NIST SP 800-38A, section 6.5), from element
    `first` of the stream on.

    Counter block i is `stream` as 8 bytes big endian, then i as 8 bytes big endian. An element takes 1, 2, 4
    or 8 bytes of the key stream, the least that holds `bits`, little endian, reduced to `bits`.
    """
    if not isinstance(key, bytes):
        raise TypeError("expand: key must be bytes")
    if len(key) != 16 or not 0 <= stream < 1 << 64 or count < 0:
        raise ValueError("expand: the key has 16 bytes, stream fits 64 bits, count is not negative")
    if not 0 <= first < 1 << 60:
        raise ValueError("expand: first is 0 to 2^60 - 1")
    mask = low_mask(bits)
    width = element_bytes(bits)
    block, skipped = divmod(first * width, 16)
    counter = stream.to_bytes(8, "big") + block.to_bytes(8, "big")
    encryptor = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    keystream = encryptor.update(bytes(skipped + count * width))
    return np.frombuffer(keystream, dtype=f"<u{width}", offset=skipped).astype(np.uint64) & mask


def element_bytes(bits: int) -> int:
    """Bytes of key stream that `expand` spends on one element of `bits` bits: 1, 2, 4 or 8."""
    low_mask(bits)
    return 1 << max(0, (bits - 1).bit_length() - 3)


def pack(values: U64, bits: int) -> U8:
    """The low `bits` of uint64[n] as the little-endian bit stream uint8[ceil(n*bits/8)]; the last byte is
    filled with zeros.
    """
    check(values, np.uint64, 1, "pack: values")
    low_mask(bits)
    planes = np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little", count=bits)
    return np.packbits(planes.reshape(-1), bitorder="little")


def unpack(data: U8, count: int, bits: int) -> U64:
    """The inverse of `pack`: `count` elements from exactly ceil(count*bits/8) bytes."""
    check(data, np.uint8, 1, "unpack: data")
    low_mask(bits)
    if count < 0 or len(data) != (count * bits + 7) // 8:
        raise ValueError("unpack: data must hold exactly ceil(count*bits/8) bytes")
    planes = np.zeros((count, 64), dtype=np.uint8)
    planes[:, :bits] = np.unpackbits(data, bitorder="little", count=count * bits).reshape(count, bits)
    return np.packbits(planes, axis=1, bitorder="little").view(np.uint64).reshape(count)


def matmul(a: U64, b: U64 | I32, bits: int) -> U64:
    """uint64[B,M,K] times uint64[B or 1,K,N], mod 2^bits, as uint64[B,M,N]. `b` may be int32: signed integers
    as elements of the ring.
    """
    check(a, np.uint64, 3, "matmul: a")
    if getattr(b, "dtype", None) == np.int32:
        check(b, np.int32, 3, "matmul: b")
        b = b.astype(np.int64).view(np.uint64)
    check(b, np.uint64, 3, "matmul: b")
    mask = low_mask(bits)
    if a.shape[2] != b.shape[1] or b.shape[0] not in (1, a.shape[0]):
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")
    product: U64 = np.matmul(a, b)
    product &= mask
    return product


def matmul_add(c: U64, a: U64, b: U64 | I32, bits: int) -> None:
    """Adds `matmul(a, b, bits)` to c, uint64[B,M,N], in place, mod 2^bits."""
    check(c, np.uint64, 3, "matmul_add: c")
    product = matmul(a, b, bits)
    if c.shape != product.shape:
        raise ValueError(f"matmul_add: c is {c.shape}, the product {product.shape}")
    c += product
    c &= low_mask(bits)


def planes_pack(bits: U8) -> U64:
    """uint8[n], each 0 or 1 (the lowest bit counts), to one plane, uint64[ceil(n/64)]."""
    check(bits, np.uint8, 1, "planes_pack: bits")
    return to_plane(bits & np.uint8(1))


def planes_unpack(words: U64, count: int) -> U8:
    """The inverse of `planes_pack`, row by row: uint64[planes, ceil(count/64)] to uint8[planes, count]."""
    check(words, np.uint64, 2, "planes_unpack: words")
    if count < 0 or words.shape[1] != words_of(count):
        raise ValueError("planes_unpack: words must be [planes, ceil(count/64)]")
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little", count=count)


def planes_split(values: U64, first_bit: int, count: int) -> U64:
    """Bits `first_bit` .. `first_bit` + `count` of uint64[n], a plane each: uint64[count, ceil(n/64)]."""
    check(values, np.uint64, 1, "planes_split: values")
    if first_bit < 0 or count < 0 or first_bit + count > 64:
        raise ValueError("planes_split: bits from first_bit on, of 64")
    planes = np.empty((count, words_of(len(values))), dtype=np.uint64)
    for place, plane in enumerate(planes, first_bit):
        plane[:] = planes_pack((values >> np.uint64(place)).astype(np.uint8))
    return planes


def planes_join(words: U64, count: int) -> U64:
    """Planes uint64[planes <= 64, ceil(count/64)] as the lowest bits of uint64[count], the first lowest."""
    check(words, np.uint64, 2, "planes_join: words")
    if count < 0 or words.shape[1] != words_of(count) or len(words) > 64:
        raise ValueError("planes_join: words must be [planes, ceil(count/64)], planes at most 64")
    values = np.zeros(count, dtype=np.uint64)
    for place, bits in enumerate(planes_unpack(words, count)):
        values |= bits.astype(np.uint64) << np.uint64(place)
    return values
