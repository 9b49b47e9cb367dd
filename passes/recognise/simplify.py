"""Remove operations that change nothing about real values, so that the other rules see through them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import (
    CASTS,
    SOURCE,
    Rewriter,
    array,
    attribute,
    inputs,
    is_float,
    origin,
    remove_dead,
    scalar,
    shape,
    visibility,
)


def simplify(rewrite: Rewriter) -> None:
    """Drop Identity, Dropout in evaluation mode, casts between floats and clamps beyond any real value; open
    up `Softmax` on inner axes and division by constants.
    """
    for node in list(rewrite.graph):
        same = _same_as_operand(node)
        if same is not None:
            if node.op_type == "Cast":
                _remember_cast(node)
            rewrite.replace(node.outputs[0], same, equal=False)
        elif node.op_type == "Softmax":
            _softmax_on_last_axis(rewrite, node)
        elif node.op_type == "Div":
            _division_by_constant(rewrite, node)
    remove_dead(rewrite.graph)


def _same_as_operand(node: ir.Node) -> ir.Value | None:
    if node.domain != "" or not node.inputs:
        return None
    x = node.inputs[0]
    if x is None or x.const_value is not None:
        return None
    if node.op_type == "Identity":
        return x
    if node.op_type == "Dropout":
        training = array(inputs(node, 3)[2])
        mask_unused = len(node.outputs) < 2 or not node.outputs[1].uses()
        return x if mask_unused and (training is None or not bool(training)) else None
    if node.op_type == "Cast":
        return x if is_float(x) and is_float(node.outputs[0]) else None
    if node.op_type in ("Reshape", "Expand", "Squeeze", "Unsqueeze") and is_float(x):
        return x if shape(x) == shape(node.outputs[0]) else None
    if node.op_type in ("Max", "Clip", "Min") and is_float(x):
        bounds = [scalar(v) for v in node.inputs[1:] if v is not None]
        return x if all(b is not None and abs(b) > 1e30 for b in bounds) else None
    return None


def _remember_cast(node: ir.Node) -> None:
    """At the operands that it was for: floats have a type where party 1 computes alone."""
    for use in node.outputs[0].uses():
        use.node.meta.setdefault(CASTS, {})[use.idx] = node.outputs[0].dtype


def _softmax_on_last_axis(rewrite: Rewriter, node: ir.Node) -> None:
    x, result = node.inputs[0], node.outputs[0]
    assert x is not None
    rank = len(shape(x))
    axis = int(attribute(node, "axis", -1)) % rank
    if axis == rank - 1:
        return
    swap = [*range(axis), rank - 1, *range(axis + 1, rank - 1), axis]
    turned = rewrite.emit(node, "Transpose", [x], {"perm": swap})
    probabilities = rewrite.emit(node, "Softmax", [turned], {"axis": -1})
    rewrite.replace(result, rewrite.emit(node, "Transpose", [probabilities], {"perm": swap}))


def _division_by_constant(rewrite: Rewriter, node: ir.Node) -> None:
    """x / c is x * (1 / c): a product with a constant of the same owner."""
    x, divisor = node.inputs
    data = array(divisor)
    if x is None or divisor is None or data is None or not is_float(x) or not np.all(data):
        return
    inverse = rewrite.constant((1.0 / data.astype(np.float64)).astype(data.dtype), visibility(divisor))
    inverse.meta.setdefault(SOURCE, divisor.name)
    rewrite.replace(node.outputs[0], rewrite.emit(node, "Mul", [x, inverse], came_from=origin(node)))


def divisions_by_local_values(rewrite: Rewriter) -> None:
    """secret / v with v known to party 1 alone: party 1 inverts v itself."""
    for node in list(rewrite.graph):
        if node.op_type != "Div" or node.domain != "":
            continue
        x, divisor = node.inputs
        if x is None or divisor is None or visibility(x) is not Visibility.SECRET:
            continue
        if visibility(divisor) is Visibility.PARTY1 and is_float(divisor):
            inverse = rewrite.emit(node, "Reciprocal", [divisor], came_from=origin(node))
            rewrite.replace(node.outputs[0], rewrite.emit(node, "Mul", [x, inverse], came_from=origin(node)))
