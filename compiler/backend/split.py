"""One share-stage program into the two party programs, in ticks."""

from __future__ import annotations

from dataclasses import replace

from mpcc.ir.dialects.party import START
from mpcc.ir.program import Builder, Operation, Program, Stage, Value
from mpcc.ir.types import PendingType, RingType, Type
from mpcc.passes.schedule_rounds import schedule
from mpcc.runtime.protocols import protocols


def ticks(operation: Operation) -> int:
    """Exchanges that the operation's protocol takes."""
    return len(protocols[operation.kind].messages(operation))


def split(program: Program) -> tuple[Program, Program]:
    """Party 0's and party 1's programs: the same lines, but for the bytes each sends and receives.

    Ranges are left out: they are in the manifest, where the compile request put them.
    """
    return _party_program(program, 0), _party_program(program, 1)


def _party_program(program: Program, party: int) -> Program:
    builder = Builder(program.name, Stage.PARTY)
    builder.program.attributes = {**program.attributes, "party": party}
    values: dict[Value, Value] = {}
    under_way: list[tuple[Operation, list[tuple[int, int]]]] = []
    for index, tick in enumerate(schedule(program, ticks)):
        for operation in tick.finished:
            _append(builder, values, operation, "finish", (values[operation.result],))
        under_way = [(o, m) for o, m in under_way if m]
        for operation in tick.started:
            operands = tuple(values[v] for v in operation.operands)
            messages = protocols[operation.kind].messages(operation)
            if messages:
                kind = START + operation.kind
                pending, name = PendingType(operation.kind), f"{operation.result.name}.start"
                nodes = operation.onnx_nodes
                started = builder.append(kind, operands, operation.attributes, [pending], nodes, [name])
                values[operation.result] = started.result
                under_way.append((operation, list(messages)))
            else:
                _append(builder, values, operation, operation.kind, operands)
        if under_way:
            sizes = [messages.pop(0) for _, messages in under_way]
            sent, received = (sum(s[p] for s in sizes) for p in (party, 1 - party))
            builder.append("exchange", (), {"index": index, "send": sent, "receive": received}, [])
    builder.program.outputs = {name: values[v] for name, v in program.outputs.items()}
    return builder.program


def _append(
    builder: Builder, values: dict[Value, Value], source: Operation, kind: str, operands: tuple[Value, ...]
) -> None:
    attributes = {} if kind == "finish" else source.attributes
    nodes = () if kind == "finish" else source.onnx_nodes
    result = source.result
    added = builder.append(kind, operands, attributes, [_without_range(result.type)], nodes, [result.name])
    values[result] = added.result


def _without_range(value: Type) -> Type:
    return replace(value, range=None) if isinstance(value, RingType) else value
