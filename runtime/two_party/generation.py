"""One session's correlations, made between the two parties: what a dealer would derive from the masks.

Both parties walk the plan in its order. Each expands its own parts of the uniform slots from its seed, keeps
its parts of the masks, and makes its parts of the derived slots with the other party. Operations run together
in windows of bounded size, so that they share messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import RingType
from mpcc.runtime.correlations.slots import Part, Role
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import flat
from mpcc.runtime.protocols.local import moves_mask
from mpcc.runtime.ring import I32, I64, U64, reduce
from mpcc.runtime.two_party.engine.circuits import sum_bits
from mpcc.runtime.two_party.engine.cost import Cost
from mpcc.runtime.two_party.engine.requests import Making
from mpcc.runtime.two_party.schedule import Window, derived, masks_read, schedule, window_cost

K = TypeVar("K")
Weights = Callable[[Operation], I64 | I32]


class Runner(Protocol):
    """What answers the operations' requests: `Engine`, for as long as the parties are connected."""

    @property
    def index(self) -> int: ...

    @property
    def extension_bits(self) -> float: ...

    def run(self, makings: Sequence[Making], ots: tuple[int, int]) -> list[Any]:
        """What each returns. The other party runs the same at the same time."""


class Generation:
    """One session of one party: `pieces` yields its payload. A `Maker`.

    `operations` are the plan's, `seed` the party's own of the session; `weights` gives party 0 the encoded
    weight of a linear operation.
    """

    def __init__(
        self, runner: Runner, seed: bytes, operations: list[Operation], weights: Weights | None = None
    ) -> None:
        self._runner = runner
        self._seed = seed
        self._operations = operations
        self._weights = weights
        self._masks: dict[Value, U64 | None] = {}
        self._planes: dict[Value, U64] = {}
        self._last_use = {value: i for i, o in enumerate(operations) for value in o.operands}

    @property
    def index(self) -> int:
        return self._runner.index

    def weight(self, operation: Operation) -> I64 | I32:
        """The encoded weight of a linear operation, in its own shape. Party 0 only."""
        assert self._weights is not None
        return self._weights(operation)

    def planes(self, operation: Operation, index: int) -> U64:
        """As `Maker.planes`."""
        return self._planes[operation.operands[index]]

    def pieces(self) -> Iterator[memoryview]:
        """This party's parts of the derived slots, packed, one after another in the plan's order. Raises
        MPC-R004..R008.
        """
        for window in schedule(self._operations):
            costs = window_cost(self._operations, window, self._runner.extension_bits)
            makings: dict[int, Making] = {}
            sums: dict[Value, Making] = {}
            for place in window.operations:
                self._start(place, window, makings, sums)
            self._planes.update(self._run(sums, costs[0]))
            for place, parts in self._run(makings, costs[1]).items():
                for slot in derived(self._operations[place]):
                    yield slot.pack(parts.pop(slot.name))
            for value in [v for v in self._planes if self._last_use[v] < window.operations.stop]:
                del self._planes[value]

    def _run(self, makings: dict[K, Making], costs: list[Cost]) -> dict[K, Any]:
        """What each returns."""
        ots = sum(cost.ots[0] for cost in costs), sum(cost.ots[1] for cost in costs)
        return dict(zip(makings, self._runner.run(list(makings.values()), ots), strict=True))

    def _start(
        self, place: int, window: Window, makings: dict[int, Making], sums: dict[Value, Making]
    ) -> None:
        """Adds an operation's making, if it has derived slots, and the sums of the masks whose bits it is the
        first to read. Its result's mask is kept up to its last use.
        """
        operation = self._operations[place]
        protocol = protocols[operation.kind]
        masks = [self._masks.get(value) for value in operation.operands]
        if moves_mask(operation):
            known = [mask.view(np.int64) for mask in masks if mask is not None]
            moved = np.ascontiguousarray(protocol.plain(operation, known)) if known else None
            mask = None if moved is None else moved.view(np.uint64)
        else:
            drawn = self._drawn(operation)
            mask = protocol.mask(operation, drawn)
            if derived(operation):
                makings[place] = protocol.make(operation, drawn, masks, self)
        for value in masks_read(operation):
            if value in window.masks and value not in sums:
                part = self._masks[value]
                assert part is not None
                assert isinstance(value.type, RingType)
                own = reduce(flat(part), value.type.ring)
                sums[value] = sum_bits(own, window.masks[value], self.index)
        self._masks[operation.result] = mask
        for value in (*operation.operands, operation.result):
            if self._last_use.get(value, place) == place:
                self._masks.pop(value, None)

    def _drawn(self, operation: Operation) -> dict[str, Part]:
        """The party's own parts of uniform and private slots."""
        roles = (Role.UNIFORM, Role(f"party{self.index}"))
        slots = [s for s in protocols[operation.kind].slots(operation) if s.role in roles]
        return {slot.name: slot.expand(self._seed, operation.result.name) for slot in slots}
