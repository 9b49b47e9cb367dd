"""Factors of a product as masked polynomials: one in two values and bits, and others around it.

Two values and bits multiply to one masked polynomial. Further factors form polynomials of their own around
it, in which shares of the inner polynomial, multiplied by an atom, take the place of that dealt atom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mpcc.ir.dialects.base import integers
from mpcc.ir.program import Operation
from mpcc.ir.types import RingType
from mpcc.runtime.kernels.twin_polynomial import MAX_POWERS
from mpcc.runtime.protocols.base import ring_type
from mpcc.runtime.protocols.making_polynomial import Opening, make_openings, make_polynomial, planes_needed
from mpcc.runtime.protocols.masked_polynomial import VARIANTS, MaskedPolynomial, Row, Shape, Variant
from mpcc.runtime.ring import U64, constant
from mpcc.runtime.two_party.engine.circuits import together
from mpcc.runtime.two_party.engine.requests import Making


@dataclass(frozen=True)
class Factor:
    """One factor as the protocol sees it: `coefficients` of a polynomial, or of bits (constant first)."""

    operand: int
    kind: str
    coefficients: tuple[int, ...]
    ring: RingType

    @property
    def shape(self) -> Shape:
        return self.ring.shape[1:] if self.kind == "bits" else self.ring.shape

    @property
    def row(self) -> U64:
        """Coefficients of the powers of a value, or of 1 and each bit, mod 2^64."""
        return np.array([constant(c) for c in self.coefficients or (0, 1)], dtype=np.uint64)


def factors_of(operation: Operation) -> list[Factor]:
    kinds, rows = operation.attributes["factors"], operation.attributes["coefficients"]
    assert isinstance(kinds, tuple)
    assert isinstance(rows, tuple)
    return [
        Factor(i, str(kind), integers({"row": row}, "row"), ring_type(operation, i))
        for i, (kind, row) in enumerate(zip(kinds, rows, strict=True))
    ]


@dataclass(frozen=True)
class Group:
    """Factors that multiply to one masked polynomial in z and w, with bits; None where there is none."""

    z: Factor | None
    w: Factor | None
    bits: Factor | None

    @property
    def factors(self) -> tuple[Factor | None, ...]:
        return self.z, self.w, self.bits

    def polynomial(self, shape: Shape, ring: int, scale: Shape | None) -> MaskedPolynomial:
        z, w, bits = (np.ones(1, np.uint64) if f is None else f.row for f in self.factors)
        shapes = [() if f is None else f.shape for f in self.factors]
        first, second, third = ((1,) * (len(shape) - len(s)) + s for s in shapes)
        return MaskedPolynomial(
            np.multiply.outer(bits, np.multiply.outer(z, w)),
            (self.z.ring.ring if self.z else 64, self.w.ring.ring if self.w else 64),
            (first, second, third),
            shape,
            ring,
            scale,
        )

    def select(self, arrays: Sequence[np.ndarray]) -> tuple[U64, U64, np.ndarray]:
        """z's, w's and the bits' of arrays for all operands; a zero, or no bit, for what there is none."""
        z, w = (arrays[f.operand] if f else np.zeros(1, np.uint64) for f in (self.z, self.w))
        return z, w, arrays[self.bits.operand] if self.bits else np.zeros(0, np.uint8)


def groups_of(operation: Operation) -> list[Group]:
    """As few groups as the size of a masked polynomial allows; the outermost first."""
    left = factors_of(operation)
    groups: list[Group] = []
    while left:
        z, w = [*(f for f in left if f.kind != "bits"), None, None][:2]
        if z and w and z.row.size * w.row.size > MAX_POWERS:
            w = None
        group = Group(z, w, next((f for f in left if f.kind == "bits"), None))
        left = [f for f in left if f not in group.factors]
        groups.insert(0, group)
    return groups


Path = tuple[tuple[Variant, Row], ...]  # an atom of each group around a polynomial, the outermost's first


