"""Which levels a row of small integers reaches, in two ticks for any length: the secret maximum.

Each element q = E + a mod 2^j with E opened (tick 1); the dealer shares the arithmetic one-hot of a, so
each party has, locally, shares of the one-hot of q, and by summing over the row shares of the number C_v of
elements in [v, top]. A row reaches v unless C_v = 0; C_v is opened under a fresh mask c (tick 2) and [C_v =
0] = [c = -E_v] is read off an xor-shared one-hot of c. The maximum is low + the number of reached levels.
Opened: q - a and C_v - c, uniform. Ours; the histogram replaces the comparison trees of SecFormer and
CrypTFlow2, whose ticks grow with log(row length).
"""

from __future__ import annotations

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
from mpcc.runtime.ring import F64, I64, U64
from mpcc.runtime.two_party.engine.circuits import one_hot, one_hot_numbers, sum_bits, together
from mpcc.runtime.two_party.engine.requests import Making
from mpcc.runtime.values import RuntimeValue


class Shape:
    """Sizes: rows of `length` integers mod 2^bits, `levels` tested, counts mod 2^count_bits in lanes."""

    def __init__(self, operation: Operation) -> None:
        shape = ring_type(operation, 0).shape
        self.length = shape[-1]
        self.rows = size(operation, 0) // max(1, self.length)
        self.bits = integer(operation.attributes, "bits")
        self.low = integer(operation.attributes, "low")
        self.levels = integer(operation.attributes, "levels")
        self.count_bits = self.length.bit_length()
        self.lane_bits = 8 if self.count_bits <= 8 else 16
        self.word_bits = min(64, 1 << self.count_bits)
        self.words = (1 << self.count_bits) // self.word_bits


@implements("row_reaches")
class RowReaches(ProtocolClass):
    """Two ticks: `bits` bits an element, then count_bits bits a row and level, each way."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        s = Shape(operation)
        elements, tests = s.rows * s.length, s.rows * s.levels
        return [
            Slot("mask", Role.UNIFORM, elements, s.bits),
            Slot("onehots", Role.DERIVED, elements << s.bits, s.lane_bits, lanes=True),
            Slot("count_mask", Role.UNIFORM, tests, s.count_bits),
            Slot("zero_onehots", Role.DERIVED, tests * s.words, s.word_bits, boolean=True),
        ]

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        s = Shape(operation)
        first = packed_bytes(s.rows * s.length, s.bits)
        second = packed_bytes(s.rows * s.levels, s.count_bits)
        return [(first, first), (second, second)]

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        s = Shape(operation)
        lane = np.uint8 if s.lane_bits == 8 else np.uint16
        onehots = np.zeros((s.rows * s.length, 1 << s.bits), dtype=lane)
        onehots[np.arange(len(onehots)), drawn["mask"].astype(np.int64)] = 1
        c = drawn["count_mask"]
        words = np.zeros((c.size, s.words), dtype=np.uint64)
        words[np.arange(c.size), (c // np.uint64(s.word_bits)).astype(np.int64)] = np.uint64(1) << (
            c % np.uint64(s.word_bits)
        )
        return Dealt({"onehots": onehots.reshape(-1), "zero_onehots": words.reshape(-1)})

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        """One-hots of the masks' bits by xor; those of the elements then as numbers."""
        s, party = Shape(operation), maker.index

        def zero_onehots() -> Making:
            c = drawn["count_mask"]
            planes = yield from sum_bits(c, s.count_bits, party)
            words = yield from one_hot(planes, c.size, party)
            return np.ascontiguousarray(words.T).reshape(-1)

        lane = np.uint8 if s.lane_bits == 8 else np.uint16
        elements = one_hot_numbers(drawn["mask"], s.bits, s.lane_bits, party, lane)
        rows, words = yield from together([elements, zero_onehots()])
        return {"onehots": rows.reshape(-1), "zero_onehots": words}

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        s, drawn = Shape(operation), party.draw(operation)
        share = as_share(party, operands[0], ring_type(operation, 0)).reshape(-1)
        opened = yield from masked_difference(share, drawn["mask"], s.bits)
        onehots: np.ndarray = drawn["onehots"]  # in lanes
        counts = kernels.row_counts(opened.reshape(s.rows, s.length), onehots, s.bits, s.low, s.levels)
        difference = yield from masked_difference(counts.reshape(-1), drawn["count_mask"], s.count_bits)
        words = drawn["zero_onehots"].reshape(-1, s.words)
        empty = kernels.lookup_bits(words, np.uint64(0) - difference, s.word_bits)
        reached = empty ^ np.uint8(1 - party.index)
        return reached.reshape(s.rows, s.levels).T.reshape(ring_type(operation).shape)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        s = Shape(operation)
        above = (operands[0] - s.low) % (1 << s.bits)
        reached = np.where(above <= s.levels, above, 0).max(axis=-1, keepdims=True)
        levels = np.arange(1, s.levels + 1).reshape(-1, *(1,) * reached.ndim)
        return np.asarray(reached[None] >= levels, dtype=np.int64)

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        whole = np.floor(operands[0] * 2.0 ** ring_type(operation, 0).fraction).astype(np.int64)
        return cls.plain(operation, [whole]).astype(np.float64)
