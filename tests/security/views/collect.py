"""The view of each party of a run: what it draws and receives, element by element, and what follows from it.

A view is taken where the interpreter runs protocols, so it holds every message and every correlation, in
order, whatever the program is. Beside what comes in stands what a party *learns* by it, in which an opened
value shows: the sum, or the xor, of both messages; by `serve`, the message plus party 0's share; by
`truncate`, whether the other's top bit is what it would be next to its own share if the value were 0. Then
the party's shares of the results of what draws, and the outputs that are revealed to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

from mpcc.ir.program import Operation
from mpcc.ir.types import Sharing
from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.correlations.slots import Role, Slot
from mpcc.runtime.interpreter import LINEAR_KINDS, Interpreter
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import Party, ProtocolClass, Step, as_share, ring_type, size, unpack
from mpcc.runtime.protocols.less_than import Shape as Comparison
from mpcc.runtime.protocols.linear import weight_pieces
from mpcc.runtime.ring import U64, reduce
from mpcc.runtime.transport.channel import BytesLike
from mpcc.runtime.values import RuntimeValue

Key = tuple[str, str, str]  # kind of operation, its value, slot or tick
Event = tuple[Any, ...]
PLANES = (("less_than", "sign"), ("less_than", "rho"), ("less_than", "products"))  # bits, 64 a word


@dataclass(frozen=True, eq=False)
class Elements:
    """`values` of so many `bits`; `rows` lie one after another, each of one element or more of every copy."""

    values: U64
    bits: int
    rows: int = 1

    def of_copies(self, copies: int) -> U64:
        """[copies, elements of a copy]."""
        return np.moveaxis(self.values.reshape(self.rows, copies, -1), 1, 0).reshape(copies, -1)


Parts = dict[Key, Elements]


@dataclass
class View:
    """Of one party in one run. `differences`: F = W - B, of the set-up. `events`: all that the party does, in
    order, with lengths and without contents.
    """

    drawn: Parts = field(default_factory=dict)
    received: Parts = field(default_factory=dict)
    learned: Parts = field(default_factory=dict)
    results: Parts = field(default_factory=dict)
    revealed: Parts = field(default_factory=dict)
    differences: Parts = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


class Observer:
    """Two views, filled by the runs of `observing`."""

    def __init__(self) -> None:
        self.views = (View(), View())

    def protocol(self, original: type[ProtocolClass]) -> type[ProtocolClass]:
        """The protocol, with its messages and results kept."""

        def run(cls: Any, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
            view, name, received = self.views[party.index], operation.result.name, None
            view.events.append(("computes", operation.kind, name))
            steps, tick = original.run(operation, party, operands), 0
            while True:
                try:
                    message = next(steps) if received is None else steps.send(received)
                except StopIteration as stop:
                    self._finish(view, operation, party, stop.value)
                    return stop.value
                view.events.append(("sends", operation.kind, name, tick, len(message)))
                received = yield message
                view.events.append(("receives", operation.kind, name, tick, len(received)))
                self._receive(view, operation, party, operands, tick, (bytes(message), bytes(received)))
                tick += 1

        return type(original.__name__, (original,), {"run": classmethod(run)})

    def _receive(
        self,
        view: View,
        operation: Operation,
        party: Party,
        operands: list[RuntimeValue],
        tick: int,
        messages: tuple[bytes, bytes],
    ) -> None:
        sent, received = messages
        if not received:
            return
        key = (operation.kind, operation.result.name, f"tick {tick}")
        theirs = elements(operation, tick, received)
        if operation.kind == "reveal":
            share = as_share(party, operands[0], ring_type(operation, 0)).reshape(-1)
            value = reduce(theirs.values + share, theirs.bits)
            view.revealed |= {key: theirs, (*key[:2], "output"): Elements(value, theirs.bits)}
            return
        view.received[key] = theirs
        if operation.kind == "truncate":
            expected = top_bits(operation, party, operands[0])
            view.learned[key] = Elements(theirs.values ^ expected, 1)
        elif sent:
            mine = elements(operation, tick, sent).values
            xored = mask_of(operation, tick).boolean
            both = mine ^ theirs.values if xored else mine + theirs.values
            view.learned[key] = Elements(reduce(both, theirs.bits), theirs.bits, theirs.rows)

    def _finish(self, view: View, operation: Operation, party: Party, value: RuntimeValue) -> None:
        key, ring = (operation.kind, operation.result.name, "result"), ring_type(operation)
        if operation.kind == "serve" and party.index == 0:
            view.learned[key] = Elements(value.data.reshape(-1), ring.ring)  # type: ignore[union-attr]
        if operation.kind in LINEAR_KINDS or not protocols[operation.kind].slots(operation):
            return  # party 1's follow from F, which is one for all copies
        if ring.sharing is Sharing.SHARE:
            assert isinstance(value, np.ndarray)
            view.results[key] = Elements(reduce(value.view(np.uint64), ring.ring).reshape(-1), ring.ring)
        if ring.sharing is Sharing.BITS:
            assert isinstance(value, np.ndarray)
            rows = ring.shape[0] if operation.kind in ("less_than", "row_reaches") else 1
            view.results[key] = Elements(value.astype(np.uint64).reshape(-1), 1, rows)

    def draw(self, original: Callable[..., Any], kinds: dict[str, Operation]) -> Callable[..., Any]:
        """`CorrelationSource.draw`, in the set-up or online."""

        def call(source: CorrelationSource, name: str, slots: list[Slot]) -> Any:
            view, operation = self.views[source._party], kinds[name]
            described = [(s.name, str(s.role), s.count, s.bits) for s in slots]
            view.events.append(("draws", operation.kind, name, described, source._offsets.get(name)))
            parts = original(source, name, slots)
            for slot in slots:
                if slot.name in parts:
                    view.drawn[operation.kind, name, slot.name] = drawn(operation, slot, parts[slot.name])
            return parts

        return call

    def prepare(self, original: Callable[..., None]) -> Callable[..., None]:
        """`Interpreter.prepare`: party 1's differences F = W - B."""

        def call(party: Interpreter, differences: Iterable[BytesLike]) -> None:
            view, pieces = self.views[party.index], [bytes(piece) for piece in differences]
            expected = [(o, p) for o in party.linear_operations for p in weight_pieces(o)]
            for number, (data, (operation, piece)) in enumerate(zip(pieces, expected, strict=True)):
                key, bits = (
                    (operation.kind, operation.result.name, f"piece {number}"),
                    ring_type(operation).ring,
                )
                view.events.append(("receives", *key, len(data)))
                view.differences[key] = Elements(unpack(data, piece.count, bits), bits)
            original(party, pieces)

        return call


