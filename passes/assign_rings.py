"""Ring widths, backwards from what each consumer needs; truncations only where a free shift does not fit.

An opening that feeds elementwise products needs its own range only, one that feeds comparisons their bits; a
matrix product needs its result's ring, and so do its openings. A share is opened once, for all of them. A
shift by s needs s more bits in its operand. Where that exceeds what the operand's kernel does well (52 bits
for matrix products, 64 else), the shift becomes a faithful truncation, which costs a tick and two bits an
element and needs only the operand's own range; so does a `widen` where what follows needs more than that.
"""

from __future__ import annotations

from dataclasses import replace

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.dialects import definition
from mpcc.ir.dialects.base import integer
from mpcc.ir.dialects.protocol import compared_bits
from mpcc.ir.program import Builder, Operation, Program, Stage, Value
from mpcc.ir.types import RingType, Sharing
from mpcc.passes.lower.context import UNDECIDED, bits_for, ring_of

FAST_RING = 52
FULL_RING = 64
MATRIX_KINDS = ("linear", "gain", "matmul")
FIXED_OPENINGS = ("row_reaches", "exponential", "sine_series", "one_hot")
ELEMENTWISE_KINDS = ("product", "segmented_polynomial")  # of openings, whose width is their own
FRESH_KINDS = (*ELEMENTWISE_KINDS, "less_than", "truncate", "widen", "open_bits", *FIXED_OPENINGS)
SOURCE_KINDS = ("client_input", "server_input", "one_hot_input", "weight", "constant")


def assign_rings(program: Program) -> Program:
    """The program with the narrowest rings. Raises MPC-P020 when a value needs more than 64 bits."""
    demand, truncated = _demands(program, limits_of(program))
    return _rebuild(program, demand, truncated)


def truncations(program: Program) -> list[Operation]:
    """The shifts and widenings that become truncations, in the program's order."""
    _, truncated = _demands(program, limits_of(program))
    return [operation for operation in program.operations if operation in truncated]


def limits_of(program: Program) -> dict[Value, int]:
    """The widest ring that a value's producers compute well."""
    limits: dict[Value, int] = {}
    for operation in program.operations:
        if operation.kind in MATRIX_KINDS:
            limit = FAST_RING
        elif operation.kind in FRESH_KINDS or operation.kind in SOURCE_KINDS:
            limit = FULL_RING
        else:
            limit = min((limits[v] for v in operation.operands), default=FULL_RING)
            if operation.kind == "shift":
                limit -= integer(operation.attributes, "bits")
        for value in operation.results:
            limits[value] = limit
    return limits


def own_bits(value: Value) -> int:
    """Bits that a value's calibrated range needs, with the slack of openings and truncations."""
    ring = ring_of(value)
    if ring.range is None:
        raise ValueError(f"%{value.name} needs a range")
    return bits_for(ring.range, ring.fraction)


def opening_bits(operation: Operation, wanted: int) -> int:
    """Width of an opening: what its products need and what its matrix products want."""
    stated = integer(operation.attributes, "bits")
    return wanted if stated == UNDECIDED else max(wanted, stated)


def _first_openings(program: Program) -> dict[Value, Value]:
    """What each opening under a mask becomes: the first one of the same share, as wide as any of them."""
    first: dict[Value, Value] = {}
    opened = (o for o in program.operations if o.kind == "open_masked")
    return {o.result: first.setdefault(o.operands[0], o.result) for o in opened}


def _demands(program: Program, limits: dict[Value, int]) -> tuple[dict[Value, int], set[Operation]]:
    demand: dict[Value, int] = {v: 1 for o in program.operations for v in o.results}
    openings = _first_openings(program)
    truncated: set[Operation] = set()

    def need(value: Value, bits: int) -> None:
        demand[value] = max(demand[value], bits)

    for operation in reversed(program.operations):
        kind, attributes = operation.kind, operation.attributes
        wanted = max((demand[v] for v in operation.results), default=1)
        if kind in FIXED_OPENINGS:
            need(operation.operands[0], integer(attributes, "bits"))
        elif kind == "less_than":
            need(operation.operands[0], compared_bits(attributes))
        elif kind == "open_masked" and openings[operation.result] is not operation.result:
            need(openings[operation.result], opening_bits(operation, wanted))
        elif kind in ("open_masked", "serve"):
            need(operation.operands[0], opening_bits(operation, wanted))
        elif kind in ("reveal", "truncate"):
            need(operation.operands[0], own_bits(operation.operands[0]))
        elif kind == "shift" and ring_of(operation.operands[0]).sharing is Sharing.SHARE:
            bits = integer(attributes, "bits")
            if (
                wanted + bits > limits[operation.operands[0]]
                and own_bits(operation.operands[0]) < wanted + bits
            ):
                truncated.add(operation)
                need(operation.operands[0], max(own_bits(operation.operands[0]), bits + 2))
            else:
                need(operation.operands[0], wanted + bits)
        elif kind == "widen" and ring_of(operation.operands[0]).sharing is Sharing.SHARE:
            need(operation.operands[0], own_bits(operation.operands[0]))
            if wanted > own_bits(operation.operands[0]):
                truncated.add(operation)
        elif kind not in ELEMENTWISE_KINDS:
            for value in operation.operands:
                need(value, wanted)
    return demand, truncated


def _rebuild(program: Program, demand: dict[Value, int], truncated: set[Operation]) -> Program:
    builder = Builder(program.name, Stage.SHARE)
    builder.program.attributes = dict(program.attributes)
    builder.program.constants = program.constants
    values: dict[Value, Value] = {}
    openings = _first_openings(program)
    for operation in program.operations:
        kind, attributes = operation.kind, dict(operation.attributes)
        if kind == "open_masked" and openings[operation.result] is not operation.result:
            values[operation.result] = values[openings[operation.result]]
            continue
        operands = [values[v] for v in operation.operands]
        if operation in truncated:
            kind, attributes = "truncate", {"bits": attributes.get("bits", 0)}
        if kind in ("open_masked", "serve"):
            attributes["bits"] = opening_bits(operation, demand[operation.result])
        _check(operation, demand)
        cls = definition(Stage.SHARE, kind)
        (inferred,) = cls.infer([o.type for o in operands], attributes)
        assert isinstance(inferred, RingType)
        ring = inferred.ring
        if ring_of(operation.result).sharing is Sharing.SHARE:  # also where a private value is stated as one
            inferred = replace(inferred, sharing=Sharing.SHARE)
            ring = min(ring, max(demand[operation.result], 1))
        kept = replace(inferred, ring=ring, range=ring_of(operation.result).range)
        added = builder.append(
            kind, operands, attributes, [kept], operation.onnx_nodes, [operation.result.name]
        )
        values[operation.result] = added.result
    builder.program.outputs = {name: values[v] for name, v in program.outputs.items()}
    return builder.program


def _check(operation: Operation, demand: dict[Value, int]) -> None:
    needed = max(demand[v] for v in operation.results)
    if needed > FULL_RING:
        raise MpccError(
            "MPC-P020",
            f"%{operation.result.name} ({operation.kind}) needs a ring of {needed} bits, 64 is the widest",
            where=", ".join(operation.onnx_nodes) or None,
            remedy="its calibrated range is too wide for the number formats: check the calibration inputs",
        )
