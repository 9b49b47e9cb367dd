"""Comparison of a shared value with public thresholds on the bits that matter (protocols.md 4).

x = E + a mod 2^j with E opened. For a threshold t, the sign bit of x - t is msb(E - t) xor msb(a) xor the
carry out of the low j - 1 bits, [a_low > v] with v public. The dealer shares, by xor, the one-hot word of
every block of a_low: block generate and propagate bits are then local. The carry is one node over all
blocks: every input bit is opened under a fresh mask rho, and xor shares of the products of the masks
evaluate it. One tick when a single block suffices, else two. Opened: x - a, and bits under fresh uniform
masks. Sources: CrypTFlow2 (CCS 2020), ABY2.0 (USENIX Security 2021).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mpcc.ir.dialects.base import integer, integers
from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Role, Slot, bits_to_words
from mpcc.runtime.protocols.base import (
    DealerView,
    Dealt,
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
from mpcc.runtime.ring import F64, I64, U64, constant, mask
from mpcc.runtime.values import RuntimeValue


class Shape:
    """Sizes of one comparison: n elements, T thresholds, L blocks of w bits, V planes of m words."""

    def __init__(self, operation: Operation) -> None:
        self.n = size(operation, 0)
        self.thresholds = integers(operation.attributes, "thresholds")
        self.bits = integer(operation.attributes, "bits")
        self.width = integer(operation.attributes, "width")
        self.blocks = -(-(self.bits - 1) // self.width)
        self.planes = 2 * self.blocks - 2
        self.words = -(-self.n // 64)
        self.subsets = kernels.carry_subsets(self.blocks) if self.blocks > 1 else []
        self.products = [s for s in self.subsets if len(s) > 1]


@implements("less_than")
class LessThan(ProtocolClass):
    """`bits` bits, then 2L - 2 bits a threshold, an element each way."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        s = Shape(operation)
        count = len(s.thresholds)
        slots = [
            Slot("mask", Role.UNIFORM, s.n, s.bits),
            Slot("onehots", Role.DERIVED, s.blocks * s.n, 1 << s.width, boolean=True),
            Slot("sign", Role.DERIVED, s.words, 64, boolean=True),
        ]
        if s.planes:
            slots.append(Slot("rho", Role.UNIFORM, count * s.planes * s.words, 64, boolean=True))
            slots.append(Slot("products", Role.DERIVED, count * len(s.products) * s.words, 64, boolean=True))
        return slots

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        s = Shape(operation)
        first = packed_bytes(s.n, s.bits)
        second = len(s.thresholds) * s.planes * s.words * 8
        return [(first, first), (second, second)] if s.planes else [(first, first)]

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        s, a = Shape(operation), drawn["mask"]
        low = a & mask(s.bits - 1)
        digits = [(low >> np.uint64(b * s.width)) & mask(s.width) for b in range(s.blocks)]
        derived = {
            "onehots": np.concatenate([np.uint64(1) << d for d in digits]),
            "sign": bits_to_words((a >> np.uint64(s.bits - 1)).astype(np.uint8)),
        }
        if s.planes:
            rho = drawn["rho"].reshape(len(s.thresholds), s.planes, s.words)
            columns = [np.bitwise_and.reduce(rho[:, list(subset)], axis=1) for subset in s.products]
            derived["products"] = np.stack(columns, axis=1).reshape(-1)
        return Dealt(derived)

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        s, drawn = Shape(operation), party.draw(operation)
        share = as_share(party, operands[0], ring_type(operation, 0)).reshape(-1)
        opened = yield from masked_difference(party, share, drawn["mask"], s.bits)
        thresholds = np.array([constant(t) for t in s.thresholds], dtype=np.uint64) & mask(s.bits)
        onehots = drawn["onehots"].reshape(s.blocks, s.n)
        leaves = kernels.compare_leaves(
            opened, onehots, drawn["sign"], thresholds, s.bits, s.width, party.index
        )
        result = leaves[:, 0]
        if s.planes:
            count = len(s.thresholds)
            rho = drawn["rho"].reshape(count, s.planes, s.words)
            mine = np.ascontiguousarray(leaves[:, 1:]) ^ rho
            theirs = yield mine.tobytes()
            public = mine ^ np.frombuffer(theirs, dtype=np.uint64).reshape(mine.shape)
            products = drawn["products"].reshape(count, len(s.products), s.words)
            dealt = iter(range(len(s.products)))
            rows = [rho[:, p[0]] if len(p) == 1 else products[:, next(dealt)] for p in s.subsets]
            carry = kernels.carry_node(
                np.ascontiguousarray(public.transpose(1, 0, 2)).reshape(s.planes, -1),
                np.stack(rows).reshape(len(rows), -1),
                party.index,
            )
            result = result ^ carry.reshape(count, s.words)
        bits = [kernels.planes_unpack(np.ascontiguousarray(row), s.n) for row in result]
        return np.stack(bits).reshape(ring_type(operation).shape)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        return np.stack([operands[0] < t for t in integers(operation.attributes, "thresholds")]).astype(
            np.int64
        )

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        scaled = operands[0] * 2.0 ** ring_type(operation, 0).fraction
        return np.stack([scaled < t for t in integers(operation.attributes, "thresholds")]).astype(np.float64)
