"""Segmented polynomials: coefficients selected by masked bits, one polynomial evaluated.

The bits give each power's coefficient; masked_polynomial expands the whole into public coefficients times
dealt atoms. Source: SecMoE (AAAI 2026) for select-then-compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from mpcc.ir.dialects.base import integer, integers
from mpcc.ir.program import Operation
from mpcc.runtime.correlations.slots import Part, Slot
from mpcc.runtime.protocols.base import (
    DealerView,
    Dealt,
    Maker,
    Party,
    ProtocolClass,
    Step,
    implements,
    ring_type,
    size,
)
from mpcc.runtime.protocols.making_polynomial import make_openings, make_polynomial, planes_needed
from mpcc.runtime.protocols.masked_polynomial import MaskedPolynomial
from mpcc.runtime.ring import F64, I64, U64, constant
from mpcc.runtime.two_party.engine.requests import Making
from mpcc.runtime.values import Masked, MaskedBits, RuntimeValue


def terms_of(operation: Operation) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Each monomial's powers (a, b), and its row (c, d_1 .. d_T)."""
    monomials, rows = operation.attributes["monomials"], operation.attributes["rows"]
    assert isinstance(monomials, tuple)
    assert isinstance(rows, tuple)
    return [
        (integers({"pair": pair}, "pair"), integers({"row": row}, "row"))
        for pair, row in zip(monomials, rows, strict=True)
    ]


@lru_cache(maxsize=4096)  # those of a whole program
def polynomial_of(operation: Operation) -> MaskedPolynomial:
    """The polynomial, on flat operands."""
    terms = terms_of(operation)
    highest_z, highest_w = (max(powers) for powers in zip(*(pair for pair, _ in terms), strict=True))
    table = np.zeros((len(terms[0][1]), highest_z + 1, highest_w + 1), dtype=np.uint64)
    for (a, b), row in terms:
        table[:, a, b] = [constant(c) for c in row]
    second = ring_type(operation, 1).ring if len(operation.operands) == 3 else 64
    flat = (size(operation),)
    openings = (ring_type(operation, 0).ring, second)
    return MaskedPolynomial(table, openings, (flat, flat, flat), flat, ring_type(operation).ring)


@implements("segmented_polynomial")
class SegmentedPolynomial(ProtocolClass):
    """Local: the openings of the operands were the messages."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        return polynomial_of(operation).slots

    @classmethod
    def make_tables(cls, operation: Operation) -> None:
        polynomial_of(operation).make_tables()

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        return polynomial_of(operation).multiplications

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        polynomial = polynomial_of(operation)
        first, *others, rho = (m for m in masks if m is not None)
        atoms = polynomial.masks(first, others[0] if others else first, rho)
        return Dealt(polynomial.deal(atoms))

    @classmethod
    def mask_planes(cls, operation: Operation) -> dict[int, int]:
        needed = planes_needed(polynomial_of(operation))[: len(operation.operands) - 1]
        return {index: count for index, count in enumerate(needed) if count}

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        polynomial, needed = polynomial_of(operation), cls.mask_planes(operation)
        *parts, rho = (m for m in masks if m is not None)
        none = np.zeros(0, dtype=np.uint64)
        planes = [maker.planes(operation, i) if i in needed else none for i in range(2)]
        openings = make_openings(polynomial, (parts[0], parts[-1]), planes)
        atoms = yield from make_polynomial(polynomial, openings, rho, maker.index)
        return polynomial.collect(lambda variant, row: atoms[variant].pop(row))  # frees it on the way

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        polynomial = polynomial_of(operation)
        *arguments, bits = operands
        assert isinstance(bits, MaskedBits)
        opened = [value.opened for value in arguments if isinstance(value, Masked)]
        shares = polynomial.split(party.draw(operation))
        share = polynomial.evaluate(opened[0], opened[-1], bits.opened, shares, party.index)
        return share.reshape(ring_type(operation).shape)
        yield

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        bits, total = operands[-1], np.zeros(ring_type(operation).shape, dtype=np.int64)
        for (a, b), (c, *row) in terms_of(operation):
            factor = c + np.tensordot(np.array(row, dtype=np.int64), bits, axes=1)
            total = total + factor * operands[0] ** a * (operands[1] ** b if b else 1)
        return total

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        fraction = integer(operation.attributes, "fraction")
        bits, total = operands[-1], np.zeros(ring_type(operation).shape)
        for (a, b), (c, *row) in terms_of(operation):
            scale = 2.0 ** (
                a * ring_type(operation, 0).fraction + b * ring_type(operation, 1).fraction - fraction
            )
            factor = (c + np.tensordot(np.array(row, dtype=np.float64), bits, axes=1)) * scale
            total = total + factor * operands[0] ** a * (operands[1] ** b if b else 1.0)
        return total
