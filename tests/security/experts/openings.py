"""Every bit that crosses between the parties, and what these learn by it, from many copies of one program.

A copy is one of the first axis: its masks are its own. Reveals are left out: they show the output.

What crosses is uniform if only the shares are, so it is not enough to look at it. What a party learns is the
sum, or the xor, of both messages; by `serve`, the message plus party 0's share; by `truncate`, whether the
other's top bit is what it would be next to its own share if the value were 0.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Operation
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import Party, ProtocolClass, Step, as_share, ring_type, size, unpack
from mpcc.runtime.protocols.less_than import Shape as Comparison
from mpcc.runtime.protocols.row_reaches import Shape as Rows
from mpcc.runtime.ring import U64, reduce
from mpcc.runtime.sources import Sources
from mpcc.runtime.values import RuntimeValue
from tests.runtime.protocols.harness import Prepared, seed_pair

Key = tuple[str, str, int]  # kind of operation, its value, tick
FIXED = {"open_bits": 1, "truncate": 1, "less_than": 1}  # bits of what is opened
XORED = ("open_bits", "less_than")


@dataclass
class Messages:
    """What each party sent, by operation and tick, and what it alone learned by it, with its bits."""

    sent: tuple[dict[Key, bytes], dict[Key, bytes]] = field(default_factory=lambda: ({}, {}))
    operations: dict[Key, Operation] = field(default_factory=dict)
    learned: dict[Key, tuple[U64, int]] = field(default_factory=dict)

    def protocol(self, original: type[ProtocolClass]) -> type[ProtocolClass]:
        """The protocol, with its messages kept."""

        def run(cls: Any, operation: Operation, party: Party, operands: list[RuntimeValue]) -> Step:
            steps, received, tick = original.run(operation, party, operands), None, 0
            while True:
                key = (operation.kind, operation.result.name, tick)
                try:
                    message = next(steps) if received is None else steps.send(received)
                except StopIteration as stop:
                    if operation.kind == "serve" and party.index == 0:
                        self.learned[key] = (stop.value.data, integer(operation.attributes, "bits"))
                    return stop.value
                self.sent[party.index][key] = bytes(message)
                self.operations[key] = operation
                received, tick = (yield message), tick + 1
                if operation.kind == "truncate":
                    bits = elements(operation, 0, bytes(received))[0] ^ top_bits(
                        operation, party, operands[0]
                    )
                    self.learned[(*key[:2], party.index)] = (bits, 1)

        return type(original.__name__, (original,), {"run": classmethod(run)})


def top_bits(operation: Operation, party: Party, value: RuntimeValue) -> U64:
    """The other party's top bits in a truncation of zeros, given this one's share."""
    source = ring_type(operation, 0)
    share = as_share(party, value, source).reshape(-1)
    quarter = np.uint64(party.index << (source.ring - 2))  # party 0 has added its own
    return reduce(quarter - share, source.ring) >> np.uint64(source.ring - 1)


def elements(operation: Operation, tick: int, message: bytes) -> tuple[U64, int]:
    """A message's elements, one copy after another, and their bits."""
    if operation.kind == "less_than":
        shape = Comparison(operation)
        words = np.frombuffer(message, dtype=np.uint8).reshape(-1, 8 * shape.words)
        planes = np.unpackbits(words, axis=1, bitorder="little", count=shape.n)
        return np.ascontiguousarray(planes.T).reshape(-1).astype(np.uint64), 1
    if operation.kind == "row_reaches" and tick == 1:
        rows = Rows(operation)
        return unpack(message, rows.rows * rows.levels, rows.count_bits), rows.count_bits
    bits = FIXED[operation.kind] if operation.kind in FIXED else integer(operation.attributes, "bits")
    return unpack(message, size(operation, 0), bits), bits


Wires = dict[Key, np.ndarray]


@dataclass
class View:
    """Bits by the wire that carries them: [samples, elements of a copy, bits], the lowest bit first."""

    from_party0: Wires
    from_party1: Wires
    learned: Wires

    @property
    def parts(self) -> tuple[Wires, Wires, Wires]:
        return self.from_party0, self.from_party1, self.learned


def columns(wires: Wires) -> np.ndarray:
    """All bits of a sample side by side: [samples, bits]."""
    return np.concatenate([wires[key].reshape(len(wires[key]), -1) for key in sorted(wires)], axis=1)


def spread(values: U64, bits: int, copies: int) -> np.ndarray:
    rows = values.reshape(copies, -1, 1) >> np.arange(bits, dtype=np.uint64)
    return (rows & np.uint64(1)).astype(np.uint8)


def view(prepared: Prepared, sources: Sources, copies: int, sessions: range) -> View:
    """What `copies` copies a run show in sessions of these numbers."""
    parts: tuple[dict[Key, list[np.ndarray]], ...] = (defaultdict(list), defaultdict(list), defaultdict(list))
    for number in sessions:
        messages = Messages()
        wrapped = {kind: messages.protocol(p) for kind, p in protocols.items() if kind != "reveal"}
        with mock.patch.dict(protocols, wrapped):
            prepared.run(sources, seed_pair(number))
        learned = dict(messages.learned)
        for key, operation in messages.operations.items():
            sides = [elements(operation, key[2], sent[key]) for sent in messages.sent if sent.get(key)]
            if operation.kind not in ("serve", "truncate"):
                (first, bits), (second, _) = sides
                both = first ^ second if operation.kind in XORED else reduce(first + second, bits)
                learned[key] = (both, bits)
            for part, side in zip(parts[2 - len(sides) :], sides, strict=False):  # one side is party 1's
                part[key].append(spread(*side, copies))
        for key, found in learned.items():
            parts[2][key].append(spread(*found, copies))
    return View(*({key: np.concatenate(found) for key, found in part.items()} for part in parts))
