"""What of a session is made together: windows of operations, and before each the bits of the masks that they
read. What that costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mpcc.ir.program import Operation, Value
from mpcc.runtime.correlations.slots import Role, Slot
from mpcc.runtime.protocols import protocols
from mpcc.runtime.two_party.engine.cost import Cost, making_cost, merged, sum_cost

WINDOW_BYTES = 1 << 26  # of derived slots in memory; what is computed beside them is some times more


@dataclass(frozen=True)
class Window:
    """Operations of a plan, by place, and how many bits are summed of masks that no window before had."""

    operations: range
    masks: dict[Value, int]


def derived(operation: Operation) -> list[Slot]:
    """The slots that the parties make together."""
    return [slot for slot in protocols[operation.kind].slots(operation) if slot.role is Role.DERIVED]


def schedule(operations: list[Operation]) -> Iterator[Window]:
    """As many operations at a time as WINDOW_BYTES allow, at least one."""
    counts: dict[Value, int] = {}
    for operation in operations:
        for value, count in masks_read(operation).items():
            counts[value] = max(count, counts.get(value, 0))
    start, held = 0, 0
    for place in range(len(operations) + 1):
        last = place == len(operations)
        size = 0 if last else sum(slot.expanded_bytes for slot in derived(operations[place]))
        if last or (held and held + size > WINDOW_BYTES):
            read = [value for operation in operations[start:place] for value in masks_read(operation)]
            yield Window(range(start, place), {v: counts.pop(v) for v in read if v in counts})
            start, held = place, 0
        held += size


def masks_read(operation: Operation) -> dict[Value, int]:
    """Operands of whose masks an operation reads the bits, and how many."""
    counts: dict[Value, int] = {}
    for index, count in protocols[operation.kind].mask_planes(operation).items():
        value = operation.operands[index]
        counts[value] = max(count, counts.get(value, 0))
    return counts


def window_cost(
    operations: list[Operation], window: Window, extension_bits: float
) -> tuple[list[Cost], list[Cost]]:
    """Of each step of summing masks' bits, and of making what is derived."""
    sums = merged(sum_cost(value, count) for value, count in window.masks.items())
    own = [operations[place] for place in window.operations]
    return sums, merged(making_cost(operation, extension_bits) for operation in own if derived(operation))


def runs_of(operations: list[Operation], extension_bits: float) -> list[list[Cost]]:
    """The cost of every step of a session of a plan's operations, by what runs at a time: of each window the
    sums, and the makings. `extension_bits`: what making an OT sends.
    """
    costs = [window_cost(operations, window, extension_bits) for window in schedule(operations)]
    return [steps for both in costs for steps in both]


def steps_of(operations: list[Operation], extension_bits: float) -> list[Cost]:
    """The steps of `runs_of`, one after another."""
    return [step for steps in runs_of(operations, extension_bits) for step in steps]
