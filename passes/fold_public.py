"""Fold everything that does not depend on an input: shape arithmetic, masks, transposed or dequantised
weights.

One forward walk gives every value a static type, evaluates with onnxruntime each node whose operands are all
constant, and resolves `If` nodes with a constant condition. A folded value is public when all it was computed
from is public, else party 0's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.types import Visibility
from mpcc.passes.evaluate_node import evaluate_node
from mpcc.passes.recognise.contrib import expand_contrib
from mpcc.passes.recognise.experts.contrib import expand_moe
from mpcc.passes.recognise.experts.refusals import refuse_branch, routing_of_branch
from mpcc.passes.recognise.graph import (
    MACRO,
    ORIGIN,
    REASON,
    TABLE_ROWS,
    UNTYPED,
    VISIBILITY,
    Rewriter,
    array,
    has_static_shape,
    infer_types,
    inputs,
    join,
    origin,
    remove_dead,
    shape,
    visibility,
)

_QUANTISED = {"DequantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul"}
_SMALL_INTEGERS = ("INT8", "UINT8", "INT4", "UINT4", "INT2", "UINT2")
LEAST_FOLDED = 256 << 20  # bytes of folded values that any model may have
FOLDED_FACTOR = 32  # times the bytes of its own constants: one may be folded through a chain of operations
# Never evaluated at compile time: every run must draw anew.
_UNFOLDABLE = {
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Bernoulli",
    "Multinomial",
}


class _Room:
    """Bytes that folded values may still take: a model of some kilobytes can ask for any number of them."""

    def __init__(self, graph: ir.Graph) -> None:
        constants = [v.const_value for v in graph.initializers.values() if v.const_value is not None]
        self._left: float = LEAST_FOLDED + FOLDED_FACTOR * sum(tensor.nbytes for tensor in constants)

    def take(self, node: ir.Node) -> bool:
        """Room for the results of a node whose types are known; False when there is none."""
        results = [v for v in node.outputs if v.name != ""]
        size = sum(math.prod(shape(v)) * v.dtype.itemsize for v in results if v.dtype is not None)
        if size > self._left:
            return False
        self._left -= size
        return True


def fold_public(rewrite: Rewriter, diagnostics: Diagnostics) -> None:
    """Fold and type the graph in place.

    Values that could not be typed carry `meta["untyped"]`; the node that caused it is reported to
    `diagnostics`, those after it are not.
    """
    graph, opset = rewrite.graph, rewrite.opset
    for value in graph.initializers.values():
        _label_constant(value)
    room = _Room(graph)
    pending = list(reversed(list(graph)))
    while pending:
        node = pending.pop()
        if node.domain == MACRO:
            continue
        if ORIGIN not in node.meta:
            node.meta[ORIGIN] = (node.name or f"{node.op_type} ({node.outputs[0].name})",)
        if node.op_type == "If" and (condition := array(node.inputs[0])) is not None:
            pending.extend(reversed(_inline_branch(graph, node, bool(condition))))
            continue
        if any(UNTYPED in value.meta for value in node.inputs if value is not None):
            _mark_untyped(node)
            continue
        if node.op_type == "CastLike" and node.domain == "":
            _cast(node)
        if (node.domain, node.op_type) == ("com.microsoft", "MoE"):
            if not expand_moe(rewrite, node, diagnostics):
                _mark_untyped(node)
        elif expand_contrib(rewrite, node):
            pending.extend(reversed(rewrite.inserted))
            rewrite.inserted.clear()
        elif not _fold_node(graph, node, opset, room):
            _type_node(node, opset, diagnostics)
    remove_dead(graph)


def _cast(node: ir.Node) -> None:
    """CastLike as a Cast: of its second operand only the type matters, whoever knows the values."""
    target = inputs(node, 2)[1]
    if target is not None and target.dtype is not None:
        node.attributes["to"] = ir.AttrInt64("to", int(target.dtype))
        node.op_type = "Cast"
        node.resize_inputs(1)


def _label_constant(value: ir.Value) -> None:
    """Floats are party 0's; integers and truth values are architecture, except 8-bit and smaller weights."""
    assert value.const_value is not None
    dtype = value.const_value.dtype
    is_weight = dtype.is_floating_point() or dtype.name in _SMALL_INTEGERS
    value.meta[VISIBILITY] = Visibility.PARTY0 if is_weight else Visibility.PUBLIC
    value.dtype = dtype
    value.shape = ir.Shape(value.const_value.shape.numpy())


def _inline_branch(graph: ir.Graph, node: ir.Node, condition: bool) -> list[ir.Node]:
    branch = node.attributes["then_branch" if condition else "else_branch"].as_graph()
    for value in list(branch.initializers.values()):
        _label_constant(value)
    nodes, results = list(branch), list(branch.outputs)
    branch.outputs.clear()
    branch.remove(nodes)
    graph.insert_before(node, nodes)
    for old, new in zip(node.outputs, results, strict=True):
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    return nodes


