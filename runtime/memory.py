"""What a session takes at party 0, from the program alone: by this a server admits sessions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import RingType
from mpcc.runtime.interpreter import LINEAR_KINDS
from mpcc.runtime.protocols import linear, protocols
from mpcc.runtime.protocols.base import packed_bytes, ring_type

ELEMENT_BYTES = 8
SESSION_BYTES = 24 << 20  # buffers of the connection, records of what was done: measured, rounded up
NO_MEMORY = ("weight", "constant", "reshape", "transpose", "expand")


@dataclass(frozen=True)
class SessionMemory:
    """In bytes: `work` is the most that a session holds besides correlations, `expanded` all correlations
    that it expands, `largest` the most that one operation draws. `making`: what it takes before, to make them
    with the other party, where there is no dealer.
    """

    work: int
    expanded: int
    largest: int
    making: int = 0

    def needed(self, budget: int) -> int:
        """With so many bytes of correlations expanded ahead, and one draw more."""
        return max(self.making, self.work + min(self.expanded, budget + self.largest))

    def budget(self, limit: int) -> int | None:
        """How many bytes may be expanded ahead within a limit; None where the limit is too small."""
        room = limit - self.work - min(self.largest, self.expanded)
        return room if room >= 0 and limit >= self.making else None


def session_memory(operations: list[Operation]) -> SessionMemory:
    """Of party 0's program, linked."""
    computed = [o for o in operations if o.kind in protocols]
    draws = [sum(slot.expanded_bytes for slot in protocols[o.kind].slots(o)) for o in computed]
    online = most_alive(o for o in computed if o.kind not in NO_MEMORY) * ELEMENT_BYTES
    pieces = [
        piece.count * ELEMENT_BYTES + packed_bytes(piece.count, ring_type(o).ring)
        for o in computed
        if o.kind in LINEAR_KINDS
        for piece in linear.weight_pieces(o)
    ]
    return SessionMemory(
        SESSION_BYTES + max(online, max(pieces, default=0)), sum(draws), max(draws, default=0)
    )


def most_alive(operations: Iterable[Operation]) -> int:
    """The most elements alive at one time, in this order, of the values that these operations compute."""
    order = list(operations)
    last = {v: position for position, o in enumerate(order) for v in (*o.operands, *o.results)}
    dying: dict[int, int] = {}
    computed = {v for o in order for v in o.results}
    for value, position in last.items():
        if value in computed:
            dying[position] = dying.get(position, 0) + elements(value)
    live = peak = 0
    for position, operation in enumerate(order):
        live += sum(elements(v) for v in operation.results)
        peak = max(peak, live)
        live -= dying.get(position, 0)
    return peak


def elements(value: Value) -> int:
    """Of a ring value; 0 for anything else."""
    return value.type.size if isinstance(value.type, RingType) else 0
