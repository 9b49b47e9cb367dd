"""Programs of the protocols' tests with correlations that the two parties made, in place of a dealer's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mpcc.ir.program import Operation
from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.correlations.slots import Slot
from mpcc.runtime.dealing.corrections import Dealing
from mpcc.runtime.interpreter import Interpreter
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import ProtocolClass
from mpcc.runtime.protocols.exponential import Scales
from mpcc.runtime.protocols.linear import weight_pieces
from mpcc.runtime.ring import F64, I64, U64, signed, to_ring
from mpcc.runtime.two_party.generation import Generation, Runner
from mpcc.runtime.two_party.schedule import derived
from tests.runtime.protocols import cases_local, cases_protocols  # noqa: F401
from tests.runtime.protocols.cases import CASES
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.fixed import FIXED
from tests.runtime.protocols.harness import Arrays, Prepared, Run, encoded, run_both
from tests.runtime.protocols.products import nested, products
from tests.runtime.two_party.ideal import ideal_runners

Seeds = tuple[bytes, bytes]
Runners = Callable[[Callable[[Any], list[bytes]]], tuple[list[bytes], list[bytes]]]
"""Runs a function of each party's runner, at the same time."""


KINDS = sorted(
    kind
    for kind, protocol in protocols.items()
    if protocol.make.__func__ is not ProtocolClass.make.__func__  # type: ignore[attr-defined]
)
"""Those that the parties make something of."""

NUMBERS = range(12)


class Made:
    """A prepared program and the arrays of its sources."""

    def __init__(self, prepared: Prepared, arrays: Arrays, name: str = "") -> None:
        self.name = name
        self.prepared = prepared
        self.arrays = arrays
        self._producers = prepared.parsed[0].producers()

    def weight(self, operation: Operation) -> I64:
        """The encoded weight of a linear operation of the plan, whose values are told apart by name."""
        producers = {value.name: o for value, o in self._producers.items()}
        return encoded(self.arrays, producers[operation.operands[1].name])

    def generation(self, runner: Runner, seeds: Seeds) -> Generation:
        """One party's."""
        weights = self.weight if runner.index == 0 else None
        return Generation(runner, seeds[runner.index], self.prepared.operations, weights)

    def pieces(self, seeds: Seeds, runners: Runners = ideal_runners) -> tuple[list[bytes], list[bytes]]:
        """Both parties' payloads, piece by piece."""
        return runners(lambda runner: list(map(bytes, self.generation(runner, seeds).pieces())))

    def dealt(self, seeds: Seeds) -> list[bytes]:
        """The corrections of a dealer whose mask of a weight is the weight itself."""
        return [bytes(piece) for piece in _Dealing(self, seeds).corrections(self.prepared.operations)]

    def assert_dealt(self, parts: tuple[list[bytes], list[bytes]], seeds: Seeds) -> None:
        """Both parties' parts combine to what a dealer derives from the same masks."""
        slots = slots_of(self.prepared.operations)
        for (operation, slot), one, other, correction in zip(slots, *parts, self.dealt(seeds), strict=True):
            ours = slot.combine(unpacked(slot, one), unpacked(slot, other))
            part0 = slot.expand(seeds[0], operation.result.name)
            theirs = slot.combine(part0, unpacked(slot, correction))
            if operation.kind in ("sine_series", "exponential"):
                difference = np.abs(signed(ours - theirs, slot.bits))
                assert (difference <= tolerance(operation, theirs)).all(), operation.kind
            else:
                assert np.array_equal(ours, theirs), (operation.kind, slot.name)

    def run(self, seeds: Seeds, runners: Runners = ideal_runners) -> Run:
        """The program online."""
        payloads = [b"".join(pieces) for pieces in self.pieces(seeds, runners)]
        sources = [
            CorrelationSource(i, seeds[i], memoryview(payloads[i]), self.prepared.offsets, two_party=True)
            for i in (0, 1)
        ]
        parties = [
            Interpreter(p, i, lambda o: encoded(self.arrays, o), sources[i])
            for i, p in enumerate(self.prepared.parsed)
        ]
        parties[1].prepare(None)
        outputs, transcripts = run_both(parties)
        sent = (sum(map(len, transcripts[0])), sum(map(len, transcripts[1])))
        return Run(outputs, sent, len(transcripts[0]), transcripts, len(payloads[0]), b"", ({}, {}))


class _Dealing(Dealing):
    def __init__(self, made: Made, seeds: Seeds) -> None:
        super().__init__(seeds, b"")
        self._made = made

    def weight_mask(self, operation: Operation) -> Iterator[U64]:
        weight = to_ring(np.asarray(self._made.weight(operation), dtype=np.int64))
        for piece in weight_pieces(operation):
            yield np.ascontiguousarray(piece.of(weight))


def large_programs() -> list[Made]:
    """Every kind with derived slots, with enough elements for statistics."""
    programs = []
    for fixed in FIXED:
        case = fixed.case(1, 2048)
        programs.append(Made(Prepared(case.program), case.arrays, fixed.kind))
    for name, case in (("products", products()), ("nested", nested())):
        programs.append(Made(Prepared(case.program), case.arrays, name))
    return programs


def made(kind: str, number: int, values: int = 1000) -> Made:
    """A generated case of a kind."""
    case = CASES[kind](seeded(number, number + values))
    return Made(Prepared(case.program), case.arrays)


def tolerance(operation: Operation, dealt: U64) -> F64:
    """Of factors that are rounded where they are made, in units of the last bit."""
    if operation.kind == "sine_series":
        return np.full(dealt.shape, 2.0)
    return np.asarray(3 * (dealt * 2.0 ** -Scales(operation).s0 + 1), dtype=np.float64)


def slots_of(operations: list[Operation]) -> list[tuple[Operation, Slot]]:
    return [(operation, slot) for operation in operations for slot in derived(operation)]


def unpacked(slot: Slot, piece: bytes) -> np.ndarray:
    return slot.unpack(np.frombuffer(piece, dtype=np.uint8))