def _fold_node(graph: ir.Graph, node: ir.Node, opset: int, room: _Room) -> bool:
    """Replace the node by constants when its operands allow it."""
    result: list[np.ndarray]
    if node.op_type == "Constant" and node.domain == "":
        tensor = _constant_tensor(node)
        value = node.outputs[0]
        value.const_value = tensor
        _label_constant(value)
        return _detach(graph, node)
    if node.op_type in ("Shape", "Size") and node.inputs[0] is not None and has_static_shape(node.inputs[0]):
        dims = np.array(shape(node.inputs[0]), dtype=np.int64)
        start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", len(dims))
        result = [dims[start:end] if node.op_type == "Shape" else np.array(dims.prod(), dtype=np.int64)]
        who = Visibility.PUBLIC
    elif (same := _same_everywhere(node, opset, room)) is not None:
        result, who = [same], visibility(node.inputs[0])
    else:
        folded = all(v is None or v.const_value is not None for v in node.inputs)
        has_body = any(
            a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values()
        )
        if not folded or has_body or node.op_type in _UNFOLDABLE:
            return False
        typed = infer_types(node, opset)
        if REASON in node.meta or (not typed and None in node.inputs):
            return False  # onnxruntime may end the process where onnx refuses
        if typed and not room.take(node):
            return False
        try:
            result = evaluate_node(node, opset)
        except (
            Exception
        ):  # onnxruntime raises its own classes; the node is then reported like any unsupported one
            return False
        who = Visibility.PARTY0 if node.op_type in _QUANTISED else join(node.inputs)
    for value, data in zip([v for v in node.outputs if v.name != ""], result, strict=True):
        value.const_value = ir.tensor(data, name=value.name)
        value.dtype, value.shape = ir.DataType.from_numpy(data.dtype), ir.Shape(data.shape)
        value.meta[VISIBILITY] = who
    return _detach(graph, node)


def _same_everywhere(node: ir.Node, opset: int, room: _Room) -> np.ndarray | None:
    """A lookup whose result does not depend on the indices: a table of one row, or of equal public integers.

    RoBERTa looks its token types up in zeros at the client's positions.
    """
    table = array(node.inputs[0]) if node.op_type in ("Gather", "GatherElements") else None
    if table is None or table.size == 0 or not infer_types(node, opset):
        return None
    target = shape(node.outputs[0])
    if visibility(node.inputs[0]) is Visibility.PUBLIC and np.all(table == table.flat[0]):
        return np.full(target, table.flat[0], dtype=table.dtype) if room.take(node) else None
    axis = node.attributes.get_int("axis", 0) % table.ndim
    if node.op_type == "Gather" and table.shape[axis] == 1 and node.inputs[1] is not None:
        node.inputs[1].meta[TABLE_ROWS] = 1
        rank = len(shape(node.inputs[1]))
        ones = (*table.shape[:axis], *(1,) * rank, *table.shape[axis + 1 :])
        if room.take(node):
            return np.ascontiguousarray(np.broadcast_to(table.reshape(ones), target))
    return None


def _detach(graph: ir.Graph, node: ir.Node) -> bool:
    """Take a folded node out of the graph; its outputs live on as constants."""
    for old in node.outputs:
        new = ir.Value(name=old.name, shape=old.shape, type=old.type, const_value=old.const_value)
        new.meta[VISIBILITY] = old.meta.get(VISIBILITY, Visibility.PUBLIC)
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    return True


def _constant_tensor(node: ir.Node) -> Any:
    (name, found), *_ = node.attributes.items()
    if name == "value":
        return found.as_tensor()
    dtype = np.float32 if "float" in name else np.int64
    return ir.tensor(np.array(found.value, dtype=dtype))


def _type_node(node: ir.Node, opset: int, diagnostics: Diagnostics) -> None:
    for value in node.outputs:
        value.meta[VISIBILITY] = join(node.inputs)
    if infer_types(node, opset):
        return
    _mark_untyped(node)
    if (choice := routing_of_branch(node)) is not None:
        refuse_branch(node, choice, diagnostics)
        return
    name = node.op_type if node.domain == "" else f"{node.domain}.{node.op_type}"
    reason = "its output shape depends on data"
    if node.domain != "":
        reason = "it is not an operation of the ONNX standard"
    reason = str(node.meta.get(REASON, reason))
    diagnostics.add(
        "MPC-F020",
        f"operation {name} is not supported: {reason}",
        remedy="export the model in evaluation mode with static shapes, without this operation",
        where=", ".join(origin(node)),
    )


def _mark_untyped(node: ir.Node) -> None:
    for value in node.outputs:
        value.meta[UNTYPED] = True
