"""Runs a share-stage program with the real scheduler, dealer and interpreter, both parties in one process."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mpcc.compiler.backend.split import split
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_program
from mpcc.ir.program import Builder, Operation, Program, Stage, Value
from mpcc.ir.types import RingType, Sharing
from mpcc.runtime.correlations import plan
from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.dealing.corrections import Dealing
from mpcc.runtime.interpreter import Interpreter
from mpcc.runtime.profile import OperationTime, by_operation
from mpcc.runtime.protocols import protocols
from mpcc.runtime.transport.channel import BytesLike

SEEDS = (bytes(range(16)), bytes(range(16, 32)))
MASK_SEED = b"weight-mask-seed"


@dataclass
class Run:
    """Integers learned by each party, and what was moved."""

    outputs: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
    sent: tuple[int, int]
    rounds: int
    transcripts: tuple[list[bytes], list[bytes]]
    payload_bytes: int
    setup: bytes
    times: tuple[dict[str, OperationTime], dict[str, OperationTime]]


Arrays = dict[str, np.ndarray] | Callable[[Operation], np.ndarray]


class Prepared:
    """A program split, printed, parsed and linked once, for many runs."""

    def __init__(self, program: Program) -> None:
        self.parsed = [parse(print_program(p)) for p in split(program)]
        self.linked, other = (plan.link(p) for p in self.parsed)
        assert plan.to_json(self.linked) == plan.to_json(other)
        self.operations = plan.from_json(plan.to_json(self.linked))
        self.offsets, self.payload_bytes = plan.offsets(other)

    def payload(self, seeds: tuple[bytes, bytes], mask_seed: bytes = MASK_SEED) -> bytes:
        """Party 1's corrections, of the length that the plan states."""
        payload = b"".join(Dealing(seeds, mask_seed).corrections(self.operations))
        assert len(payload) == self.payload_bytes
        return payload

    def correlations(
        self, seeds: tuple[bytes, bytes], mask_seed: bytes = MASK_SEED
    ) -> list[CorrelationSource]:
        parts = (b"", self.payload(seeds, mask_seed))
        return [CorrelationSource(i, seeds[i], memoryview(parts[i]), self.offsets) for i in (0, 1)]

    def run(self, arrays: Arrays, seeds: tuple[bytes, bytes] = SEEDS, mask_seed: bytes = MASK_SEED) -> Run:
        """`arrays` holds the encoded integers of every source; `mask_seed` is that of the weights' masks."""
        sources = self.correlations(seeds, mask_seed)
        parties = [
            Interpreter(p, i, lambda o: encoded(arrays, o), sources[i]) for i, p in enumerate(self.parsed)
        ]
        pieces = list(parties[0].setup_message(mask_seed))
        assert [len(piece) for piece in pieces] == parties[0].setup_sizes()
        parties[1].prepare(pieces)
        outputs, transcripts = run_both(parties)
        sent = (sum(map(len, transcripts[0])), sum(map(len, transcripts[1])))
        times = (by_operation(parties[0].recorder.spans()), by_operation(parties[1].recorder.spans()))
        return Run(
            outputs, sent, len(transcripts[0]), transcripts, self.payload_bytes, b"".join(pieces), times
        )


Learned = dict[str, np.ndarray]


class MemoryWire:
    """One party's end of a wire that keeps what it sent, tick by tick."""

    def __init__(self, outgoing: queue.Queue[bytes], incoming: queue.Queue[bytes]) -> None:
        self._outgoing, self._incoming = outgoing, incoming
        self._rest = b""
        self._lengths: list[tuple[int, int]] = []
        self._received = 0
        self._parts: list[list[bytes]] = []

    @classmethod
    def pair(cls) -> tuple[MemoryWire, MemoryWire]:
        one, other = queue.Queue[bytes](), queue.Queue[bytes]()
        return cls(one, other), cls(other, one)

    @property
    def ticks(self) -> list[bytes]:
        """What was sent. The whole of what the program states, in both directions."""
        sent = [b"".join(parts) for parts in self._parts]
        assert [len(tick) for tick in sent] == [length for length, _ in self._lengths]
        assert self._received == sum(length for _, length in self._lengths)
        return sent

    def start_tick(self, outgoing_length: int, incoming_length: int) -> None:
        self._lengths.append((outgoing_length, incoming_length))
        self._parts.append([])

    def send(self, data: BytesLike) -> None:
        self._parts[-1].append(bytes(data))
        self._outgoing.put(bytes(data))

    def receive(self, length: int) -> memoryview:
        self._received += length
        while len(self._rest) < length:
            part = self._incoming.get(timeout=60)
            assert part, "the other party failed"
            self._rest += part
        taken, self._rest = self._rest[:length], self._rest[length:]
        return memoryview(bytearray(taken))

    def hang_up(self) -> None:
        self._outgoing.put(b"")


