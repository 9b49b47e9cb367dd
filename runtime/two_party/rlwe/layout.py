"""How a matrix product lies in polynomials, and what it sends: a pure function of sizes.

With m_w S n_w = N, a block of m_w rows and S inner elements of party 1's left factor is the polynomial with
    left[i, j] at X^(i S n_w - j),
one of S inner elements and n_w columns of the right factor that with
    right[j, c] at X^(c S + j):
their product has (left right)[i, c] at X^(i S n_w + c S), and no other term there (Huang, Lu, Hong, Ding,
"Cheetah", USENIX Security 2022, with the left factor reversed instead of the right). What is needed stands at
multiples of S, so that 2^levels products can be packed into one (Lu et al., "BumbleBee", NDSS 2025).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from mpcc.runtime.ring import I64
from mpcc.runtime.two_party.rlwe.parameters import (
    DEGREE,
    REPLY_PRIMES,
    ROUNDED_BITS,
    WIDTHS,
    WORD_RING,
    Noise,
    coefficient_bytes,
    least_primes,
    noise,
    prefix,
)

# What a transform is worth, in bytes that a layout may send more to save it. It favours bytes: one core makes
# a transform, and what goes with it, in about 20 microseconds, in which 1 Gbit/s carries 2.5 kB.
_TRANSFORM_BYTES = 60
_SHARE_OF_KEYS = 1 / 32  # of their bytes: keys serve a session, with some tens of products


@dataclass(frozen=True)
class Layout:
    """Of left [batch, rows, inner] times right [batch, inner, columns] mod 2^ring.

    `inner` counts the limbs that the right factor is cut into, if so: `limbs` of `limb_bits` each, and as
    many multiples of the left factor. `stride` is S, `block_rows` m_w, `block_columns` n_w. `primes`: P.
    """

    batch: int
    rows: int
    inner: int
    columns: int
    ring: int
    limbs: int
    limb_bits: int
    block_rows: int
    stride: int
    block_columns: int
    levels: int
    primes: int

    @property
    def row_blocks(self) -> int:
        return -(-self.rows // self.block_rows)

    @property
    def inner_blocks(self) -> int:
        return -(-self.inner // self.stride)

    @property
    def column_blocks(self) -> int:
        return -(-self.columns // self.block_columns)

    @property
    def products(self) -> int:
        """Ciphertexts before packing. Their order: batch element, column block, row block."""
        return self.batch * self.row_blocks * self.column_blocks

    @property
    def replies(self) -> int:
        return -(-self.products >> self.levels)

    @property
    def key_switches(self) -> int:
        return sum(-(-self.products >> level) for level in range(1, self.levels + 1))

    @property
    def exponents(self) -> tuple[int, ...]:
        """Of the automorphism of each level."""
        return tuple(2 * DEGREE * 2**level // self.stride + 1 for level in range(self.levels))

    @property
    def noise(self) -> Noise:
        columns = min(self.columns, self.block_columns)
        return noise(self.inner, columns, self.limb_bits, self.primes, self.levels)

    @property
    def polynomials(self) -> int:
        """Of the right factor."""
        return self.batch * self.inner_blocks * self.column_blocks

    @property
    def transforms(self) -> int:
        """That party 0 makes of whole polynomials modulo one prime: (P + 1)(P + 2) for a key switch, and two
        for each prime of a product.
        """
        return (self.primes + 1) * (self.primes + 2) * self.key_switches + 2 * self.primes * self.products

    @property
    def plain_products(self) -> int:
        """Of a ciphertext with a polynomial of few coefficients, modulo one prime."""
        return self.primes * self.polynomials * self.row_blocks

    def sent(self, row_block: int, inner_block: int) -> I64:
        """The coefficients of c0 that party 1 sends of a ciphertext, rising: the others meet no needed one.

        A needed coefficient i S n_w + c S takes those at (i n_w + c - c') S - j.
        """
        rows = min(self.block_rows, self.rows - row_block * self.block_rows)
        inner = min(self.stride, self.inner - inner_block * self.stride)
        classes = np.arange(self._classes(rows)) - (self.block_columns - 1)
        met = np.zeros(DEGREE, dtype=np.bool_)
        met[(classes[:, None] * self.stride - np.arange(inner)) % DEGREE] = True
        return np.flatnonzero(met)

    def _classes(self, rows: int) -> int:
        """Of places of c0 modulo S, of a block with so many rows."""
        return min(self.block_rows * self.block_columns, (rows + 1) * self.block_columns - 1)

    def received(self, reply: int) -> tuple[I64, I64]:
        """The coefficients of c0 in a reply, and their places in the result, counted through all of it."""
        first = reply << self.levels
        product = np.arange(first, min(first + 2**self.levels, self.products))
        element, rest = np.divmod(product, self.column_blocks * self.row_blocks)
        column_block, row_block = np.divmod(rest, self.row_blocks)
        row = row_block[:, None, None] * self.block_rows + np.arange(self.block_rows)[:, None]
        column = column_block[:, None, None] * self.block_columns + np.arange(self.block_columns)
        within = np.arange(self.block_rows)[:, None] * self.block_columns + np.arange(self.block_columns)
        place = within * self.stride + self._leaf(product - first)[:, None, None]
        index = (element[:, None, None] * self.rows + row) * self.columns + column
        used = (row < self.rows) & (column < self.columns)
        return np.broadcast_to(place, used.shape)[used], index[used]

    def _leaf(self, leaf: I64) -> I64:
        """Where the packing puts a product's coefficient 0: level l shifts every other one by S / 2^(l+1)."""
        place = np.zeros_like(leaf)
        for level in range(self.levels):
            place += (leaf >> level & 1) * (self.stride >> (level + 1))
        return place

    def reply_bytes(self, count: int) -> int:
        """Of a reply with so many coefficients of c0."""
        if self.ring > WORD_RING:
            rows = prefix(REPLY_PRIMES)
            return coefficient_bytes(rows, count) + coefficient_bytes(rows, DEGREE)
        return (count * (self.ring + ROUNDED_BITS[0]) + 7) // 8 + DEGREE * (self.ring + ROUNDED_BITS[1]) // 8

    @cached_property
    def request_bytes(self) -> int:
        """That party 1 sends."""
        total = 0
        for rows, row_blocks in _parts(self.rows, self.block_rows):
            for inner, inner_blocks in _parts(self.inner, self.stride):
                count = self._classes(rows) * inner
                total += row_blocks * inner_blocks * coefficient_bytes(prefix(self.primes), count)
        return self.batch * total

    @cached_property
    def answer_bytes(self) -> int:
        """That party 0 sends."""
        rows = self.rows - np.arange(self.row_blocks) * self.block_rows
        columns = self.columns - np.arange(self.column_blocks) * self.block_columns
        results = np.outer(np.minimum(columns, self.block_columns), np.minimum(rows, self.block_rows))
        counts = np.tile(results.reshape(-1), self.batch)  # of each product, in their order
        replies = np.add.reduceat(counts, np.arange(0, self.products, 2**self.levels))
        return sum(self.reply_bytes(int(count)) for count in replies)

    @property
    def _price(self) -> float:
        """By which layouts are compared: bytes, and computation."""
        results = self.batch * self.rows * self.columns
        key = self.primes * (sum(WIDTHS[: self.primes]) + WIDTHS[-1]) * DEGREE // 8
        return (
            self.request_bytes
            + self.replies * self.reply_bytes(0)
            + self.reply_bytes(results)
            + _TRANSFORM_BYTES * (self.transforms + 2 / 3 * self.plain_products)  # as long, as measured
            + _SHARE_OF_KEYS * key * self.levels
        )


def _parts(size: int, block: int) -> Iterator[tuple[int, int]]:
    """Sizes of the blocks, and how many have them."""
    yield block, size // block
    if size % block:
        yield size % block, 1


@lru_cache(maxsize=1024)
def layout(shape: tuple[int, int, int, int], right_bits: int, ring: int) -> Layout:
    """The layout for a `MatrixProduct` of these sizes.

    Where the right factor's elements are too long for the chain of primes it is cut into as few limbs as
    needed. Raises ValueError for sizes that cannot be.
    """
    if min(shape) < 1 or not 1 <= ring <= 64 or not 0 <= right_bits <= 64:
        raise ValueError(f"layout: no product has the shape {shape}, {right_bits} bits and the ring {ring}")
    bits = right_bits if right_bits < ring else ring - 1  # elements of the ring are taken as signed
    for limbs in range(1, ring + 1):
        found = min(_layouts(shape, bits, ring, limbs), key=lambda each: each._price, default=None)
        if found is not None:
            return found
    raise ValueError(f"layout: an inner length of {shape[2]} is too long")


def _layouts(shape: tuple[int, int, int, int], bits: int, ring: int, limbs: int) -> Iterator[Layout]:
    batch, rows, inner, columns = shape
    limb_bits = -(-(bits + 1) // limbs) if limbs > 1 else bits
    for log_rows, log_columns in itertools.product(_logarithms(rows), _logarithms(columns)):
        if log_rows + log_columns > DEGREE.bit_length() - 1:
            continue
        stride = DEGREE >> (log_rows + log_columns)
        products = batch * -(-rows >> log_rows) * -(-columns >> log_columns)
        for levels in range(min(stride.bit_length() - 1, (products - 1).bit_length()) + 1):
            primes = least_primes(limbs * inner, min(columns, 1 << log_columns), limb_bits, levels, ring)
            if primes is not None:
                sizes = (1 << log_rows, stride, 1 << log_columns, levels, primes)
                yield Layout(batch, rows, limbs * inner, columns, ring, limbs, limb_bits, *sizes)


def _logarithms(size: int) -> range:
    """Of the powers of two up to the first that is not below `size`."""
    return range((size - 1).bit_length() + 1)
