"""Local computation of the protocols at the shapes of a BERT-base layer with 128 tokens: no network.

    python tests/benchmarks/protocols.py           a table for 1, 2 and 4 threads
    python tests/benchmarks/protocols.py --json    one thread count (MPCC_THREADS), seconds as JSON

Both parties' steps run in this process, one after the other, on random operands and correlations, which no
protocol can tell from others. Times are one party's (the mean of both), medians of repeats. GB/s are over the
bytes that the protocol must touch at least once: operands, correlations, messages and the result. Other work
on the machine makes runs slower.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from mpcc.ir.program import Attribute, Builder, Operation, Stage, Value
from mpcc.ir.types import RingType, Sharing
from mpcc.runtime import kernels
from mpcc.runtime.correlations.slots import Part, Role
from mpcc.runtime.protocols import protocols
from mpcc.runtime.ring import U64, reduce
from mpcc.runtime.values import Masked, MaskedBits, RuntimeValue, Served

SCORES, ROWS, HEADS, HIDDEN, WIDE, TOKENS = (
    (12, 128, 128),
    (12, 128, 1),
    (128, 12, 64),
    (128, 768),
    (128, 3072),
    (128, 1),
)
THREADS = (1, 2, 4)
SECONDS = 0.3  # of repeats of one case
MOST_THRESHOLDS = 43


def operand(sharing: Sharing, shape: tuple[int, ...], ring: int, fraction: int = 0) -> Value:
    return Value("x", RingType(sharing, ring, fraction, shape))


def operation(kind: str, *operands: Value, ring: int = 64, **attributes: Attribute) -> Operation:
    """One operation; a share that it returns is stated in a `ring` as narrow as a program's."""
    builder = Builder("benchmark", Stage.SHARE)
    builder.emit(kind, *operands, onnx_nodes=(), hint=None, **attributes)
    (made,) = builder.program.operations
    assert isinstance(made.result.type, RingType)
    if made.result.type.sharing is not Sharing.SHARE:
        return made
    return replace(made, results=(Value(made.result.name, replace(made.result.type, ring=ring)),))


def product(ring: int, *factors: tuple[Value, str, tuple[int, ...]]) -> Operation:
    values, kinds, coefficients = zip(*factors, strict=True)
    return operation(
        "product", *values, ring=ring, factors=kinds, coefficients=coefficients, fractions=(0,) * len(factors)
    )


def share(shape: tuple[int, ...], ring: int, fraction: int = 0) -> Value:
    return operand(Sharing.SHARE, shape, ring, fraction)


def masked(shape: tuple[int, ...], ring: int) -> Value:
    return operand(Sharing.MASKED, shape, ring)


def bits(count: int, shape: tuple[int, ...]) -> Value:
    return operand(Sharing.MASKED_BITS, (count, *shape), 1)


THRESHOLDS = tuple(range(1000, 1000 * MOST_THRESHOLDS + 1, 1000))
CASES = {
    "row_reaches 12x128x128": operation("row_reaches", share(SCORES, 5), bits=5, low=-3, levels=18),
    "truncate 128x3072": operation("truncate", share(WIDE, 35), ring=45, bits=17),
    "truncate 128x768": operation("truncate", share(HIDDEN, 47), ring=45, bits=29),
    "sine_series 128x3072": operation(
        "sine_series",
        share(WIDE, 19),
        ring=35,
        bits=19,
        harmonics=(3, 9, 15, 21, 27, 33, 39),
        phases=(262144,) * 7,
        amplitudes=(603767989, 77709678, 24861811, 7422694, 1723318, 277210, 21418),
        amplitude_fraction=28,
        public_fraction=16,
        secret_fraction=15,
    ),
    "open_masked 12x128x128": operation("open_masked", share(SCORES, 11), bits=11),
    "open_masked 128x768": operation("open_masked", share(HIDDEN, 34), bits=34),
    "open_masked 12x128x1": operation("open_masked", share(ROWS, 28), bits=28),
    "open_bits 12x128x128": operation("open_bits", operand(Sharing.BITS, (1, *SCORES), 1)),
    "serve 128x3072": operation("serve", share(WIDE, 45), bits=45),
    "product 12x128x128, value bit": product(
        44, (masked(SCORES, 22), "value", ()), (bits(1, SCORES), "bits", (1, -1))
    ),
    "product 128x768, square": product(43, (masked(HIDDEN, 20), "polynomial", (0, 0, 1))),
    "product 128x768, value by row": product(
        40, (masked(HIDDEN, 20), "value", ()), (masked(TOKENS, 23), "value", ())
    ),
    "product 12x128x1, 43 bits": product(
        49, (masked(ROWS, 28), "value", ()), (bits(MOST_THRESHOLDS, ROWS), "bits", (5, *THRESHOLDS))
    ),
    "exponential 12x128x128": operation("exponential", share(SCORES, 24, 16), bits=21, fraction=60),
    "less_than 12x128x128": operation(
        "less_than", masked(SCORES, 11), bits=11, width=4, drop=0, thresholds=(-120,)
    ),
    "less_than 12x128x1, 43 thresholds": operation(
        "less_than", masked(ROWS, 28), bits=22, width=6, drop=6, thresholds=THRESHOLDS
    ),
    "matmul 12x128x64x128": operation(
        "matmul", masked((12, 128, 64), 34), masked((12, 64, 128), 34), ring=34
    ),
    "shift 128x3072": operation("shift", share(WIDE, 35), ring=19, bits=16),
    "add 128x3072": operation("add", share(WIDE, 35), share(WIDE, 35), ring=35),
    "sub 12x128x128, by row": operation("sub", share(SCORES, 24), share(ROWS, 24), ring=24),
    "sum 12x128x128": operation("sum", share(SCORES, 44), ring=44, axes=(2,), keepdims=True),
}


