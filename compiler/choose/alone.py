"""Tensor-stage programs of one operation, with as much around it as its cost depends on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mpcc.compiler.choose.nodes import Node
from mpcc.ir.dialects import definition
from mpcc.ir.dialects.base import VIEW_ATTRIBUTES, apply_view
from mpcc.ir.program import Attributes, Operation, Program, Stage, Value
from mpcc.ir.types import Range, TensorType, Visibility

Arrays = dict[str, np.ndarray]
OUTPUT, READER = "y", "/reader"
WIDE = Range(-(2.0**22), 2.0**22)  # of what a linear layer yields: the residual stream needs some 40 bits
OWNERS = (Visibility.PARTY1, Visibility.PARTY0)


def part(name: str, party: int) -> str:
    """The input whose sum with the other party's is the value `name`, so that the value is a share."""
    return f"{party}/{name}"


class Alone:
    """Programs of parts of `source`; values have their names in it, the output is `OUTPUT`."""

    def __init__(self, source: Program) -> None:
        self._source = source
        self._producers = source.producers()

    def _program(self, name: str) -> Program:
        """An empty one, with the correlations of the whole."""
        return Program(name, Stage.TENSOR, attributes=dict(self._source.attributes))

    def operation(self, node: Node, arrays: Arrays) -> Program:
        """The node only, on operands of the shapes of `arrays`."""
        program, made = self._program(f"{node.kind} alone"), dict[Value, Value]()
        for value in node.operands:
            self._operand(program, made, value, arrays.get(value.name))
        return self._with_node(program, made, node)

    def in_place(self, node: Node) -> Program:
        """The node with the linear layers before and behind it: what it asks of the one, and sends for the
        other, it decides.
        """
        program, made = self._before(node)
        return self._with_reader(self._with_node(program, made, node), node)

    def around(self, node: Node) -> Program:
        """What reads the node's result, on a result that costs nothing."""
        program, made = self._program("around"), dict[Value, Value]()
        self._operand(program, made, node.site, None)
        program.outputs[OUTPUT] = made[node.site]
        return self._with_reader(program, node)

    def arguments(self, node: Node) -> tuple[Program, Program]:
        """What yields the argument, and as much as is revealed of it, on an argument that costs nothing."""
        argument = node.operation.operands[0]
        program, made = self._before(node)
        free, there = self._program("argument"), dict[Value, Value]()
        self._operand(free, there, argument, None)
        program.outputs[OUTPUT], free.outputs[OUTPUT] = made[argument], there[argument]
        return program, free

    def layer_before(self, node: Node) -> Operation | None:
        """The linear layer whose result is the argument."""
        producer = self._producers[node.operation.operands[0]]
        return producer if producer.kind == "linear" and _secret(producer.operands[0]) else None

    def _before(self, node: Node) -> tuple[Program, dict[Value, Value]]:
        program, made = self._program(f"{node.kind} in place"), dict[Value, Value]()
        layer = self.layer_before(node)
        for value in node.operands:
            if layer is None or value is not layer.result:
                self._operand(program, made, value, None)
                continue
            self._operand(program, made, layer.operands[0], None)
            kind = _tensor(layer.operands[1])
            weight = _append_source(program, "constant", layer.operands[1].name, kind)
            program.constants[weight.name] = np.zeros(kind.shape, np.float32)
            made[value] = Value(value.name, value.type)
            operands = (made[layer.operands[0]], weight)
            program.operations.append(Operation("linear", operands, (made[value],), {}))
        return program, made

    def _with_node(self, program: Program, made: dict[Value, Value], node: Node) -> Program:
        for operation in node.operations:
            operands = tuple(made[v] for v in operation.operands)
            (inferred,) = definition(Stage.TENSOR, operation.kind).infer(
                [v.type for v in operands], operation.attributes
            )
            made[operation.result] = Value(operation.result.name, inferred)
            program.operations.append(
                replace(operation, operands=operands, results=(made[operation.result],))
            )
        program.outputs[OUTPUT] = made[node.site]
        return program

    def _with_reader(self, program: Program, node: Node) -> Program:
        """With the first column of a linear layer behind it, where one reads the result."""
        if not node.readers:
            return program
        result = program.outputs[OUTPUT]
        kind = _tensor(result)
        if len(node.readers) > 1:  # views do not keep the range, which decides in how many bits it is sent
            view = Value(f"{READER}/view", kind)
            program.operations.append(Operation("reshape", (result,), (view,), {"shape": kind.shape}))
            result = view
        weights = TensorType(Visibility.PARTY0, "float", (kind.shape[-1], 1))
        weight = _append_source(program, "constant", f"{READER}/weight", weights)
        program.constants[weight.name] = np.zeros(weights.shape, np.float32)
        (inferred,) = definition(Stage.TENSOR, "linear").infer([kind, weight.type], {})
        program.outputs[OUTPUT] = Value(READER, inferred)
        program.operations.append(Operation("linear", (result, weight), (program.outputs[OUTPUT],), {}))
        return program

    def _operand(
        self, program: Program, made: dict[Value, Value], value: Value, array: np.ndarray | None
    ) -> None:
        """Appends what yields an operand: two inputs and their sum for a share, else its source."""
        shape = _tensor(value).shape if array is None else array.shape
        kind = replace(_tensor(value), shape=shape)
        if _secret(value):
            parts = tuple(
                _append_source(program, "input", part(value.name, i), replace(kind, visibility=owner))
                for i, owner in enumerate(OWNERS)
            )
            made[value] = Value(value.name, kind)
            program.operations.append(Operation("add", parts, (made[value],), {}))
            return
        constant = self._constant(value)
        if constant is not None:
            program.constants[value.name] = constant if array is None else array.astype(constant.dtype)
        source = "input" if constant is None else "constant"
        made[value] = _append_source(program, source, value.name, kind)

    def _constant(self, value: Value) -> np.ndarray | None:
        """The array of a constant or of a view of one."""
        producer = self._producers[value]
        if producer.kind in VIEW_ATTRIBUTES:
            array = self._constant(producer.operands[0])
            return None if array is None else apply_view(producer.kind, array, producer.attributes)
        name = producer.attributes.get("name")
        return self._source.constants[str(name)] if producer.kind == "constant" else None


def _tensor(value: Value) -> TensorType:
    assert isinstance(value.type, TensorType)
    return value.type


def _secret(value: Value) -> bool:
    return _tensor(value).visibility is Visibility.SECRET


def _append_source(program: Program, source: str, name: str, kind: TensorType) -> Value:
    """An input or a constant."""
    value = Value(name, kind)
    attributes: Attributes = {
        "name": name, "visibility": str(kind.visibility), "dtype": kind.dtype, "shape": kind.shape
    }  # fmt: skip
    program.operations.append(Operation(source, (), (value,), attributes))
    return value
