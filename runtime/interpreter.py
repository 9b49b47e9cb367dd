"""Walks a party program: local steps, protocols under way, one merged exchange a tick.

Offline, before the input is known: party 0 sends F = W - B for every linear operation, party 1 computes its
shares of their results. Online: the program's lines in order. Without a dealer B is W: nothing is sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Operation, Program, Value
from mpcc.ir.types import RingType
from mpcc.runtime import kernels
from mpcc.runtime.correlations import plan
from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.correlations.prefetch import Prefetch
from mpcc.runtime.correlations.slots import Part, Slot
from mpcc.runtime.dealing.corrections import weight_mask
from mpcc.runtime.profile import Activity, Recorder
from mpcc.runtime.protocols import linear, openings, protocols
from mpcc.runtime.protocols.base import Step, ring_type, unpack
from mpcc.runtime.protocols.local import ViewProtocol
from mpcc.runtime.ring import I32, I64, U64, reduce
from mpcc.runtime.transport.channel import BytesLike, byte_view
from mpcc.runtime.values import RuntimeValue, Served

Sources = Callable[[Operation], I64 | I32]

LINEAR_KINDS = ("linear", "gain")


class Wire(Protocol):
    """What the online phase needs of a `Channel`."""

    def start_tick(self, outgoing_length: int, incoming_length: int) -> None: ...

    def send(self, data: BytesLike) -> None: ...

    def receive(self, length: int) -> memoryview: ...


@dataclass
class Pending:
    """A protocol between its start and its finish. `messages` are the lengths of what is still to come."""

    operation: Operation
    steps: Step
    messages: list[tuple[int, int]]
    result: RuntimeValue = None


def online_draws(operations: list[Operation], party: int) -> list[tuple[str, list[Slot]]]:
    """The correlations that the online phase draws, in order. Party 1 draws those of linear layers before."""
    earlier = ("serve", *LINEAR_KINDS) if party == 1 else ()
    drawing = [o for o in operations if o.kind in protocols and o.kind not in earlier]
    return [(o.result.name, protocols[o.kind].slots(o)) for o in drawing]


class Interpreter:
    """One party's run of one program with one session's correlations."""

    def __init__(
        self,
        program: Program,
        party: int,
        sources: Sources,
        correlations: CorrelationSource | Prefetch,
        operations: list[Operation] | None = None,
    ) -> None:
        """`operations`: the program's as `plan.link` makes them, for a program that is run many times."""
        self.program = program
        self.index = party
        self.recorder = Recorder()
        self._operations = operations or plan.link(program)
        self._sources = sources
        self._correlations = correlations
        self._prepared: dict[Value, U64] = {}
        reads = [(v, (o.kind, index)) for o in self._operations for index, v in enumerate(o.operands)]
        others = {value for value, place in reads if place != ("linear", 1)}
        # weights that only matrix products read, which take integers of 32 bits as they are
        self._matrices = {value for value, place in reads if place == ("linear", 1)} - others

    def draw(self, operation: Operation) -> dict[str, Part]:
        name = operation.result.name
        self.recorder.switch(name, Activity.CORRELATIONS)
        parts = self._correlations.draw(name, protocols[operation.kind].slots(operation))
        self.recorder.switch(name, Activity.COMPUTE)
        return parts

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

    def load_weights(self) -> None:
        """Party 0, offline: encodes every weight, so that the online phase finds them ready."""
        for operation in self._operations:
            if operation.kind == "weight":
                self._sources(operation)

    def prepare(self, differences: Iterable[bytes | memoryview] | None) -> None:
        """Party 1, offline: its masks of served values and its whole shares of linear results, from the
        pieces of F as they come; None where F = 0.
        """
        served: dict[Value, Served] = {}
        unread = None if differences is None else iter(differences)
        for operation in self._operations:
            if operation.kind == "serve":
                served[operation.result] = openings.Serve.offline(operation, self)
                self._prepared[operation.result] = served[operation.result].data
            elif operation.kind in LINEAR_KINDS:
                protocol = linear.Linear if operation.kind == "linear" else linear.Gain
                mask = reduce(served[operation.operands[0]].data, ring_type(operation).ring)
                rows = None if unread is None else _unpacked(operation, unread)
                self._prepared[operation.result] = protocol.offline(operation, self, mask, rows)
            elif (
                issubclass(protocols.get(operation.kind, object), ViewProtocol)
                and operation.operands[0] in served
            ):
                source = served[operation.operands[0]]
                served[operation.result] = source.view(operation.kind, operation.attributes)

    def run(
        self, wire: Wire, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> dict[str, I64]:
        """Online. Returns the integers of the outputs this party learns, by output name.

        A tick's messages are sent as soon as they are made, while this party computes the next ones, and
        taken one by one.
        """
        self.recorder = Recorder()  # forgets what was drawn offline
        last_use = self._last_uses()
        environment: dict[Value, RuntimeValue] = {}
        pending: dict[Value, Pending] = {}
        ticks = [
            (integer(o.attributes, "send"), integer(o.attributes, "receive"))
            for o in self._operations
            if o.kind == "exchange"
        ]
        total, done, unstarted = sum(map(sum, ticks)), 0, iter(ticks)
        self._start_tick(wire, unstarted)
        for position, (operation, written) in enumerate(
            zip(self._operations, self.program.operations, strict=True)
        ):
            if operation.kind == "exchange":
                self._start_tick(wire, unstarted)
                self._take_messages([p for p in pending.values() if p.messages], wire)
                done += integer(operation.attributes, "send") + integer(operation.attributes, "receive")
                progress(done, total)
            elif operation.kind == "finish":
                environment[operation.result] = pending.pop(operation.operands[0]).result
            else:
                self.recorder.switch(operation.result.name, Activity.COMPUTE)
                protocol = protocols[operation.kind]
                steps = protocol.run(operation, self, [environment[v] for v in operation.operands])
                entry = Pending(operation, steps, protocol.messages(operation))
                if self._advance(entry, None, wire):
                    pending[written.result] = entry
                else:
                    environment[operation.result] = entry.result
            for value in last_use.get(position, ()):
                environment.pop(value, None)
        self.recorder.stop()
        return {
            name: self._output(environment[value])
            for name, value in self.program.outputs.items()
            if value in environment and environment[value] is not None
        }

    @staticmethod
    def _start_tick(wire: Wire, ticks: Iterator[tuple[int, int]]) -> None:
        """The next of the program's ticks, if there is one: messages made from now on belong to it."""
        for sent, received in itertools.islice(ticks, 1):
            wire.start_tick(sent, received)

    def _take_messages(self, pending: list[Pending], wire: Wire) -> None:
        """One tick's incoming messages; every protocol under way takes its next step."""
        for entry in pending:
            length = entry.messages.pop(0)[1 - self.index]
            if length:
                self.recorder.switch(entry.operation.result.name, Activity.WAIT, length)
            received = wire.receive(length)
            self.recorder.switch(entry.operation.result.name, Activity.COMPUTE)
            self._advance(entry, received, wire)

    def _advance(self, entry: Pending, received: memoryview | None, wire: Wire) -> bool:
        """The protocol's next step. Sends its message and returns True, or keeps its result."""
        try:
            with np.errstate(over="ignore"):  # NumPy reports the wrap of a ring element without axes
                message = next(entry.steps) if received is None else entry.steps.send(received)
        except StopIteration as stop:
            value = stop.value
            entry.result = np.asarray(value) if isinstance(value, np.generic) else value
            if entry.messages:
                raise _unstated(entry.operation) from None
            return False
        size = byte_view(message).nbytes
        if not entry.messages or size != entry.messages[0][self.index]:
            raise _unstated(entry.operation)
        if size:
            self.recorder.switch(entry.operation.result.name, Activity.SEND, size)
            wire.send(message)
        return True

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


def _unstated(operation: Operation) -> RuntimeError:
    return RuntimeError(f"{operation.kind} of %{operation.result.name} does not send what it states")


def output_fractions(program: Program) -> dict[str, int]:
    """Fraction bits of each output."""
    return {n: v.type.fraction for n, v in program.outputs.items() if isinstance(v.type, RingType)}
