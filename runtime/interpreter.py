"""Walks a party program: local steps, protocols under way, one merged exchange a tick.

Offline, before the input is known: party 0 sends F = W - B for every linear operation, party 1 computes its
shares of their results. Online: the program's lines in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Operation, Program, Value
from mpcc.ir.types import RingType
from mpcc.runtime import kernels
from mpcc.runtime.correlations import plan
from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.correlations.prefetch import Prefetch
from mpcc.runtime.correlations.slots import Part, Slot
from mpcc.runtime.dealer import weight_mask
from mpcc.runtime.protocols import linear, openings, protocols
from mpcc.runtime.protocols.base import Step, ring_type, unpack
from mpcc.runtime.protocols.local import ViewProtocol
from mpcc.runtime.ring import I32, I64, U64, reduce
from mpcc.runtime.values import RuntimeValue, Served

Exchange = Callable[[bytes, int], memoryview | bytes]
Sources = Callable[[Operation], I64 | I32]

LINEAR_KINDS = ("linear", "gain")


@dataclass
class Measured:
    """What one operation cost this party."""

    rounds: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass
class Pending:
    """A protocol between its start and its finish."""

    operation: Operation
    steps: Step
    outgoing: bytes
    messages: Iterable[tuple[int, int]] = field(default_factory=list)
    result: RuntimeValue = None


def online_draws(operations: list[Operation], party: int) -> list[tuple[str, list[Slot]]]:
    """The correlations that the online phase draws, in order. Party 1 draws those of linear layers before."""
    earlier = ("serve", *LINEAR_KINDS) if party == 1 else ()
    drawing = [o for o in operations if o.kind in protocols and o.kind not in earlier]
    return [(o.result.name, protocols[o.kind].slots(o)) for o in drawing]


class Interpreter:
    """One party's run of one program with one session's correlations."""

    def __init__(
        self, program: Program, party: int, sources: Sources, correlations: CorrelationSource | Prefetch
    ) -> None:
        self.program = program
        self.index = party
        self.measured: dict[str, Measured] = {}
        self._operations = plan.link(program)
        self._sources = sources
        self._correlations = correlations
        self._prepared: dict[Value, U64] = {}
        reads = [(v, (o.kind, index)) for o in self._operations for index, v in enumerate(o.operands)]
        others = {value for value, place in reads if place != ("linear", 1)}
        # weights that only matrix products read, which take integers of 32 bits as they are
        self._matrices = {value for value, place in reads if place == ("linear", 1)} - others

    def draw(self, operation: Operation) -> dict[str, Part]:
        return self._correlations.draw(operation.result.name, protocols[operation.kind].slots(operation))

    def source(self, operation: Operation) -> I64 | I32:
        array = self._sources(operation)
        return array if operation.result in self._matrices else np.asarray(array, dtype=np.int64)

    def prepared(self, operation: Operation) -> U64:
        return self._prepared.pop(operation.result)

    @property
    def linear_operations(self) -> list[Operation]:
        return [o for o in self._operations if o.kind in LINEAR_KINDS]

    def setup_sizes(self) -> list[int]:
        """Bytes of F = W - B, sent to party 1 once for a loaded model: piece by piece, for each linear
        operation.
        """
        return [size for o in self.linear_operations for size in linear.difference_sizes(o)]

    def setup_message(self, weight_mask_seed: bytes) -> Iterable[memoryview]:
        """Party 0: the pieces of F of every linear operation, in program order."""
        producers = self.program.producers()
        for operation in self.linear_operations:
            weight, bits = self._sources(producers[operation.operands[1]]), ring_type(operation).ring
            masks = weight_mask(weight_mask_seed, operation)
            for piece, mask in zip(linear.weight_pieces(operation), masks, strict=True):
                np.subtract(
                    piece.of(weight), mask, out=mask, dtype=np.uint64, casting="unsafe"
                )  # signs extend
                yield kernels.pack(mask.reshape(-1), bits).data

    def make_tables(self) -> None:
        """Offline: what the protocols know before the input, so that the online phase finds it ready."""
        for operation in self._operations:
            if operation.kind in protocols:
                protocols[operation.kind].make_tables(operation)

    def load_weights(self) -> None:
        """Party 0, offline: encodes every weight, so that the online phase finds them ready."""
        for operation in self._operations:
            if operation.kind == "weight":
                self._sources(operation)

    def prepare(self, differences: Iterable[bytes | memoryview]) -> None:
        """Party 1, offline: its masks of served values and its whole shares of linear results, from the
        pieces of F as they come.
        """
        served: dict[Value, Served] = {}
        unread = iter(differences)
        for operation in self._operations:
            if operation.kind == "serve":
                served[operation.result] = openings.Serve.offline(operation, self)
                self._prepared[operation.result] = served[operation.result].data
            elif operation.kind in LINEAR_KINDS:
                protocol = linear.Linear if operation.kind == "linear" else linear.Gain
                mask = reduce(served[operation.operands[0]].data, ring_type(operation).ring)
                self._prepared[operation.result] = protocol.offline(
                    operation, self, mask, _unpacked(operation, unread)
                )
            elif (
                issubclass(protocols.get(operation.kind, object), ViewProtocol)
                and operation.operands[0] in served
            ):
                source = served[operation.operands[0]]
                served[operation.result] = source.view(operation.kind, operation.attributes)

    def run(
        self, exchange: Exchange, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> dict[str, I64]:
        """Online. Returns the integers of the outputs this party learns, by output name."""
        last_use = self._last_uses()
        environment: dict[Value, RuntimeValue] = {}
        pending: dict[Value, Pending] = {}
        total = sum(integer(o.attributes, name) for o in self._ticks() for name in ("send", "receive"))
        done = 0
        for position, (operation, written) in enumerate(
            zip(self._operations, self.program.operations, strict=True)
        ):
            if operation.kind == "exchange":
                done += self._exchange(list(pending.values()), operation, exchange)
                progress(done, total)
                continue
            started = time.perf_counter()
            if operation.kind == "finish":
                environment[operation.result] = pending.pop(operation.operands[0]).result
            else:
                protocol = protocols[operation.kind]
                steps = protocol.run(operation, self, [environment[v] for v in operation.operands])
                first = self._advance(steps, None)
                if isinstance(first, _Returned):
                    environment[operation.result] = first.value
                else:
                    entry = Pending(operation, steps, first, iter(protocol.messages(operation)))
                    pending[written.result] = entry
                measured = self.measured.setdefault(operation.result.name, Measured())
                measured.seconds += time.perf_counter() - started
            for value in last_use.get(position, ()):
                environment.pop(value, None)
        return {
            name: self._output(environment[value])
            for name, value in self.program.outputs.items()
            if value in environment and environment[value] is not None
        }

    def _exchange(self, pending: list[Pending], tick: Operation, exchange: Exchange) -> int:
        """One tick: all messages under way in one frame; then every protocol takes its next step."""
        sizes = [next(iter(p.messages)) for p in pending]
        outgoing = b"".join(p.outgoing for p in pending)
        expected = sum(s[1 - self.index] for s in sizes)
        if len(outgoing) != tick.attributes["send"] or expected != tick.attributes["receive"]:
            raise RuntimeError(
                f"tick {tick.attributes['index']} does not send and receive what the program states"
            )
        incoming = memoryview(exchange(outgoing, expected))
        position = 0
        for entry, message in zip(pending, sizes, strict=True):
            started = time.perf_counter()
            length = message[1 - self.index]
            step = self._advance(entry.steps, bytes(incoming[position : position + length]))
            position += length
            if isinstance(step, _Returned):
                entry.result, entry.outgoing = step.value, b""
            else:
                entry.outgoing = step
            measured = self.measured.setdefault(entry.operation.result.name, Measured())
            measured.rounds += 1
            measured.bytes += sum(message)
            measured.seconds += time.perf_counter() - started
        return len(outgoing) + expected

    def _advance(self, steps: Step, received: bytes | None) -> bytes | _Returned:
        try:
            with np.errstate(over="ignore"):  # NumPy reports the wrap of a ring element without axes
                return next(steps) if received is None else steps.send(received)
        except StopIteration as stop:
            value = stop.value
            return _Returned(np.asarray(value) if isinstance(value, np.generic) else value)

    def _ticks(self) -> list[Operation]:
        return [o for o in self._operations if o.kind == "exchange"]

    def _last_uses(self) -> dict[int, list[Value]]:
        """Position of a line -> the values that no later line reads."""
        last = {
            v: position
            for position, o in enumerate(self.program.operations)
            for v in (*o.operands, *o.results)
        }
        for value in self.program.outputs.values():
            last.pop(value, None)
        result: dict[int, list[Value]] = {}
        for value, position in last.items():
            result.setdefault(position, []).append(value)
        return result

    @staticmethod
    def _output(value: RuntimeValue) -> I64:
        assert isinstance(value, np.ndarray)
        return value.view(np.int64)


def _unpacked(operation: Operation, differences: Iterator[bytes | memoryview]) -> Iterator[U64]:
    """The rows of each piece of F of a linear operation, which come next."""
    for piece in linear.weight_pieces(operation):
        yield unpack(next(differences), piece.count, ring_type(operation).ring).reshape(piece.shape)


@dataclass(frozen=True)
class _Returned:
    """A generator's return value, told apart from a message."""

    value: RuntimeValue


def output_fractions(program: Program) -> dict[str, int]:
    """Fraction bits of each output."""
    return {n: v.type.fraction for n, v in program.outputs.items() if isinstance(v.type, RingType)}
