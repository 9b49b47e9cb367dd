"""Programs that differ from others in the names of their values only."""

from __future__ import annotations

from dataclasses import replace

from mpcc.ir.program import Operation, Program, Value


def renamed(program: Program) -> Program:
    """The program with other names for all values."""
    values: dict[Value, Value] = {}
    operations = []
    for operation in program.operations:
        for value in operation.results:
            values[value] = Value(f"v{len(values) + 1}", value.type)
        operations.append(
            Operation(
                operation.kind,
                tuple(values[v] for v in operation.operands),
                tuple(values[v] for v in operation.results),
                operation.attributes,
                operation.onnx_nodes,
            )
        )
    outputs = {name: values[v] for name, v in program.outputs.items()}
    return replace(program, operations=operations, outputs=outputs)
