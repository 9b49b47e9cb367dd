"""The atoms of a masked polynomial, made by two parties from each one's parts of the masks.

A mask is a = a0 + a1 mod 2^k. Let T = a0 + a1 as an integer, c the carry of that sum and m the top bit of a:
c and m are xor-shared bits, T is shared as it is. Then s_1 = T - 2^k c, and an atom is the product of two
earlier ones, of which one is narrow where possible:  x s_1 = x T - 2^k c x. As s_0 = s_1 - 2^k m, the wrap of
s_1^i is m times the sum over l < i of C(i, l) (-1)^(i-l) 2^(k (i-l-1)) s_1^l: its columns are selected by m.
Atoms with rho_t are columns selected by rho_t, all of them by the same two transfers a bit. A ring that is no
wider than the opening needs neither c nor m.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpcc.runtime.protocols.masked_polynomial import MaskedPolynomial, Row, Variant
from mpcc.runtime.protocols.private_products import multiply, select, square
from mpcc.runtime.ring import U64, constant, reduce
from mpcc.runtime.two_party.engine.circuits import elements_of, together
from mpcc.runtime.two_party.engine.requests import Making, Request

Powers = tuple[int, int]
Columns = dict[Powers, U64 | None]  # shares by the powers of z and w; None is the constant 1
Atoms = dict[Variant, dict[Row, U64]]  # each in the common shape of its masks; without the constant 1


@dataclass(frozen=True, eq=False)
class Opening:
    """This party's part of one mask: its addend, below 2^`bits`, and, where the ring of the result is wider,
    its xor shares of the carry and of the mask's top bit, as numbers 0 and 1. All of one shape.
    """

    own: U64
    bits: int
    carry: U64
    sign: U64


def opening(part: U64, bits: int, planes: U64 | None) -> Opening:
    """An opening of `bits` bits, from the bits of its mask, with the carry, where atoms need them."""
    own = reduce(part, bits)
    if planes is None:
        none = np.zeros_like(own)
        return Opening(own, bits, none, none)
    sign, carry = (elements_of(plane, own.size).reshape(own.shape) for plane in planes[bits - 1 : bits + 1])
    return Opening(own, bits, carry, sign)


class AtomMaking:
    """One party's side. `scale`: its shares of a factor of every atom, mod 2^ring; None without one."""

    def __init__(
        self,
        polynomial: MaskedPolynomial,
        openings: Sequence[Opening],
        rho: U64,
        party: int,
        scale: U64 | None = None,
    ) -> None:
        self._polynomial = polynomial
        self._openings = openings
        columns = len(polynomial.coefficients) - 1
        self._rho = rho.astype(np.uint64).reshape(columns, *polynomial.shapes[2])
        self._party = party
        self._scaled = scale is not None
        self._columns: Columns = {(0, 0): scale}
        self._carries: dict[int, U64] = {}  # arithmetic shares of c, mod 2^(ring - k)

    def run(self) -> Generator[list[Request], list[Any], Atoms]:
        """Every atom that is dealt."""
        polynomial = self._polynomial
        powers = [(int(i), int(j)) for i, j in np.argwhere(polynomial.needed[0])]
        for degree in range(1, max((sum(pair) for pair in powers), default=0) + 1):
            level = [pair for pair in powers if sum(pair) == degree]
            made = yield from together([self._atom(*pair) for pair in level])
            self._columns |= zip(level, made, strict=True)
        columns = {(0, 0): self._columns}
        for variant, axis, inside in (((1, 0), 0, (0, 0)), ((0, 1), 1, (0, 0)), ((1, 1), 0, (0, 1))):
            if polynomial.rows[variant]:
                columns[variant] = yield from self._wraps(variant, axis, columns[inside])
        atoms: Atoms = {v: {} for v, rows in polynomial.rows.items() if rows}
        for variant in atoms:
            for row in polynomial.rows[variant]:
                if row[0] == 0 and (column := columns[variant][row[1:]]) is not None:
                    atoms[variant][row] = column
        selected = yield from together([self._selected(bits, columns) for bits in self._alike()])
        for part in selected:
            for variant, rows in part.items():
                atoms[variant] |= rows
        return atoms

    def _atom(self, i: int, j: int) -> Making:
        """s_z^i s_w^j from atoms of lower degree."""
        ring, party = self._polynomial.ring, self._party
        if not self._scaled and i % 2 == j % 2 == 0:
            if i + j > 2:
                return (yield from square(self._known(i // 2, j // 2), ring, ring, party))
            return (yield from self._square(0 if i else 1))
        axis = self._narrow_factor(i, j)
        parent = (i - 1, j) if axis == 0 else (i, j - 1)
        if self._columns[parent] is None:
            return (yield from self._unsigned(axis))
        if not self._scaled and sum(parent) == 1:
            return (yield from self._narrow_product())
        column, factor = self._known(*parent), self._openings[axis]
        product, carried = yield from together(
            [
                multiply(factor.own, column, (factor.bits, ring), ring, party),
                self._by_carry(axis, column),
            ]
        )
        return reduce(product - carried, ring)

    def _narrow_factor(self, i: int, j: int) -> int:
        """Which variable to split off: one of odd power, so that squares remain; of these the narrower."""
        candidates = [axis for axis, power in enumerate((i, j)) if power % 2]
        candidates = candidates or [axis for axis, power in enumerate((i, j)) if power]
        return min(candidates, key=lambda axis: self._openings[axis].bits)

    def _unsigned(self, axis: int) -> Making:
        """T - 2^k c."""
        factor, ring = self._openings[axis], self._polynomial.ring
        if ring <= factor.bits:
            return reduce(factor.own, ring)
        carry, _ = yield from select(factor.carry, [], [], self._party, ring - factor.bits)
        self._carries[axis] = carry
        return reduce(factor.own - (carry << np.uint64(factor.bits)), ring)

    def _square(self, axis: int) -> Making:
        """T^2 - 2^(k+1) c T + 2^(2k) c."""
        factor, ring = self._openings[axis], self._polynomial.ring
        squared, carried = yield from together(
            [square(factor.own, factor.bits, ring, self._party), self._by_carry(axis, factor.own, 1)]
        )
        result = squared - carried
        if 2 * factor.bits < ring:
            result = result + (self._carries[axis] << np.uint64(2 * factor.bits))
        return reduce(result, ring)

    def _narrow_product(self) -> Making:
        """s_z s_w = T_z T_w - 2^k_w c_w T_z - 2^k_z c_z s_w."""
        z, w = self._openings
        ring = self._polynomial.ring
        product, first, second = yield from together(
            [
                multiply(z.own, w.own, (z.bits, w.bits), ring, self._party),
                self._by_carry(1, z.own),
                self._by_carry(0, self._known(0, 1)),
            ]
        )
        return reduce(product - first - second, ring)

    def _by_carry(self, axis: int, column: U64, more: int = 0) -> Making:
        """2^(k + more) c times a column."""
        factor, shift = self._openings[axis], self._openings[axis].bits + more
        if shift >= self._polynomial.ring:
            return np.zeros(np.broadcast_shapes(factor.own.shape, column.shape), dtype=np.uint64)
        width = self._polynomial.ring - shift
        _, [selected] = yield from select(factor.carry, [column], [width], self._party)
        return selected << np.uint64(shift)

    def _wraps(
        self, variant: Variant, axis: int, columns: Columns
    ) -> Generator[list[Request], list[Any], Columns]:
        """The atoms of a variant without rho: the power along `axis` of each column becomes its wrap."""
        opening, width = self._openings[axis], self._polynomial.width(variant)
        targets = [row[1:] for row in self._polynomial.rows[variant] if row[0] == 0]
        widths: dict[Powers, int] = {}
        for powers in targets:
            for source, factor in _wrap_terms(powers, axis, opening.bits):
                needed = width - (factor & -factor).bit_length() + 1
                widths[source] = max(widths.get(source, 0), needed)
        selected = yield from self._select(opening.sign, columns, widths)
        result: Columns = {}
        for powers in targets:
            total = np.zeros((1,) * opening.own.ndim, dtype=np.uint64)
            for source, factor in _wrap_terms(powers, axis, opening.bits):
                if widths[source] > 0:
                    total = total + selected[source] * constant(factor)
            result[powers] = reduce(total, width)
        return result

    def _alike(self) -> list[list[int]]:
        """The bits, by number, in groups with the same atoms: one request serves a group."""
        groups: dict[tuple[tuple[Variant, Powers], ...], list[int]] = {}
        for t in range(1, len(self._rho) + 1):
            groups.setdefault(tuple(self._atoms_of(t)), []).append(t)
        return list(groups.values())

    def _atoms_of(self, t: int) -> list[tuple[Variant, Powers]]:
        return [(v, row[1:]) for v, rows in self._polynomial.rows.items() for row in rows if row[0] == t]

    def _selected(
        self, bits: list[int], columns: Mapping[Variant, Columns]
    ) -> Generator[list[Request], list[Any], dict[Variant, dict[Row, U64]]]:
        """The atoms with rho_t for bits t with the same ones."""
        widths = {atom: self._polynomial.width(atom[0]) for atom in self._atoms_of(bits[0])}
        sources: dict[tuple[Variant, Powers], U64 | None] = {}
        for v, powers in widths:
            column = columns[v][powers]
            sources[v, powers] = None if column is None else column[None]
        selected = yield from self._select(self._rho[[t - 1 for t in bits]], sources, widths)
        result: dict[Variant, dict[Row, U64]] = {}
        for (v, powers), column in selected.items():
            result.setdefault(v, {}).update(
                {(t, *powers): part for t, part in zip(bits, column, strict=True)}
            )
        return result

    def _select(
        self, bit: U64, columns: Mapping[Any, U64 | None], widths: Mapping[Any, int]
    ) -> Generator[list[Request], list[Any], dict[Any, U64]]:
        """A bit times the columns that `widths` names, in these widths; those of width 0 are left out."""
        keys = [key for key, width in widths.items() if width > 0]
        arrays = {key: array for key in keys if (array := columns[key]) is not None}
        alone = [key for key in keys if key not in arrays]
        unit, selected = yield from select(
            bit,
            list(arrays.values()),
            [widths[key] for key in arrays],
            self._party,
            sum(widths[key] for key in alone),
        )
        return dict(zip(arrays, selected, strict=True)) | dict.fromkeys(alone, unit)

    def _known(self, i: int, j: int) -> U64:
        column = self._columns[i, j]
        assert column is not None
        return column


def make_polynomial(
    polynomial: MaskedPolynomial,
    openings: Sequence[Opening],
    rho: U64,
    party: int,
    scale: U64 | None = None,
) -> Generator[list[Request], list[Any], Atoms]:
    """Every atom that is dealt, this party's shares; with `scale`, its shares of a factor of all of them."""
    return AtomMaking(polynomial, openings, rho, party, scale).run()


def planes_needed(polynomial: MaskedPolynomial) -> tuple[int, int]:
    """Bits of the sums of the parts of z's and of w's mask, with the carry: none where the ring is no wider
    than the opening, or no atom has them.
    """
    used = polynomial.needed[:, 1:].any(), polynomial.needed[:, :, 1:].any()
    first, second = (
        bits + 1 if has and bits < polynomial.ring else 0
        for bits, has in zip(polynomial.openings, used, strict=True)
    )
    return first, second


def make_openings(polynomial: MaskedPolynomial, parts: Sequence[U64], planes: Sequence[U64]) -> list[Opening]:
    """z's and w's, from this party's parts of their masks, and of the bits of these where they are needed."""
    return [
        opening(part.reshape(shape), bits, bits_of if needed else None)
        for part, shape, bits, bits_of, needed in zip(
            parts, polynomial.shapes, polynomial.openings, planes, planes_needed(polynomial), strict=False
        )
    ]


def _wrap_terms(powers: Powers, axis: int, bits: int) -> list[tuple[Powers, int]]:
    """The columns, by their powers, and integers whose products add up to a wrap without its bit m."""
    i = powers[axis]
    return [
        (
            (low, powers[1]) if axis == 0 else (powers[0], low),
            math.comb(i, low) * (-1) ** (i - low) << bits * (i - low - 1),
        )
        for low in range(i)
    ]
