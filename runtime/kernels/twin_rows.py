"""Counts along rows of masked small integers."""

import numpy as np

from mpcc.runtime.kernels.twin_arrays import U8, U16, U64, check

__all__ = ["lookup_bits", "row_counts"]


def row_counts(opened: U64, onehots: U8 | U16, bits: int, low: int, levels: int) -> U64:
    """Shares uint64[rows, levels] of the number of elements of a row in [v, low + levels], for
    v = low + 1 .. low + levels mod 2^bits: sums modulo the lane of `onehots`.

    The public `opened`[rows, length] and the secret a with x = opened + a mod 2^bits; `onehots`, uint8 or
    uint16[rows * length * 2^bits], is a share of the one-hot vector of each a. bits 1 to 10, levels 1 to
    2^bits - 1.
    """
    check(opened, np.uint64, 2, "row_counts: opened")
    lane = np.uint16 if getattr(onehots, "dtype", None) == np.uint16 else np.uint8
    check(onehots, lane, 1, "row_counts: onehots")
    if not 1 <= bits <= 10 or not 1 <= levels < 1 << bits:
        raise ValueError("row_counts: bits 1 to 10, levels 1 to 2^bits - 1")
    if onehots.size != opened.size << bits:
        raise ValueError("row_counts: onehots must be [rows * length * 2^bits]")
    vectors = onehots.reshape(*opened.shape, 1 << bits)
    from_the_top = np.arange(low + levels, low, -1)
    counts = np.zeros((len(opened), levels), dtype=lane)
    for row, (steps, shares) in enumerate(zip(opened.astype(np.int64), vectors, strict=True)):
        places = (from_the_top[None, :] - steps[:, None]) & ((1 << bits) - 1)
        histogram = np.take_along_axis(shares, places, axis=1).sum(axis=0, dtype=lane)
        counts[row] = np.cumsum(histogram, dtype=lane)[::-1]
    return counts.astype(np.uint64)


def lookup_bits(words: U64, places: U64, word_bits: int) -> U8:
    """uint8[n]: bit `places`[i] of row i of `words`[n, W], whose words have the low `word_bits` bits each.

    W and word_bits are powers of two, places count modulo W * word_bits. The addresses follow `places`, which
    are public.
    """
    check(words, np.uint64, 2, "lookup_bits: words")
    check(places, np.uint64, 1, "lookup_bits: places")
    if word_bits not in (1, 2, 4, 8, 16, 32, 64) or words.shape[1].bit_count() != 1:
        raise ValueError("lookup_bits: a row must have a power of two of words, of 1, 2, 4, .. or 64 bits")
    if len(words) != len(places):
        raise ValueError("lookup_bits: one place for each row")
    place = places & np.uint64(words.shape[1] * word_bits - 1)
    chosen = words[np.arange(len(words)), (place // np.uint64(word_bits)).astype(np.int64)]
    return ((chosen >> (place % np.uint64(word_bits))) & np.uint64(1)).astype(np.uint8)
