"""Matrices as polynomials, in the places that `layout` gives them, and their products, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import I32, I64, U64, reduce, signed
from mpcc.runtime.two_party.rlwe.layout import Layout
from mpcc.runtime.two_party.rlwe.parameters import DEGREE, prefix, tables

_PRODUCT_BYTES = 1 << 25  # of products that are made at a time; some times as much is in use

Right = U64 | I64 | I32


def left_polynomials(left: U64, layout: Layout, row_block: int) -> U64:
    """One row block of left[rows, inner] mod 2^ring: uint64[inner blocks, N], mod 2^ring."""
    rows = left[row_block * layout.block_rows : (row_block + 1) * layout.block_rows]
    shifts = (np.uint64(limb * layout.limb_bits) for limb in range(layout.limbs))
    limbs = np.concatenate([reduce(rows << shift, layout.ring) for shift in shifts], axis=1)
    padded = np.zeros((len(rows), layout.inner_blocks * layout.stride), dtype=np.uint64)
    padded[:, : layout.inner] = limbs
    blocks = padded.reshape(len(rows), layout.inner_blocks, layout.stride).transpose(1, 0, 2).copy()
    blocks[:, 0, 1:] = reduce(-blocks[:, 0, 1:], layout.ring)  # X^(-j) = -X^(N-j)
    places = np.arange(len(rows))[:, None] * (layout.stride * layout.block_columns) - np.arange(layout.stride)
    polynomials = np.zeros((layout.inner_blocks, DEGREE), dtype=np.uint64)
    polynomials[:, places % DEGREE] = blocks
    return polynomials


def multiply(left: U64, right: Right, layout: Layout) -> Iterator[U64]:
    """Products of a batch element: uint64[2, R, P, N] at a time, in coefficient form, in the layout's order.

    `left`: the ciphertexts, transformed, uint64[2 * row blocks, inner blocks, P, N], all c0 before all c1.
    `right`[inner / limbs, columns]: as a `MatrixProduct` of party 0 has it.
    """
    row_blocks, columns = layout.row_blocks, layout.block_columns
    most = max(1, _PRODUCT_BYTES // (16 * row_blocks * layout.primes * DEGREE))
    step = (1 << most.bit_length() - 1) * columns  # of a power of two of blocks, which the packing pairs
    for start in range(0, layout.columns, step):
        polynomials = _right_polynomials(_limbs(right[:, start : start + step], layout), layout)
        sums = kernels.multiply_plain(left, polynomials, tables(prefix(layout.primes)))
        products = sums.reshape(2, row_blocks, *sums.shape[1:]).transpose(0, 2, 1, 3, 4)
        yield np.ascontiguousarray(products).reshape(2, -1, *sums.shape[2:])


def _limbs(right: Right, layout: Layout) -> I64 | I32:
    """Columns of party 0's factor as signed integers of `limb_bits`, limbs one below the other; int32 where
    they fit.
    """
    if right.dtype == np.int32 and layout.limbs == 1 and layout.ring >= 32:
        return right.astype(np.int32, copy=False)
    whole = signed(np.asarray(right, dtype=np.int64).view(np.uint64), layout.ring)
    low = np.int64((1 << layout.limb_bits) - 1)
    limbs = [whole >> np.int64(limb * layout.limb_bits) for limb in range(layout.limbs)]
    below = np.concatenate([*(limb & low for limb in limbs[:-1]), limbs[-1]])
    return below.astype(np.int32) if layout.limb_bits < 31 else below


def _right_polynomials(right: I64 | I32, layout: Layout) -> I64 | I32:
    """[inner, columns] to [inner blocks, column blocks, S n_w]: the coefficients after those are zero."""
    blocks = -(-right.shape[1] // layout.block_columns)
    padded = np.zeros((layout.inner_blocks * layout.stride, blocks * layout.block_columns), dtype=right.dtype)
    padded[: layout.inner, : right.shape[1]] = right
    parts = padded.reshape(layout.inner_blocks, layout.stride, blocks, layout.block_columns)
    return np.ascontiguousarray(parts.transpose(0, 2, 3, 1)).reshape(layout.inner_blocks, blocks, -1)
