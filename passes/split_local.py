"""Split off what party 1 computes alone: a small ONNX model without weights that its program runs in the
clear.

Whatever depends on party 1's inputs and public constants only (mask arithmetic, position ids, reciprocals of
counts, patches) is cut out of the graph; the values the rest needs become inputs of the secure program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import (
    CASTS,
    MACRO,
    VISIBILITY,
    array,
    attribute,
    join,
    remove_dead,
    shape,
    type_proto,
    visibility,
)

LOCAL_NAME = "local_name"


@dataclass(frozen=True)
class LocalOutput:
    """One value that party 1 feeds into the secure program, and how its program must check it.

    `check`: `keep_rows` (0/1, every row along the last axis keeps a position), `keep` (0/1), `ids` (integers
    in 0..max), or `none`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    check: str
    max: int | None = None


@dataclass(frozen=True)
class LocalSplit:
    """`model` is None when party 1 feeds its inputs unchanged; else every local output is an output of it."""

    model: onnx.ModelProto | None
    outputs: tuple[LocalOutput, ...]


def label(graph: ir.Graph) -> None:
    """Set the visibility of every computed value from its operands; a macro is computed on shares."""
    for node in graph:
        for value in node.outputs:
            value.meta[VISIBILITY] = Visibility.SECRET if node.domain == MACRO else join(node.inputs)


def kind_of(value: ir.Value) -> str:
    """The tensor stage's dtype: float, int or bool."""
    assert value.dtype is not None
    if value.dtype.is_floating_point():
        return "float"
    return "bool" if value.dtype == ir.DataType.BOOL else "int"


def split_local(graph: ir.Graph) -> LocalSplit:
    """Cut party 1's part out of the graph. Boundary values lose their producer and get
    `meta["local_name"]`.
    """
    label(graph)
    boundary = _boundary(graph)
    computed = any(value.producer() is not None for value in boundary)
    names: dict[int, str] = {}
    for value in boundary:
        if not computed:
            names[id(value)] = str(value.name)
        elif value.producer() is None:
            names[id(value)] = f"local.{value.name}"
        else:
            names[id(value)] = f"local.{len(names)}"
    model = _local_model(graph, boundary, names) if computed else None
    outputs = tuple(_describe(value, names[id(value)]) for value in boundary)
    for value in boundary:
        _replace_by_input(value, names[id(value)])
    remove_dead(graph)
    return LocalSplit(model, outputs)


def _is_local(value: ir.Value | None) -> bool:
    return value is not None and value.const_value is None and visibility(value) is Visibility.PARTY1


def _boundary(graph: ir.Graph) -> list[ir.Value]:
    found: dict[int, ir.Value] = {}
    for node in graph:
        if any(visibility(v) is Visibility.PARTY1 for v in node.outputs) and node.domain != MACRO:
            continue
        found.update({id(v): v for v in node.inputs if v is not None and _is_local(v)})
    found.update({id(v): v for v in graph.outputs if _is_local(v)})
    return list(found.values())


def _describe(value: ir.Value, name: str) -> LocalOutput:
    check, limit = "none", None
    for use in value.uses():
        if use.node.op_type == "Softmax" and use.node.domain == MACRO and use.idx == 1:
            refuses = attribute(use.node, "empty_rows") == "refuse"
            check = "keep_rows" if refuses or check == "keep_rows" else "keep"
        elif use.node.op_type == "Gather" and use.idx == 1 and not _is_local(use.node.outputs[0]):
            table = use.node.inputs[0]
            assert table is not None
            rows = shape(table)[int(attribute(use.node, "axis", 0))]
            check, limit = "ids", rows - 1 if limit is None else min(limit, rows - 1)
    return LocalOutput(name, shape(value), kind_of(value), check, limit)


def _replace_by_input(value: ir.Value, name: str) -> None:
    new = ir.Value(name=value.name, shape=value.shape, type=value.type)
    new.meta[VISIBILITY] = Visibility.PARTY1
    new.meta[LOCAL_NAME] = name
    for use in value.uses():
        if use.node.domain == MACRO or not any(visibility(v) is Visibility.PARTY1 for v in use.node.outputs):
            use.node.replace_input_with(use.idx, new)
    graph = value.graph
    if value.is_graph_output() and graph is not None:
        for index, output in enumerate(graph.outputs):
            if output is value:
                graph.outputs[index] = new


def _local_model(graph: ir.Graph, boundary: list[ir.Value], names: dict[int, str]) -> onnx.ModelProto:
    nodes = [
        n for n in graph if n.domain != MACRO and all(visibility(v) is Visibility.PARTY1 for v in n.outputs)
    ]
    needed = _ancestors(boundary)
    nodes = [n for n in nodes if any(id(v) in needed for v in n.outputs)]
    text: dict[int, str] = {id(v): str(v.name) for v in graph.inputs}
    protos: list[onnx.NodeProto] = []
    constants: dict[str, np.ndarray] = {}

    def name(value: ir.Value | None) -> str:
        if value is None:
            return ""
        if id(value) not in text:
            text[id(value)] = f"v{len(text)}"
            data = array(value)
            if data is not None:
                if visibility(value) is not Visibility.PUBLIC:
                    raise AssertionError(f"'{value.name}' would leave party 0")
                constants[text[id(value)]] = data
        return text[id(value)]

    for node in nodes:
        proto = onnx.NodeProto(op_type=node.op_type, domain=node.domain)
        proto.attribute.extend(ir.to_proto(a) for a in node.attributes.values())
        for index, operand in enumerate(node.inputs):
            given, dtype = name(operand), node.meta.get(CASTS, {}).get(index)
            if dtype is not None:
                given, cast = f"{given}.{len(protos)}", given
                protos.append(onnx.helper.make_node("Cast", [cast], [given], to=int(dtype)))
            proto.input.append(given)
        proto.output.extend(name(v) for v in node.outputs)
        protos.append(proto)
    for value in boundary:
        protos.append(onnx.helper.make_node("Identity", [name(value)], [names[id(value)]]))
    used = {i for proto in protos for i in proto.input}
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            protos,
            "local",
            [_info(str(v.name), v) for v in graph.inputs if v.name in used],
            [_info(names[id(v)], v) for v in boundary],
            [onnx.numpy_helper.from_array(data, name) for name, data in constants.items()],
        ),
        opset_imports=[onnx.helper.make_opsetid(d, v) for d, v in graph.opset_imports.items() if d != MACRO],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model


def _ancestors(values: list[ir.Value]) -> set[int]:
    pending, seen = list(values), set[int]()
    while pending:
        value = pending.pop()
        if id(value) not in seen:
            seen.add(id(value))
            node = value.producer()
            pending.extend(v for v in (node.inputs if node is not None else ()) if v is not None)
    return seen


def _info(name: str, value: ir.Value) -> onnx.ValueInfoProto:
    info = onnx.ValueInfoProto(name=name)
    info.type.CopyFrom(type_proto(value))
    return info