def run_both(
    parties: list[Interpreter],
) -> tuple[tuple[Learned, Learned], tuple[list[bytes], list[bytes]]]:
    """Runs two interpreters against each other: what each learns, and what each sent, tick by tick."""
    wires = MemoryWire.pair()
    results: list[Learned | BaseException] = [{}, {}]

    def work(index: int) -> None:
        try:
            results[index] = parties[index].run(wires[index])
        except BaseException as error:
            results[index] = error
            wires[index].hang_up()

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return (results[0], results[1]), (wires[0].ticks, wires[1].ticks)  # type: ignore[return-value]


def encoded(arrays: Arrays, operation: Operation) -> np.ndarray:
    """A source operation's integers, from a dictionary by name or from a function of the operation."""
    if callable(arrays):
        return arrays(operation)
    return np.asarray(arrays[str(operation.attributes["name"])], dtype=np.int64)


def run_program(program: Program, arrays: Arrays, seeds: tuple[bytes, bytes] = SEEDS) -> Run:
    """One run. `arrays` holds the encoded integers of every source."""
    return Prepared(program).run(arrays, seeds)


def seed_pair(number: int) -> tuple[bytes, bytes]:
    """Reproducible seeds of the two parties, different for every number."""
    digest = hashlib.sha256(f"seeds {number}".encode()).digest()
    return digest[:16], digest[16:]


def predicted(program: Program) -> tuple[int, int]:
    """Bytes that party 0 and party 1 send, from the protocols' declarations."""
    messages = [m for o in program.operations for m in protocols[o.kind].messages(o)]
    return sum(m[0] for m in messages), sum(m[1] for m in messages)


def plain(program: Program, arrays: Arrays) -> dict[str, np.ndarray]:
    """The program's meaning on integers."""
    values: dict[Value, np.ndarray] = {}
    for o in program.operations:
        if "name" in o.attributes and not o.operands:
            values[o.result] = encoded(arrays, o)
        else:
            with np.errstate(over="ignore"):
                values[o.result] = np.asarray(protocols[o.kind].plain(o, [values[v] for v in o.operands]))
    return {name: values[v] for name, v in program.outputs.items()}


def narrowed(builder: Builder, value: Value, ring: int) -> Value:
    """A copy of a value's share in a narrower ring: adds a public zero."""
    assert isinstance(value.type, RingType)
    zero = builder.emit("constant", name="zero", fraction=value.type.fraction, shape=())
    kind = RingType(Sharing.SHARE, ring, value.type.fraction, value.type.shape)
    return builder.append("add", [value, zero], {}, [kind]).result


def shared_input(builder: Builder, shape: tuple[int, ...], fraction: int = 0, ring: int = 64) -> Value:
    """x = u + v of the two parties' private arrays `u` (party 0) and `v` (party 1): a real share."""
    u = builder.emit("server_input", name="u", fraction=fraction, shape=shape)
    v = builder.emit("client_input", name="v", fraction=fraction, shape=shape)
    kind = RingType(Sharing.SHARE, ring, fraction, shape)
    return builder.append("add", [u, v], {}, [kind]).result


def halves(x: np.ndarray, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Random additive halves of x for `shared_input`."""
    u = generator.integers(-(2**62), 2**62, size=x.shape, dtype=np.int64)
    return {
        "u": u,
        "v": (x.view(np.uint64) - u.view(np.uint64)).view(np.int64),
        "zero": np.zeros((), np.int64),
    }


def share_builder() -> Builder:
    return Builder("test", Stage.SHARE)


def reveal(builder: Builder, value: Value, name: str = "y", to: str = "party1") -> Program:
    """Ends the program with a reveal of a value."""
    result = builder.emit("reveal", value, name=name, to=to)
    builder.program.outputs[name] = result
    builder.program.attributes = {"reveals": (f"{name}={to}",)}
    return builder.program
