"""Polynomials in two masked values, coefficients selected by masked bits: what is dealt, how it is summed.

A narrow opening of z gives z = P + s with P public and s the mask, in any ring; a bit is
b_t = d_t + (1 - 2 d_t) rho_t with d_t public. So sum over a, b of z^a w^b (c_0ab + sum_t c_tab b_t) expands
into public coefficients times *atoms* s_z^i s_w^j and s_z^i s_w^j rho_t, and each atom is dealt once.

The mask of z' = z + 2^(k-2) has two variants, chosen by the opening's public top bit v: s_1 is a as an
unsigned and s_0 as a signed integer. Powers of both are equal mod 2^k, so s_1^i is dealt in the ring of the
result and (s_0^i - s_1^i) / 2^k, the power's *wrap*, in a ring that is k bits narrower. Sources: the affine
forms are ABY2.0's; the widening (see product) and the narrow wraps are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Role, Slot
from mpcc.runtime.ring import I64, U64, mask, reduce, signed, to_ring

# Which of the two masks of an atom is a wrap, and the name of these atoms' slot.
VARIANTS = {(0, 0): "atoms", (1, 0): "wraps_z", (0, 1): "wraps_w", (1, 1): "wraps_zw"}
Variant = tuple[int, int]
Row = tuple[int, int, int]  # an atom: column (0, or 1 + t), power of z, power of w
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class MaskedPolynomial:
    """One polynomial, elementwise, mod 2^`ring`.

    `coefficients`[1 + T, A + 1, B + 1], mod 2^64. `openings`: bits of z and of w. `shapes` of z, of w and of
    one bit, of the rank of the result's `shape`, to which they are broadcast. `scale`: the shape of a mask
    that multiplies everything, None without one; with it the constant is dealt like the others.
    """

    coefficients: U64
    openings: tuple[int, int]
    shapes: tuple[Shape, Shape, Shape]
    shape: Shape
    ring: int
    scale: Shape | None = None

    @cached_property
    def needed(self) -> np.ndarray:
        """uint8, shaped as `coefficients`: 1 where an atom is dealt.

        That of powers (i, j) alone if a monomial with at least these powers has any coefficient, that with
        rho_t if one has a coefficient for bit t.
        """
        present = self.coefficients != 0
        present[0] |= present[1:].any(axis=0)
        for axis in (1, 2):
            present = np.flip(np.logical_or.accumulate(np.flip(present, axis), axis=axis), axis)
        present[0, 0, 0] &= self.scale is not None
        return np.ascontiguousarray(present, dtype=np.uint8)

    @cached_property
    def rows(self) -> dict[Variant, list[Row]]:
        """The dealt atoms of each variant, in order."""
        every = [(int(t), int(i), int(j)) for t, i, j in np.argwhere(self.needed)]
        return {
            v: [row for row in every if row[1] >= v[0] and row[2] >= v[1] and self.width(v) > 0]
            for v in VARIANTS
        }

    def width(self, variant: Variant) -> int:
        """Bits in which atoms of a variant are dealt; none where the opening is as wide as the result."""
        return self.ring - sum(k for k, wrap in zip(self.openings, variant, strict=True) if wrap)

    def atom_shape(self, row: Row) -> Shape:
        """The common shape of the masks in an atom."""
        t, i, j = row
        return np.broadcast_shapes(
            *(shape for shape, power in zip(self.shapes, (i, j, t), strict=True) if power)
        )

    @cached_property
    def row_shapes(self) -> dict[Row, Shape]:
        """The shape in which each atom is dealt: no further broadcast than its masks."""
        return {row: np.broadcast_shapes(self.atom_shape(row), self.scale or ()) for row in self.rows[0, 0]}

    @cached_property
    def repeats(self) -> I64:
        """int64, shaped as `needed`: how many neighbouring elements of the result a dealt atom serves, as the
        kernel takes it; 0 where none is dealt.
        """
        result = np.zeros(self.needed.shape, dtype=np.int64)
        for row, shape in self.row_shapes.items():
            result[row] = neighbours(shape, self.shape) or 1
        return result

    @cached_property
    def slots(self) -> list[Slot]:
        """One slot a variant: its atoms one after another."""
        sizes = {row: math.prod(shape) for row, shape in self.row_shapes.items()}
        return [
            Slot(VARIANTS[v], Role.DERIVED, sum(sizes[row] for row in rows), self.width(v))
            for v, rows in self._dealt()
        ]

    @property
    def degrees(self) -> tuple[int, int]:
        _, a, b = self.coefficients.shape
        return a - 1, b - 1

    @property
    def multiplications(self) -> int:
        """One an atom, and what moves the coefficients of every column to powers of the masks."""
        a, b = self.degrees
        moves = (b + 1) * a * (a + 1) // 2 + (a + 1) * b * (b + 1) // 2
        return math.prod(self.shape) * (len(self.rows[0, 0]) + len(self.coefficients) * moves)

    def masks(self, z: U64, w: U64, bits: U64) -> Masks:
        """The dealer's atoms."""
        powers_z, powers_w = (
            mask_powers(a.reshape(shape), k, degree)
            for a, shape, k, degree in zip((z, w), self.shapes, self.openings, self.degrees, strict=False)
        )
        return Masks(powers_z, powers_w, bits.reshape(len(self.coefficients) - 1, *self.shapes[2]))

    def deal(self, masks: Masks, scale: U64 | None = None, prefix: str = "") -> dict[str, U64]:
        """The slots' values by name."""

        def atom(variant: Variant, row: Row) -> U64:
            value = masks.atom(row, variant)
            return value if scale is None else value * scale

        return self.collect(atom, prefix)

    def collect(self, atom: Callable[[Variant, Row], U64], prefix: str = "") -> dict[str, U64]:
        """The slots' values by name, from each atom's in any shape that broadcasts to the dealt one."""
        derived = {}
        for slot, (variant, rows) in zip(self.slots, self._dealt(), strict=True):
            values, start = np.empty(slot.count, dtype=np.uint64), 0
            for row in rows:
                shape = self.row_shapes[row]
                end = start + math.prod(shape)
                np.bitwise_and(atom(variant, row), mask(slot.bits), out=values[start:end].reshape(shape))
                start = end
            derived[prefix + slot.name] = values
        return derived

    def split(self, drawn: Mapping[str, U64], prefix: str = "") -> dict[Variant, U64]:
        """A party's parts of the slots, flat, as `repeats` counts them, for each variant that is dealt."""
        parts = {v: drawn[prefix + VARIANTS[v]] for v, _ in self._dealt()}
        return parts if self._compact else {v: self._spread_rows(v, part) for v, part in parts.items()}

    def _dealt(self) -> list[tuple[Variant, list[Row]]]:
        return [(v, rows) for v, rows in self.rows.items() if rows]

    @cached_property
    def _compact(self) -> bool:
        """Whether every atom serves neighbours only."""
        return all(neighbours(shape, self.shape) for shape in self.row_shapes.values())

    def _spread_rows(self, variant: Variant, part: U64) -> U64:
        """Atoms whose elements serve others than neighbours, spread over the result."""
        spread, start = [], 0
        for row in self.rows[variant]:
            shape = self.row_shapes[row]
            end = start + math.prod(shape)
            spread.append(self._spread(part[start:end], shape))
            start = end
        return np.concatenate(spread)

    def make_tables(self) -> None:
        """What `split` and `evaluate` know before any opening."""
        for name in ("needed", "repeats", "_compact"):
            getattr(self, name)

    def evaluate(self, z: U64, w: U64, bits: np.ndarray, shares: Mapping[Variant, U64], party: int) -> U64:
        """This party's share, flat, from the openings ([T, ..] of the bits) and its shares of the atoms."""
        none, columns = np.zeros(0, dtype=np.uint64), len(self.coefficients) - 1
        of_bits = self._spread(bits, (columns, *self.shapes[2]))
        return kernels.segmented_polynomial(
            self._spread(z, self.shapes[0]),
            self._spread(w, self.shapes[1]),
            of_bits.reshape(columns, of_bits.size // max(1, columns)),
            self.coefficients,
            self.repeats,
            shares.get((0, 0), none),
            shares.get((1, 0), none),
            shares.get((0, 1), none),
            shares.get((1, 1), none),
            math.prod(self.shape),
            *self.openings,
            self.ring,
            # the kernel adds party 0's public constant, beside the dealt one
            party if self.scale is None else 1,
        )

    def _spread(self, values: np.ndarray, shape: Shape) -> np.ndarray:
        """Flat, from `shape` = [.., own shape]: as they are where each serves neighbours of the result only,
        else one for every element.
        """
        leading = shape[: len(shape) - len(self.shape)]
        if neighbours(shape[len(leading) :], self.shape):
            return np.ascontiguousarray(values).reshape(-1)
        whole = np.broadcast_to(values.reshape(shape), (*leading, *self.shape))
        return np.ascontiguousarray(whole).reshape(-1)


def neighbours(shape: Shape, whole: Shape) -> int:
    """How many elements of `whole`, one after another, each element of `shape` is broadcast to; 0 where they
    are not one after another, or there are none.
    """
    shape = (1,) * (len(whole) - len(shape)) + shape
    differing = [axis for axis, (own, size) in enumerate(zip(shape, whole, strict=True)) if own != size]
    first = differing[0] if differing else len(whole)
    return math.prod(whole[first:]) if all(size == 1 for size in shape[first:]) else 0


@dataclass(frozen=True)
class Masks:
    """The dealer's atoms: powers of z and w with their wraps, and the mask of each bit."""

    z: list[tuple[U64, U64]]
    w: list[tuple[U64, U64]]
    bits: U64

    def atom(self, row: Row, variant: Variant) -> U64:
        """Mod 2^64 at the most; the constant is 1."""
        t, i, j = row
        atom = self.z[i][variant[0]] * self.w[j][variant[1]]
        return atom * self.bits[t - 1] if t else atom


def mask_powers(a: U64, bits: int, degree: int) -> list[tuple[U64, U64]]:
    """s_1^i and, mod 2^(64 - bits), its wrap (s_0^i - s_1^i) / 2^bits, for i = 0 .. degree.

    The power 0 has one element.
    """
    unsigned = reduce(a, bits)
    both = np.stack([unsigned, to_ring(signed(unsigned, bits))])
    one = np.ones((1,) * a.ndim, dtype=np.uint64)
    result = [(one, np.zeros_like(one))]
    power = np.ones_like(both)
    for _ in range(degree):
        power = power * both
        result.append((power[0], (power[1] - power[0]) >> np.uint64(min(bits, 63))))
    return result