def top_bits(operation: Operation, party: Party, value: RuntimeValue) -> U64:
    """The other party's top bits in a truncation of zeros, given this one's share."""
    source = ring_type(operation, 0)
    share = as_share(party, value, source).reshape(-1)
    quarter = np.uint64(party.index << (source.ring - 2))  # party 0 has added its own
    return reduce(quarter - share, source.ring) >> np.uint64(source.ring - 1)


def elements(operation: Operation, tick: int, message: bytes) -> Elements:
    """A message's elements: those of the mask over it, and masks are listed by ticks."""
    if operation.kind == "reveal":
        bits = ring_type(operation, 0).ring
        return Elements(unpack(message, size(operation, 0), bits), bits)
    mask = mask_of(operation, tick)
    if (operation.kind, mask.name) in PLANES:
        return planes(np.frombuffer(message, dtype=np.uint64), Comparison(operation).n)
    return Elements(unpack(message, mask.count, mask.bits), mask.bits)


def mask_of(operation: Operation, tick: int) -> Slot:
    slots = protocols[operation.kind].slots(operation)
    return [slot for slot in slots if slot.role is not Role.DERIVED][tick]


def drawn(operation: Operation, slot: Slot, part: np.ndarray) -> Elements:
    """A party's part of a slot. What is derived for all elements, one kind after another, lies in rows."""
    if (operation.kind, slot.name) in PLANES:
        return planes(part, Comparison(operation).n)
    count = size(operation, 0) if operation.kind == "less_than" else size(operation)
    by_element = operation.kind in ("one_hot", "row_reaches") or slot.role is not Role.DERIVED
    rows = 1 if by_element or not count or slot.count % count else slot.count // count
    return Elements(part.astype(np.uint64), slot.bits, rows)


def planes(words: np.ndarray, count: int) -> Elements:
    """Bits of planes of so many elements."""
    rows = words.view(np.uint8).reshape(-1, 8 * -(-count // 64))
    bits = np.unpackbits(rows, axis=1, bitorder="little", count=count)
    return Elements(bits.reshape(-1).astype(np.uint64), 1, len(bits))


@contextmanager
def observing(operations: list[Operation]) -> Iterator[Observer]:
    """One run, in this block, of a program of these linked operations is seen by both parties."""
    observer = Observer()
    kinds = {o.result.name: o for o in operations if o.kind in protocols}
    with ExitStack() as stack:
        wrapped = {kind: observer.protocol(protocol) for kind, protocol in protocols.items()}
        stack.enter_context(mock.patch.dict(protocols, wrapped))
        for owner, name, wrapper in (
            (CorrelationSource, "draw", observer.draw(CorrelationSource.draw, kinds)),
            (Interpreter, "prepare", observer.prepare(Interpreter.prepare)),
        ):
            stack.enter_context(mock.patch.object(owner, name, wrapper))
        yield observer
