"""One session's correlations, made from a plan that holds no weight and no input.

Party 0's part is its seed; party 1's is its seed and the corrections, streamed in the plan's order. The
dealer knows the fixed masks B of the weights (from `weight_mask_seed`, shared with party 0), never the
weights.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Part, Role, stream
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import ring_type
from mpcc.runtime.protocols.linear import weight_pieces
from mpcc.runtime.protocols.local import moves_mask
from mpcc.runtime.ring import U64


def weight_mask(seed: bytes, operation: Operation) -> Iterator[U64]:
    """The fixed mask B of a linear operation's weight, uniform in the ring of its result: the rows of each of
    its pieces.
    """
    number, bits = stream(operation.result.name, "weight_mask"), ring_type(operation).ring
    for piece in weight_pieces(operation):
        yield kernels.expand(seed, number, piece.count, bits, piece.first).reshape(piece.shape)


class Dealing:
    """One session's dealing: `corrections` yields party 1's payload, piece by piece."""

    def __init__(self, seeds: tuple[bytes, bytes], weight_mask_seed: bytes) -> None:
        self._seeds = seeds
        self._weight_mask_seed = weight_mask_seed

    def weight_mask(self, operation: Operation) -> Iterator[U64]:
        return weight_mask(self._weight_mask_seed, operation)

    def corrections(self, operations: list[Operation]) -> Iterator[memoryview]:
        """Party 1's payload, a piece for each derived slot. Masks are kept up to their last use."""
        masks: dict[str, U64 | None] = {}
        last_use = {value.name: i for i, o in enumerate(operations) for value in o.operands}
        for i, operation in enumerate(operations):
            name = operation.result.name
            masks[name] = yield from self._deal(operation, [masks.get(v.name) for v in operation.operands])
            for value in (*operation.operands, operation.result):
                if last_use.get(value.name, i) == i:
                    masks.pop(value.name, None)

    def _deal(self, operation: Operation, masks: list[U64 | None]) -> Generator[memoryview, None, U64 | None]:
        """One operation's pieces; returns its result's mask."""
        protocol, name = protocols[operation.kind], operation.result.name
        if moves_mask(operation):
            known = [mask.view(np.int64) for mask in masks if mask is not None]
            return np.ascontiguousarray(protocol.plain(operation, known)).view(np.uint64)
        slots = protocol.slots(operation)
        drawn: dict[str, Part] = {}
        for slot in slots:
            if slot.role is Role.UNIFORM:
                parts = [slot.expand(seed, name) for seed in self._seeds]
                drawn[slot.name] = slot.combine(*parts)
            elif slot.role is not Role.DERIVED:
                drawn[slot.name] = slot.expand(self._seeds[0 if slot.role is Role.PARTY0 else 1], name)
        dealt = protocol.deal(operation, drawn, masks, self)
        for slot in slots:
            if slot.role is Role.DERIVED:
                yield slot.correct(dealt.derived.pop(slot.name), slot.expand(self._seeds[0], name))
        return dealt.mask


def one_ahead(items: Iterator[memoryview]) -> Iterator[memoryview]:
    """The items, each made in a thread while the one before it is used."""
    with ThreadPoolExecutor(1, "dealing") as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
