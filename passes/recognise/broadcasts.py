"""Axes along which a value known to party 1 cannot change: a mask expanded over queries stays one row.

What is broadcast need not be shared: one bit a key position instead of one a query and key.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import (
    Rewriter,
    array,
    attribute,
    is_float,
    reduction_axes,
    shape,
    visibility,
)

_ELEMENTWISE = {
    *(
        "Add",
        "Sub",
        "Mul",
        "Div",
        "And",
        "Or",
        "Xor",
        "Not",
        "Where",
        "Cast",
        "Identity",
        "Greater",
        "GreaterOrEqual",
    ),
    *(
        "Less",
        "LessOrEqual",
        "Equal",
        "Min",
        "Max",
        "Clip",
        "Neg",
        "Reciprocal",
        "Abs",
        "Pow",
        "Sqrt",
        "Sign",
        "IsNaN",
    ),
}


def uniform_axes(value: ir.Value) -> set[int]:
    """Axes of the value along which all its slices are provably equal."""
    dims = shape(value)
    ones = {axis for axis, size in enumerate(dims) if size == 1}
    data = array(value)
    if data is not None:
        return ones | {
            a for a in range(data.ndim) if np.array_equal(data, data.take([0], axis=a).repeat(dims[a], a))
        }
    node = value.producer()
    if node is None or node.domain != "":
        return ones
    if node.op_type in _ELEMENTWISE:
        operands = [v for v in node.inputs if v is not None]
        return ones | set.intersection(*(_after_broadcast(v, len(dims)) for v in operands))
    source = node.inputs[0] if node.inputs else None
    if source is None:
        return ones
    if node.op_type == "Expand":
        return ones | _after_broadcast(source, len(dims))
    if node.op_type == "Transpose":
        permutation = attribute(node, "perm", list(reversed(range(len(dims)))))
        inner = uniform_axes(source)
        return ones | {i for i, axis in enumerate(permutation) if axis in inner}
    if node.op_type in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"):
        left = [a for a in range(len(shape(source))) if a not in reduction_axes(node)]
        inner = uniform_axes(source)
        kept = enumerate(range(len(shape(source))) if attribute(node, "keepdims", 1) else left)
        return ones | {i for i, axis in kept if axis in inner}
    if node.op_type in ("Unsqueeze", "Squeeze", "Reshape"):
        return ones | _after_reshape(source, dims)
    return ones


def _after_broadcast(value: ir.Value, rank: int) -> set[int]:
    offset = rank - len(shape(value))
    return set(range(offset)) | {axis + offset for axis in uniform_axes(value)}


def _after_reshape(source: ir.Value, dims: tuple[int, ...]) -> set[int]:
    """Axes that survive when the reshape only adds or drops axes of size 1."""
    inner = [(i, size) for i, size in enumerate(shape(source)) if size != 1]
    outer = [(i, size) for i, size in enumerate(dims) if size != 1]
    if [s for _, s in inner] != [s for _, s in outer]:
        return set()
    uniform = uniform_axes(source)
    return {o for (i, _), (o, _) in zip(inner, outer, strict=True) if i in uniform}


def shrink(rewrite: Rewriter, anchor: ir.Node, value: ir.Value) -> ir.Value:
    """The value with size 1 on every axis along which it does not change."""
    axes = sorted(a for a in uniform_axes(value) if shape(value)[a] != 1)
    if not axes:
        return value
    data = array(value)
    if data is not None:
        for axis in axes:
            data = data.take([0], axis=axis)
        return rewrite.constant(data, visibility(value))
    starts, stops = rewrite.integers(*[0] * len(axes)), rewrite.integers(*[1] * len(axes))
    return rewrite.emit(anchor, "Slice", [value, starts, stops, rewrite.integers(*axes)])


def shrink_local_factors(rewrite: Rewriter) -> None:
    """Party 1's operands of broadcasting operations with secrets are sent in their smallest shape."""
    done: dict[int, ir.Value] = {}
    for node in list(rewrite.graph):
        if node.op_type not in ("Add", "Sub", "Mul") or visibility(node.outputs[0]) is not Visibility.SECRET:
            continue
        for index, value in enumerate(node.inputs):
            other = node.inputs[1 - index]
            if value is None or other is None or value.const_value is not None or not is_float(value):
                continue
            if visibility(value) is not Visibility.PARTY1 or value.producer() is None:
                continue
            if shape(other) != shape(node.outputs[0]):
                continue
            if id(value) not in done:
                done[id(value)] = shrink(rewrite, node, value)
            node.replace_input_with(index, done[id(value)])
