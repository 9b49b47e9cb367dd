"""Arithmetic one-hot of a secret index, by rotating a dealt one-hot (docs/protocols/one_hot.md).

The dealer shares one_hot(rho); delta = i - rho mod 2^j is opened and each party rotates its share, by the
powers of two in delta: a mask decides whether each counts, so no address depends on a run. Opened: i - rho,
uniform. A lookup in a public table is a public matrix product after it, in party 0's table a `linear`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Operation
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
from mpcc.runtime.two_party.engine.circuits import one_hot_numbers
from mpcc.runtime.two_party.engine.requests import Making
from mpcc.runtime.values import RuntimeValue

ROTATED_AT_ONCE = 1 << 16  # elements: they and their moved copies stay in a core's cache


def rotated(rows: U64, steps: U64) -> U64:
    """`rows` [n, 2^j], each moved up cyclically by its own step, steps [n] below 2^j."""
    result = np.empty_like(rows)
    bits = rows.shape[1].bit_length() - 1
    count = max(1, ROTATED_AT_ONCE >> bits)
    for start in range(0, len(rows), count):
        part = slice(start, start + count)
        columns = np.ascontiguousarray(rows[part].T)
        moved = np.empty_like(columns)
        for bit in range(bits):
            step = 1 << bit
            counts = np.uint64(0) - (steps[part] >> np.uint64(bit) & np.uint64(1))  # all ones or 0
            np.bitwise_xor(columns[:-step], columns[step:], out=moved[step:])
            np.bitwise_xor(columns[-step:], columns[:step], out=moved[:step])
            moved &= counts
            columns ^= moved
        result[part] = columns.T
    return result


@implements("one_hot")
class OneHot(ProtocolClass):
    """One tick, `bits` bits an index each way; 2^bits ring elements dealt an index."""

    @classmethod
    def slots(cls, operation: Operation) -> list[Slot]:
        bits = integer(operation.attributes, "bits")
        return [
            Slot("mask", Role.UNIFORM, size(operation, 0), bits),
            Slot("onehot", Role.DERIVED, size(operation), ring_type(operation).ring),
        ]

    @classmethod
    def messages(cls, operation: Operation) -> list[tuple[int, int]]:
        count = packed_bytes(size(operation, 0), integer(operation.attributes, "bits"))
        return [(count, count)]

    @classmethod
    def deal(
        cls, operation: Operation, drawn: Mapping[str, U64], masks: list[U64 | None], dealer: DealerView
    ) -> Dealt:
        entries = np.arange(1 << integer(operation.attributes, "bits"), dtype=np.uint64)
        return Dealt({"onehot": (drawn["mask"][:, None] == entries).astype(np.uint64).reshape(-1)})

    @classmethod
    def make(
        cls, operation: Operation, drawn: Mapping[str, Part], masks: list[U64 | None], maker: Maker
    ) -> Making:
        """The bits of the mask, their one-hot by xor, then as numbers: 2^bits - 1 transfers of an element."""
        bits, width = integer(operation.attributes, "bits"), ring_type(operation).ring
        rows = yield from one_hot_numbers(drawn["mask"], bits, width, maker.index)
        return {"onehot": rows.reshape(-1)}

    @classmethod
    def run(cls, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
        bits = integer(operation.attributes, "bits")
        drawn = party.draw(operation)
        share = as_share(party, operands[0], ring_type(operation, 0)).reshape(-1)
        delta = yield from masked_difference(share, drawn["mask"], bits)
        return rotated(drawn["onehot"].reshape(-1, 1 << bits), delta).reshape(ring_type(operation).shape)

    @classmethod
    def plain(cls, operation: Operation, operands: list[I64]) -> I64:
        count = 1 << integer(operation.attributes, "bits")
        return np.asarray(operands[0][..., None] % count == np.arange(count), dtype=np.int64)

    @classmethod
    def real(cls, operation: Operation, operands: list[F64]) -> F64:
        whole = np.floor(operands[0] * 2.0 ** ring_type(operation, 0).fraction).astype(np.int64)
        return cls.plain(operation, [whole]).astype(np.float64)