class Nest:
    """The polynomials of an operation: that of a group, for every choice of atoms of the groups around it."""

    def __init__(self, operation: Operation) -> None:
        self.groups = groups_of(operation)
        self.ring = ring_type(operation).ring
        self.shape = ring_type(operation).shape or (1,)
        self._polynomials: dict[Path, MaskedPolynomial] = {}

    def polynomial(self, path: Path) -> MaskedPolynomial:
        """The polynomial inside a path; each is made once."""
        if path not in self._polynomials:
            self._polynomials[path] = self._polynomial(path)
        return self._polynomials[path]

    def _polynomial(self, path: Path) -> MaskedPolynomial:
        """Its product with the atoms of `path` counts in a ring that is narrower by the wraps among them."""
        ring, scale = self.ring, None
        for level, (variant, row) in enumerate(path):
            around = self.polynomial(path[:level])
            ring = around.width(variant)
            if any(row):
                scale = np.broadcast_shapes(scale or (), around.atom_shape(row))
        return self.groups[len(path)].polynomial(
            self.shape, ring, scale if self.is_innermost(path) else self.shape
        )

    def is_innermost(self, path: Path) -> bool:
        """Whether the atoms of the polynomial are dealt."""
        return len(path) == len(self.groups) - 1

    def paths(self, path: Path = ()) -> Iterator[Path]:
        yield path
        if not self.is_innermost(path):
            for variant, rows in self.polynomial(path).rows.items():
                for row in rows:
                    yield from self.paths((*path, (variant, row)))

    @property
    def dealt(self) -> list[Path]:
        return [path for path in self.paths() if self.is_innermost(path)]

    def evaluate(
        self, opened: list[np.ndarray], drawn: Mapping[str, U64], party: int, path: Path = ()
    ) -> U64:
        """This party's share of the polynomial inside `path`, flat, from the openings of all operands."""
        polynomial = self.polynomial(path)
        if self.is_innermost(path):
            shares = polynomial.split(drawn, prefix(path))
        else:
            shares = {
                variant: np.concatenate(
                    [self.evaluate(opened, drawn, party, (*path, (variant, row))) for row in rows]
                )
                for variant, rows in polynomial.rows.items()
                if rows
            }
        return polynomial.evaluate(*self.groups[len(path)].select(opened), shares, party)

    def mask_planes(self) -> dict[int, int]:
        """As `ProtocolClass.mask_planes`."""
        result = {}
        for group in self.groups:
            needed = planes_needed(group.polynomial(self.shape, self.ring, None))
            for factor, count in zip((group.z, group.w), needed, strict=True):
                if factor is not None and count:
                    result[factor.operand] = count
        return result

    def make(self, parts: list[U64], planes: list[U64], party: int) -> Making:
        """The dealt slots' values, this party's shares, from its parts of the operands' masks, and of their
        bits.
        """
        taken = [group.select(parts) for group in self.groups]
        openings = [
            make_openings(group.polynomial(self.shape, self.ring, None), (z, w), group.select(planes)[:2])
            for group, (z, w, _) in zip(self.groups, taken, strict=True)
        ]
        rho = [bits for _, _, bits in taken]
        return (yield from self._make(openings, rho, party, (), None))

    def _make(
        self, openings: list[list[Opening]], rho: list[U64], party: int, path: Path, scale: U64 | None
    ) -> Making:
        """Those inside `path`, multiplied by `scale`: the product of its atoms, None for 1."""
        level, polynomial = len(path), self.polynomial(path)
        atoms = yield from make_polynomial(polynomial, openings[level], rho[level], party, scale)
        if self.is_innermost(path):
            return polynomial.collect(lambda variant, row: atoms[variant][row], prefix(path))
        inside = [
            self._make(openings, rho, party, (*path, (variant, row)), atoms[variant].get(row))
            for variant, rows in polynomial.rows.items()
            for row in rows
        ]
        made = yield from together(inside)
        return {name: part for parts in made for name, part in parts.items()}


@lru_cache(maxsize=4096)  # those of a whole program
def nest_of(operation: Operation) -> Nest:
    return Nest(operation)


def prefix(path: Path) -> str:
    """Of the slots of a polynomial: none where no group is around it."""
    return "".join(f"{t}_{i}_{j}_{VARIANTS[variant]}_" for variant, (t, i, j) in path)