@dataclass
class BenchmarkParty:
    """What a protocol asks of its interpreter: correlations that are ready."""

    index: int
    parts: dict[str, Part]

    def draw(self, operation: Operation) -> dict[str, Part]:
        return self.parts

    def prepared(self, operation: Operation) -> U64:
        """The mask of a served value."""
        return self.parts["mask"].reshape(operation.result.type.shape)  # type: ignore[union-attr]


def ring_array(generator: np.random.Generator, ring: RingType) -> U64:
    return reduce(generator.integers(0, 2**64 - 1, ring.shape, dtype=np.uint64, endpoint=True), ring.ring)


def drawn(operation: Operation, party: int) -> dict[str, Part]:
    """Of the party's size and width; random, as all correlations are for one party."""
    kept = (Role.UNIFORM, Role.DERIVED, Role(f"party{party}"))
    slots = [slot for slot in protocols[operation.kind].slots(operation) if slot.role in kept]
    return {slot.name: slot.expand(bytes([party]) * 16, "x") for slot in slots}


def operands_of(operation: Operation, seed: int) -> tuple[list[RuntimeValue], list[RuntimeValue]]:
    """Random operands of both parties; what is opened is the same."""
    generator = np.random.default_rng(seed)
    sides: tuple[list[RuntimeValue], list[RuntimeValue]] = ([], [])
    for value in operation.operands:
        ring = value.type
        assert isinstance(ring, RingType)
        opened = ring_array(generator, ring)
        for side in sides:
            own = ring_array(generator, ring)
            if ring.sharing is Sharing.MASKED:
                side.append(Masked(opened, own))
            elif ring.sharing is Sharing.MASKED_BITS:
                side.append(MaskedBits(opened.astype(np.uint8)))
            else:
                side.append(own.astype(np.uint8) if ring.sharing is Sharing.BITS else own)
    return sides


def held_bytes(value: RuntimeValue) -> int:
    if isinstance(value, Masked):
        return value.opened.nbytes + value.mask.nbytes
    if isinstance(value, MaskedBits):
        return value.opened.nbytes
    if isinstance(value, Served):
        return value.data.nbytes
    return 0 if value is None else value.nbytes


def advance(steps: object, received: memoryview | None) -> tuple[bytes | None, RuntimeValue, float]:
    """The next step's message, or None and the result; and its seconds."""
    start = time.perf_counter()
    try:
        message = next(steps) if received is None else steps.send(received)  # type: ignore[call-overload, attr-defined]
    except StopIteration as stop:
        return None, stop.value, time.perf_counter() - start
    return message, None, time.perf_counter() - start


def once(operation: Operation, seed: int) -> tuple[float, int]:
    """Seconds of one party, and the bytes that it touches at least."""
    sides = operands_of(operation, seed)
    parties = [BenchmarkParty(i, drawn(operation, i)) for i in (0, 1)]
    touched = sum(held_bytes(v) for side in sides for v in side)
    touched += sum(part.nbytes for party in parties for part in party.parts.values())
    protocol, seconds = protocols[operation.kind], 0.0
    steps = [protocol.run(operation, party, side) for party, side in zip(parties, sides, strict=True)]  # type: ignore[arg-type]
    received: list[memoryview | None] = [None, None]
    results: list[RuntimeValue] = []
    while not results:
        messages = []
        for step, data in zip(steps, received, strict=True):
            message, result, spent = advance(step, data)
            seconds += spent
            if message is None:
                results.append(result)
            else:
                messages.append(memoryview(bytearray(message)))
        received = [*reversed(messages)]
        touched += 2 * sum(map(len, messages))
    return seconds / 2, (touched + sum(map(held_bytes, results))) // 2


def measure(operation: Operation) -> tuple[float, int]:
    """Median seconds, and bytes."""
    protocols[operation.kind].make_tables(operation)
    _, touched = once(operation, 0)
    seconds: list[float] = []
    deadline = time.perf_counter() + SECONDS
    while len(seconds) < 5 or time.perf_counter() < deadline:
        seconds.append(once(operation, len(seconds) % 3)[0])
    return statistics.median(seconds), touched


def elements(operation: Operation) -> int:
    return max(math.prod(v.type.shape) for v in operation.operands if isinstance(v.type, RingType))


def measured_with(threads: int) -> dict[str, tuple[float, int]]:
    """Every case, in a process of its own, because kernels read their thread count once."""
    command = [sys.executable, __file__, "--json"]
    environment = {**os.environ, "MPCC_THREADS": str(threads)}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return {name: (float(seconds), int(size)) for name, (seconds, size) in json.loads(result.stdout).items()}


def main() -> None:
    if sys.argv[1:] == ["--json"]:
        kernels.keep_memory()  # as a party does
        print(json.dumps({name: measure(case) for name, case in CASES.items()}))
        return
    columns = [measured_with(threads) for threads in THREADS]
    table = Table(title="local computation of one party")
    table.add_column("protocol")
    table.add_column("elements", justify="right")
    for threads in THREADS:
        table.add_column(f"{threads} threads: us", justify="right")
        table.add_column("ns/element", justify="right")
        table.add_column("GB/s", justify="right")
    for name, case in CASES.items():
        cells = []
        for seconds, size in (column[name] for column in columns):
            per_element = seconds / elements(case)
            cells += [f"{1e6 * seconds:.0f}", f"{1e9 * per_element:.2f}", f"{size / seconds / 1e9:.1f}"]
        table.add_row(name, str(elements(case)), *cells)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
