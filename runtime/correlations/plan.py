"""The dealer's input, correlations.json: the operations that draw correlations, in order, and views of masks.

Nothing in it depends on a weight or an input. Each item is an operation of the share stage as its parties
run it.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.dialects import definition
from mpcc.ir.dialects.party import START
from mpcc.ir.program import Attribute, Attributes, Operation, Program, Stage, Value
from mpcc.ir.types import RingType, Sharing
from mpcc.runtime.correlations.slots import stream
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import ring_type
from mpcc.runtime.protocols.local import moves_mask

_MASKED = (Sharing.MASKED, Sharing.MASKED_BITS, Sharing.SERVED)
_NAME = re.compile(r"[A-Za-z0-9_.]+")


def link(program: Program) -> list[Operation]:
    """The party program with every start and its finish joined to one operation at the start's place.

    `exchange` and `finish` stay where they are; a joined operation's result is the finish's.
    """
    finishes = {o.operands[0]: o for o in program.operations if o.kind == "finish"}
    linked = []
    for operation in program.operations:
        if operation.kind.startswith(START):
            finish = finishes[operation.result]
            kind = operation.kind.removeprefix(START)
            operation = Operation(
                kind, operation.operands, finish.results, operation.attributes, operation.onnx_nodes
            )
        linked.append(operation)
    return linked


def correlated(operations: list[Operation]) -> list[Operation]:
    """The operations that the dealer must see: those with slots, and local ones on masked values."""
    return [o for o in operations if o.kind in protocols and (protocols[o.kind].slots(o) or moves_mask(o))]


def correction_bytes(operation: Operation) -> int:
    """Bytes that the dealer sends party 1 for the operation."""
    return sum(slot.correction_bytes for slot in protocols[operation.kind].slots(operation))


def offsets(operations: list[Operation]) -> tuple[dict[str, int], int]:
    """Where each value's corrections begin in party 1's payload, and the payload's length, in bytes."""
    position, result = 0, {}
    for operation in correlated(operations):
        result[operation.result.name] = position
        position += correction_bytes(operation)
    return result, position


def check_streams(operations: list[Operation]) -> None:
    """Refuses two parts of a session on one stream, the same key stream under two names. Raises MPC-S014."""
    owners: dict[int, tuple[str, str]] = {}
    for operation in operations:
        for name in [slot.name for slot in protocols[operation.kind].slots(operation)]:
            owner = (operation.result.name, name)
            if owners.setdefault(stream(*owner), owner) != owner:
                raise MpccError(
                    "MPC-S014",
                    f"the correlations of %{owner[0]} would repeat others of the same program",
                    remedy="report it with the model: a name in it must change",
                )


def to_json(operations: list[Operation]) -> str:
    """The plan's text. Deterministic. Raises MPC-S014."""
    check_streams(correlated(operations))
    items = [
        {
            "kind": o.kind,
            "result": [o.result.name, _type_out(o.result)],
            "operands": [[v.name, _type_out(v)] for v in o.operands],
            "attributes": o.attributes,
            "offline_bytes": correction_bytes(o),
        }
        for o in correlated(operations)
    ]
    return json.dumps({"format": 1, "items": items}, indent=None, separators=(",", ":")) + "\n"


def from_json(text: str) -> list[Operation]:
    """The plan's operations, each of which fits its operands.

    Raises ValueError, KeyError, TypeError, AttributeError or ArithmeticError when the text is no plan.
    """
    values: dict[str, Value] = {}
    dealt: set[Value] = set()

    def value(entry: list[Any]) -> Value:
        name, fields = entry
        found = values.setdefault(name, Value(name, _type_in(fields)))
        if not (isinstance(name, str) and _NAME.fullmatch(name)) or found.type != _type_in(fields):
            raise ValueError(f"{name!r} is no name of a value, or one of two")
        return found

    result = []
    for item in json.loads(text)["items"]:
        operands = tuple(value(e) for e in item["operands"])
        attributes: Attributes = {k: _freeze(v) for k, v in item["attributes"].items()}
        operation = Operation(item["kind"], operands, (value(item["result"]),), attributes)
        _check(operation, dealt)
        dealt.add(operation.result)
        result.append(operation)
    return result


def _check(operation: Operation, dealt: set[Value]) -> None:
    """The operation draws correlations, of masks that were dealt before, and its result is of the type that
    follows. Raises ValueError, TypeError or ArithmeticError.
    """
    name = operation.result.name
    types = [ring_type(operation, index) for index in range(len(operation.operands))]
    masked = {v for v, t in zip(operation.operands, types, strict=True) if t.sharing in _MASKED}
    if operation.result in dealt or not masked <= dealt:
        raise ValueError(f"%{name} is dealt twice, or of masks that are not there")
    operation_class = definition(Stage.SHARE, operation.kind)
    operation_class.check_attributes(operation.attributes)
    [inferred] = operation_class.infer([*types], operation.attributes)
    stated = ring_type(operation)
    if not isinstance(inferred, RingType) or replace(inferred, ring=stated.ring, range=None) != stated:
        raise ValueError(f"%{name} has another type than follows from its operands")
    if stated.ring > inferred.ring or not correlated([operation]):
        raise ValueError(f"%{name} is wider than follows from its operands, or needs no correlations")


def _freeze(entry: Any) -> Attribute:
    """What program text can say, too. Raises ValueError."""
    if isinstance(entry, list):
        return tuple(_freeze(e) for e in entry)
    if not isinstance(entry, int | float | str) or (isinstance(entry, int) and not -(2**63) <= entry < 2**64):
        raise ValueError(f"{entry!r} is no value of an attribute")
    return entry


def _type_out(value: Value) -> list[Any]:
    ring = value.type
    assert isinstance(ring, RingType)
    return [ring.sharing, ring.ring, ring.fraction, list(ring.shape)]


def _type_in(fields: list[Any]) -> RingType:
    sharing, ring, fraction, shape = fields
    return RingType(Sharing(sharing), int(ring), int(fraction), tuple(int(s) for s in shape), None)
