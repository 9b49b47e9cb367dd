"""Elementwise products of masked values, polynomials and bits, in a ring wider than the openings.

Widening for free. Let |z| < 2^(k-2), z' = z + 2^(k-2), and E = z' - a mod 2^k be opened. As z' < 2^(k-1),
the wrap of E + a is msb(E) or msb(a), so with v = msb(E), public:  z = E - 2^k v - 2^(k-2) + s_v,  where
s_0 is a as a signed and s_1 as an unsigned integer. The dealer shares s_1 and (s_0 - s_1) / 2^k (of powers
and products, too) for any ring: a narrow opening gives a product of any width, without a truncation round.

Two values and bits multiply to one masked polynomial. Further factors form polynomials of their own around
it, in which shares of the inner polynomial, multiplied by an atom, take the place of that dealt atom.
Sources: the affine form is ABY2.0's; the widening identity is ours, an application of the one-sided wrap of
Cheetah's truncation (USENIX Security 2022) to openings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from mpcc.ir.dialects.base import integers
from mpcc.ir.program import Operation
from mpcc.ir.types import RingType
from mpcc.runtime.correlations.slots import Slot
from mpcc.runtime.kernels.twin import MAX_POWERS
from mpcc.runtime.protocols.base import (
    DealerView,
    Dealt,
    Party,
    ProtocolClass,
    Step,
    implements,
    ring_type,
)
from mpcc.runtime.protocols.masked_polynomial import (
    VARIANTS,
    MaskedPolynomial,
    Row,
    Shape,
    Variant,
)
from mpcc.runtime.ring import F64, I64, U64, constant
from mpcc.runtime.values import Masked, MaskedBits, RuntimeValue


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


@lru_cache(maxsize=4096)  # those of a whole program
def nest_of(operation: Operation) -> Nest:
    return Nest(operation)


def prefix(path: Path) -> str:
    """Of the slots of a polynomial: none where no group is around it."""
    return "".join(f"{t}_{i}_{j}_{VARIANTS[variant]}_" for variant, (t, i, j) in path)


@implements("product")
class Product(ProtocolClass):
    """Local: the openings of the factors were the messages."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        nest = nest_of(operation)
        return [
            replace(slot, name=prefix(path) + slot.name)
            for path in nest.dealt
            for slot in nest.polynomial(path).slots
        ]

    @classmethod
    def make_tables(cls, operation: Operation) -> None:
        nest = nest_of(operation)
        for path in nest.paths():
            nest.polynomial(path).make_tables()

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        nest = nest_of(operation)
        return sum(nest.polynomial(path).multiplications for path in nest.paths())

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        nest = nest_of(operation)
        derived: dict[str, U64] = {}
        arrays = [m for m in masks if m is not None]
        atoms = [g.polynomial(nest.shape, nest.ring, None).masks(*g.select(arrays)) for g in nest.groups]
        for path in nest.dealt:
            around = [m.atom(row, v) for m, (v, row) in zip(atoms, path, strict=False) if any(row)]
            scale = math.prod(around[1:], start=around[0]) if around else None
            derived |= nest.polynomial(path).deal(atoms[-1], scale, prefix(path))
        return Dealt(derived)

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        opened = [v.opened for v in operands if isinstance(v, Masked | MaskedBits)]
        share = nest_of(operation).evaluate(opened, party.draw(operation), party.index)
        return share.reshape(ring_type(operation).shape)
        yield

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        result = np.ones((), dtype=np.int64)
        for factor, value in zip(factors_of(operation), operands, strict=True):
            if factor.kind == "value":
                part = value
            elif factor.kind == "polynomial":
                part = np.zeros_like(value)
                for c in reversed(factor.coefficients):
                    part = part * value + c
            else:
                row = np.array(factor.coefficients[1:], dtype=np.int64).reshape(-1, *(1,) * len(factor.shape))
                part = (row * value).sum(axis=0) + factor.coefficients[0]
            result = result * part
        return result

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        result = np.ones(())
        fractions = integers(operation.attributes, "fractions")
        for factor, fraction, value in zip(factors_of(operation), fractions, operands, strict=True):
            if factor.kind == "value":
                part = value
            elif factor.kind == "polynomial":
                part = np.zeros_like(value)
                for power, c in reversed(list(enumerate(factor.coefficients))):
                    part = part * value + c * 2.0 ** (power * factor.ring.fraction - fraction)
            else:
                row = np.array(factor.coefficients[1:], dtype=np.float64).reshape(
                    -1, *(1,) * len(factor.shape)
                )
                part = ((row * value).sum(axis=0) + factor.coefficients[0]) * 2.0**-fraction
            result = result * part
        return result
