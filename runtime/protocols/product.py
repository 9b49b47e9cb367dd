"""Elementwise products of masked values, polynomials and bits, in a ring wider than the openings.

Widening for free. Let |z| < 2^(k-2), z' = z + 2^(k-2), and E = z' - a mod 2^k be opened. As z' < 2^(k-1),
the wrap of E + a is msb(E) or msb(a), so with v = msb(E), public:  z = E - 2^k v - 2^(k-2) + s_v,  where
s_0 is a as a signed and s_1 as an unsigned integer. The dealer shares s_1 and (s_0 - s_1) / 2^k (of powers
and products, too) for any ring: a narrow opening gives a product of any width, without a truncation round.

Sources: the affine form is ABY2.0's; the widening identity is ours, an application of the one-sided wrap of
Cheetah's truncation (USENIX Security 2022) to openings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mpcc.ir.dialects.base import integers
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
)
from mpcc.runtime.protocols.nested_polynomials import factors_of, nest_of, prefix
from mpcc.runtime.ring import F64, I64, U64
from mpcc.runtime.two_party.engine.requests import Making
from mpcc.runtime.values import Masked, MaskedBits, RuntimeValue


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
    def mask_planes(cls, operation: Operation) -> dict[int, int]:
        return nest_of(operation).mask_planes()

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        nest, none = nest_of(operation), np.zeros(0, dtype=np.uint64)
        needed = nest.mask_planes()
        planes = [maker.planes(operation, i) if i in needed else none for i in range(len(masks))]
        parts = [mask for mask in masks if mask is not None]
        return (yield from nest.make(parts, planes, maker.index))

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
