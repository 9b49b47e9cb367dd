"""Programs as text. `parse(print_program(p))` is the identical program; constants stay in their side file.

The header is line 1 and each operation takes one line, so operation number i stands on line i + 2.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from mpcc.ir.program import Attribute, Attributes, Operation, Program, Value
from mpcc.ir.types import PendingType, Range, RingType, Shape, TensorType, Type


def print_program(program: Program) -> str:
    """The text form, ASCII only, ending in a line break."""
    attributes = print_attributes(program.attributes)
    lines = [f"program {_string(program.name)} {program.stage}{attributes} {{"]
    lines += [f"  {print_operation(operation)}" for operation in program.operations]
    lines += [f"  output {_string(name)} = %{value.name}" for name, value in program.outputs.items()]
    return "\n".join([*lines, "}", ""])


def operation_place(index: int, operation: Operation) -> str:
    """Where operation `index` stands, for errors: its line in the printed program and its ONNX nodes."""
    nodes = f", from ONNX node {', '.join(operation.onnx_nodes)}" if operation.onnx_nodes else ""
    return f"line {index + 2}: {operation.kind}{nodes}"


def print_operation(operation: Operation) -> str:
    results = f"{_values(operation.results)} = " if operation.results else ""
    operands = f" {_values(operation.operands)}" if operation.operands else ""
    types = f" : {', '.join(print_type(v.type) for v in operation.results)}" if operation.results else ""
    nodes = f" from {print_attribute(operation.onnx_nodes)}" if operation.onnx_nodes else ""
    return f"{results}{operation.kind}{operands}{print_attributes(operation.attributes)}{types}{nodes}"


def print_type(value: Type) -> str:
    if isinstance(value, TensorType):
        return f"tensor<{value.visibility}, {value.dtype}, {print_shape(value.shape)}{_range(value.range)}>"
    if isinstance(value, RingType):
        shape = print_shape(value.shape)
        return f"{value.sharing}<{value.ring}, {value.fraction}, {shape}{_range(value.range)}>"
    if isinstance(value, PendingType):
        return f"pending<{value.protocol}>"
    raise TypeError(f"not a type: {value!r}")


def print_shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) if shape else "scalar"


def print_attributes(attributes: Attributes) -> str:
    """The attributes with a space in front, or nothing when there are none."""
    if not attributes:
        return ""
    return " {" + ", ".join(f"{name} = {print_attribute(value)}" for name, value in attributes.items()) + "}"


def print_attribute(value: Attribute) -> str:
    """Raises TypeError for what is not an attribute, a NumPy integer for example."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)  # the shortest text that reads back to the same number
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(print_attribute, value))}]"
    raise TypeError(f"not an attribute: {value!r}")


def _string(value: str) -> str:
    return json.dumps(value)


def _values(values: Sequence[Value]) -> str:
    return ", ".join(f"%{value.name}" for value in values)


def _range(value: Range | None) -> str:
    return "" if value is None else f", [{float(value.low)!r}, {float(value.high)!r}]"
