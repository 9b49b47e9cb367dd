"""Comparison of a masked value with public thresholds on the bits that matter (docs/protocols/less_than.md).

x = E + a mod 2^j with E opened before, by an operation that may serve others, too. For a threshold t, the
sign bit of x - t is msb(E - t) xor msb(a) xor the carry out of the low j - 1 bits, [a_low > v] with v public.
The dealer shares, by xor, the one-hot word of every block of a_low: block generate and propagate bits are
then local. The carry is one node over all blocks: every input bit is opened under a fresh mask rho, and xor
shares of the products of the masks evaluate it. No tick when a single block suffices, else one. Opened: bits
under fresh uniform masks. Low bits are dropped of E, rounded up, and of a, rounded down. Sources: CrypTFlow2
(CCS 2020), ABY2.0 (USENIX Security 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache

import numpy as np

from mpcc.ir.dialects.base import integer, integers
from mpcc.ir.dialects.protocol import compared_bits
from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Part, Role, Slot, bits_to_words
from mpcc.runtime.protocols.base import (
    DealerView,
    Dealt,
    Maker,
    Party,
    ProtocolClass,
    Step,
    flat,
    implements,
    message,
    ring_type,
    size,
)
from mpcc.runtime.protocols.local import rounded_shift
from mpcc.runtime.ring import F64, I64, U64, constant, mask, reduce
from mpcc.runtime.two_party.engine.circuits import one_hot, select_planes, together
from mpcc.runtime.two_party.engine.requests import Making
from mpcc.runtime.values import Masked, RuntimeValue


class Shape:
    """Sizes of one comparison: n elements, T thresholds, L blocks of w bits, V planes of m words."""

    def __init__(self, operation: Operation) -> None:
        self.n = size(operation, 0)
        self.thresholds = integers(operation.attributes, "thresholds")
        self.bits = integer(operation.attributes, "bits")
        self.drop = compared_bits(operation.attributes) - self.bits
        self.width = integer(operation.attributes, "width")
        self.blocks = -(-(self.bits - 1) // self.width)
        self.planes = 2 * self.blocks - 2
        self.words = -(-self.n // 64)
        self.subsets = kernels.carry_subsets(self.blocks) if self.blocks > 1 else []
        self.products = [s for s in self.subsets if len(s) > 1]

    def opening(self, opened: U64) -> U64:
        """x - a mod 2^bits for the operand without its dropped bits, rounded up; garbage above where none are
        dropped.
        """
        if self.drop == 0:
            return opened
        whole = reduce(opened, self.bits + self.drop) + mask(self.drop)
        return (whole >> np.uint64(self.drop)) & mask(self.bits)

    @cached_property
    def public(self) -> U64:
        """The thresholds mod 2^bits."""
        return np.array([constant(t) for t in self.thresholds], dtype=np.uint64) & mask(self.bits)


@lru_cache(maxsize=4096)  # those of a whole program
def shape_of(operation: Operation) -> Shape:
    return Shape(operation)


@implements("less_than")
class LessThan(ProtocolClass):
    """2L - 2 bits a threshold, an element each way; none for a single block."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        s = Shape(operation)
        count = len(s.thresholds)
        slots = [
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
        count = len(s.thresholds) * s.planes * s.words * 8
        return [(count, count)] if s.planes else []

    @classmethod
    def make_tables(cls, operation: Operation) -> None:
        shape_of(operation).public.setflags(write=False)

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        s, (a,) = Shape(operation), masks
        assert a is not None
        a = (a.reshape(-1) >> np.uint64(s.drop)) & mask(s.bits)
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
    def mask_planes(cls, operation: Operation) -> dict[int, int]:
        return {0: compared_bits(operation.attributes)}

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        """The one-hot of each block of the mask's bits; products of rho beside them."""
        s = Shape(operation)
        makings = [_of_mask(s, maker.planes(operation, 0), maker.index)]
        if s.planes:
            rho = drawn["rho"].reshape(len(s.thresholds), s.planes, s.words)
            makings.append(_products(s, rho, maker.index))
        parts = yield from together(makings)
        return {name: part for derived in parts for name, part in derived.items()}

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        s, drawn = shape_of(operation), party.draw(operation)
        (x,) = operands
        assert isinstance(x, Masked)
        opened = s.opening(flat(x.opened))
        onehots = drawn["onehots"].reshape(s.blocks, s.n)
        leaves = kernels.compare_leaves(
            opened, onehots, drawn["sign"], s.public, s.bits, s.width, party.index
        )
        result = leaves[:, 0]
        if s.planes:
            count = len(s.thresholds)
            rho = drawn["rho"].reshape(count, s.planes, s.words)
            mine = np.ascontiguousarray(leaves[:, 1:]) ^ rho
            theirs = yield mine.reshape(-1).view(np.uint8)
            public = mine ^ message(theirs).view(np.uint64).reshape(mine.shape)
            products = drawn["products"].reshape(count, len(s.products), s.words)
            dealt = iter(range(len(s.products)))
            rows = [rho[:, p[0]] if len(p) == 1 else products[:, next(dealt)] for p in s.subsets]
            carry = kernels.carry_node(
                np.ascontiguousarray(public.transpose(1, 0, 2)).reshape(s.planes, -1),
                np.stack(rows).reshape(len(rows), -1),
                party.index,
            )
            result = result ^ carry.reshape(count, s.words)
        bits = kernels.planes_unpack(np.ascontiguousarray(result), s.n)
        return bits.reshape(ring_type(operation).shape)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        s = Shape(operation)
        x = rounded_shift(operands[0], s.drop)
        return np.stack([x < t for t in s.thresholds]).astype(np.int64)

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        s = Shape(operation)
        scaled = operands[0] * 2.0 ** (ring_type(operation, 0).fraction - s.drop)
        return np.stack([scaled < t for t in s.thresholds]).astype(np.float64)


def _of_mask(s: Shape, planes: U64, party: int) -> Making:
    """One-hots and sign of the mask."""
    *low, sign = planes[s.drop : s.drop + s.bits]
    blocks = [np.stack(low[b * s.width : (b + 1) * s.width]) for b in range(s.blocks)]
    words = yield from together([one_hot(block, s.n, party) for block in blocks])
    return {"onehots": np.concatenate([w[0] for w in words]), "sign": sign}


def _products(s: Shape, rho: U64, party: int) -> Making:
    """Products of the planes' masks: a plane is multiplied with all the products it needs at once."""
    planes = rho.transpose(1, 0, 2).reshape(s.planes, -1)
    made: dict[tuple[int, ...], U64] = {(plane,): planes[plane] for plane in range(s.planes)}

    def multiply(plane: int) -> Making:
        subsets = [subset[:-1] for subset in s.products if subset[-1] == plane]
        factors = np.stack([made[subset] for subset in subsets])
        products = yield from select_planes(planes[plane], factors, party)
        made.update({(*subset, plane): product for subset, product in zip(subsets, products, strict=True)})

    for plane in range(1, s.blocks - 1):
        yield from multiply(plane)
    yield from together([multiply(plane) for plane in range(s.blocks - 1, s.planes)])
    columns = [made[subset].reshape(len(s.thresholds), s.words) for subset in s.products]
    return {"products": np.stack(columns, axis=1).reshape(-1)}
