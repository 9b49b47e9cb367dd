"""Exponential of a shared value in one tick, with the dealer's mask in place of the parties' shares.

Let B = 2^(j-f), x in [-B/2, 0), x' = x + B/2 in [0, B/2), t uniform in Z/2^j and delta = x' - t mod 2^j
opened. With v = msb(delta) and delta' = delta without it:  exp(x) = exp(delta') * s_v,  s_0 = exp(signed(t)
- B/2) and s_1 = exp((t - B/2) - B/2). The public factor is an integer from an integer table, the same on
both sides; the dealer shares both s_v in R_64. Absolute error below 2^-s0, s0 = (F - B/2 log2 e) / 2 for F
= `fraction`, about 1e-6 at B = 32. Opened: x - t, uniform. Source: Kelkar et al., Secure Poisson Regression
(USENIX Security 2022); the variant choice by a public bit, which saves two of its four products, is ours.
"""

from __future__ import annotations

import decimal
import functools
import math
from collections.abc import Mapping

import numpy as np

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Part, Role, Slot
from mpcc.runtime.protocols.base import (
    DealerView,
    Dealt,
    Maker,
    Party,
    ProtocolClass,
    Step,
    as_share,
    implements,
    masked_difference,
    packed_bytes,
    ring_type,
    size,
)
from mpcc.runtime.protocols.making_exponential import make_factors
from mpcc.runtime.ring import F64, I64, U64, reduce, signed
from mpcc.runtime.two_party.engine.requests import Making
from mpcc.runtime.values import RuntimeValue


class Scales:
    """Bits: j of the opening, f of the argument, s0 of the public factor, s1 of the dealt one; half = B/2."""

    def __init__(self, operation: Operation) -> None:
        self.j = integer(operation.attributes, "bits")
        self.f = ring_type(operation, 0).fraction
        self.half = 2.0 ** (self.j - self.f - 1)
        self.growth = math.ceil(self.half * math.log2(math.e))
        total = integer(operation.attributes, "fraction")
        self.s0 = (total - self.growth) // 2
        self.s1 = total - self.s0


@functools.lru_cache(maxsize=64)  # a program has a few; each takes milliseconds
def public_tables(j: int, f: int, s0: int, growth: int) -> tuple[I64, I64, int]:
    """Integer tables of exp on [0, B/2) and the bits of the second: coarse * (1 + fine) for the high bits and
    the low bits of the argument.

    Computed with correctly rounded decimal arithmetic: identical on every machine.
    """
    low = min((j - 1) // 2, f)  # the argument of `fine` stays below 1
    scale = 63 - (s0 + growth + 1) + f - low  # fine < 2^(low - f + 1): its integer stays below the headroom
    scale = min(scale, 60)
    context = decimal.Context(prec=50)
    unit = context.divide(decimal.Decimal(1), decimal.Decimal(2**f))

    def exact(index: int, bits: int, minus: int) -> int:
        value = context.exp(context.multiply(decimal.Decimal(index), unit))
        return int(context.multiply(value - minus, decimal.Decimal(2**bits)).to_integral_value())

    coarse = [exact(i << low, s0, 0) for i in range(1 << (j - 1 - low))]
    fine = [exact(i, scale - 1, 1) for i in range(1 << low)]
    return np.array(coarse, dtype=np.int64), np.array(fine, dtype=np.int64), scale - 1


@implements("exponential")
class Exponential(ProtocolClass):
    """One tick, `bits` bits an element each way; two ring elements dealt."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        count, bits = size(operation), integer(operation.attributes, "bits")
        return [
            Slot("mask", Role.UNIFORM, count, bits),
            Slot("factors", Role.DERIVED, 2 * count, ring_type(operation).ring),
        ]

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        count = packed_bytes(size(operation), integer(operation.attributes, "bits"))
        return [(count, count)]

    @classmethod
    def make_tables(cls, operation: Operation) -> None:
        s = Scales(operation)
        public_tables(s.j, s.f, s.s0, s.growth)

    @classmethod
    def multiplications(cls, operation: Operation) -> int:
        return size(operation)

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        s, t = Scales(operation), drawn["mask"]
        low = signed(t, s.j).astype(np.float64) * 2.0**-s.f - s.half
        high = t.astype(np.float64) * 2.0**-s.f - 2 * s.half
        factors = np.rint(np.exp(np.stack([low, high])) * 2.0**s.s1).astype(np.uint64)
        return Dealt({"factors": reduce(factors, ring_type(operation).ring).reshape(-1)})

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        s, ring = Scales(operation), ring_type(operation).ring
        factors = yield from make_factors(s.j, s.f, s.s0, s.s1, drawn["mask"], ring, maker.index)
        return {"factors": factors.reshape(-1)}

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        s, ring = Scales(operation), ring_type(operation)
        drawn = party.draw(operation)
        share = as_share(party, operands[0], ring_type(operation, 0)).reshape(-1)
        half = 1 << (s.j - 1) if party.index == 0 else 0
        delta = yield from masked_difference(share, drawn["mask"], s.j, half)
        coarse, fine, scale = public_tables(s.j, s.f, s.s0, s.growth)
        factors = drawn["factors"].reshape(2, -1)
        result = kernels.exponential(delta, factors, coarse, fine, s.j, scale, ring.ring)
        return result.reshape(ring.shape)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        fraction = integer(operation.attributes, "fraction")
        x = np.minimum(operands[0].astype(np.float64) * 2.0 ** -ring_type(operation, 0).fraction, 0.0)
        return np.rint(np.exp(x) * 2.0**fraction).astype(np.int64)

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        return np.exp(np.minimum(operands[0], 0.0))
