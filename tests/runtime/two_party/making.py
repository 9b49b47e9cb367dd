"""What two parties make of an operation, every request answered in the clear, beside what a dealer makes of
the same masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mpcc.ir.program import Operation, Value
from mpcc.runtime.correlations.slots import Part, Role, Slot
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import flat, ring_type
from mpcc.runtime.protocols.linear import weight_pieces
from mpcc.runtime.protocols.local import moves_mask
from mpcc.runtime.ring import U64, reduce, to_ring
from tests.runtime.protocols.harness import Prepared, encoded
from tests.runtime.two_party.ideal import ideal_sum, run_ideal


@dataclass(frozen=True)
class Made:
    """A derived slot of an operation, and its value by both parties and by a dealer."""

    operation: Operation
    slot: Slot
    made: Part
    dealt: Part


class Weights:
    """A `Maker` without a connection, and a dealer for whom the fixed mask of a weight is the weight."""

    def __init__(self, prepared: Prepared, arrays: dict[str, np.ndarray], index: int) -> None:
        self.index = index
        self._arrays = arrays
        self.sums: dict[tuple[Operation, int], U64] = {}
        self._sources = {o.result.name: o for o in prepared.linked if o.kind == "weight"}

    def weight(self, operation: Operation) -> np.ndarray:
        assert self.index == 0
        return encoded(self._arrays, self._sources[operation.operands[1].name])

    def planes(self, operation: Operation, index: int) -> U64:
        return self.sums[operation, index]

    def weight_mask(self, operation: Operation) -> Iterator[U64]:
        weight = to_ring(self.weight(operation))
        for piece in weight_pieces(operation):
            yield reduce(piece.of(weight), ring_type(operation).ring)


def made_and_dealt(
    prepared: Prepared,
    arrays: dict[str, np.ndarray],
    seeds: tuple[bytes, bytes],
    kinds: tuple[str, ...],
    generator: np.random.Generator,
) -> Iterator[Made]:
    """Every derived slot of a program's operations of these kinds, in its order."""
    makers = [Weights(prepared, arrays, index) for index in (0, 1)]
    masks: dict[Value, list[U64 | None]] = {}  # by party 0, by party 1, and of both
    for operation in prepared.operations:
        protocol, name = protocols[operation.kind], operation.result.name
        own = [[masks[v][i] if v in masks else None for v in operation.operands] for i in range(3)]
        if moves_mask(operation):
            masks[operation.result] = [_moved(operation, parts) for parts in own]
            continue
        slots = protocol.slots(operation)
        drawn: list[dict[str, Part]] = [{}, {}, {}]
        for slot in slots:
            parts = [slot.expand(seed, name) for seed in seeds]
            if slot.role is Role.UNIFORM:
                parts.append(slot.combine(*parts))
            elif slot.role is not Role.DERIVED:
                holder = 0 if slot.role is Role.PARTY0 else 1
                drawn[holder][slot.name] = drawn[2][slot.name] = parts[holder]
                continue
            if slot.role is Role.UNIFORM:
                for by_name, part in zip(drawn, parts, strict=True):
                    by_name[slot.name] = part
        masks[operation.result] = [protocol.mask(operation, d) for d in drawn]
        if operation.kind in kinds:
            for index, count in protocol.mask_planes(operation).items():
                bits = ring_type(operation, index).ring
                one, other = (reduce(flat(np.asarray(m[index])), bits) for m in own[:2])
                for maker, planes in zip(makers, ideal_sum(one, other, count, generator), strict=True):
                    maker.sums[operation, index] = planes
            makings = [[protocol.make(operation, drawn[i], own[i], makers[i])] for i in (0, 1)]
            [one], [other], _ = run_ideal((makings[0], makings[1]), generator)
            dealt = protocol.deal(operation, drawn[2], own[2], makers[0]).derived
            derived = [slot for slot in slots if slot.role is Role.DERIVED]
            assert set(one) == set(other) == set(dealt) == {slot.name for slot in derived}
            for slot in derived:
                assert all(part[slot.name].shape == (slot.count,) for part in (one, other))
                yield Made(operation, slot, slot.combine(one[slot.name], other[slot.name]), dealt[slot.name])


def _moved(operation: Operation, masks: list[U64 | None]) -> U64 | None:
    known = [mask.view(np.int64) for mask in masks if mask is not None]
    if not known:
        return None
    moved = np.ascontiguousarray(protocols[operation.kind].plain(operation, known))
    return moved.view(np.uint64)
