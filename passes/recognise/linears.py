"""Products with party 0's matrices: MatMul, Gemm and Conv become mpcc.Linear(x, weight[, bias]), scales
folded in.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import (
    MACRO,
    Rewriter,
    array,
    attribute,
    inputs,
    operands,
    origin,
    remove_dead,
    shape,
    single_use,
    visibility,
)

PARTY0 = Visibility.PARTY0


def recognise_linears(rewrite: Rewriter) -> None:
    """Rewrite products with constant matrices, then take constant vectors added to them as biases."""
    for node in list(rewrite.graph):
        if node.domain != "" or visibility(node.outputs[0]) is Visibility.PARTY1:
            continue
        if node.op_type == "MatMul":
            _matmul(rewrite, node)
        elif node.op_type == "Gemm":
            _gemm(rewrite, node)
        elif node.op_type == "Conv":
            _convolution(rewrite, node)
    for node in list(rewrite.graph):
        if node.op_type in ("Add", "Sub") and node.domain == "":
            _bias(rewrite, node)
    remove_dead(rewrite.graph)


def linear(
    rewrite: Rewriter,
    at: ir.Node,
    x: ir.Value,
    weight: np.ndarray,
    bias: np.ndarray | None,
    names: tuple[str, ...],
) -> ir.Value:
    """x [.., k] times weight [k, n] plus bias [n], as a macro node."""
    operands = [x, rewrite.constant(weight, PARTY0)]
    if bias is not None:
        operands.append(rewrite.constant(bias, PARTY0))
    return rewrite.macro(
        at, "Linear", operands, result_shape=(*shape(x)[:-1], weight.shape[1]), came_from=names
    )


def _matmul(rewrite: Rewriter, node: ir.Node) -> None:
    a, b = operands(node, 2)
    left, right = array(a), array(b)
    names = origin(node)
    if right is not None and right.ndim == 2 and len(shape(a)) >= 1:
        rewrite.replace(node.outputs[0], linear(rewrite, node, a, right, None, names))
    elif left is not None and left.ndim == 2 and len(shape(b)) >= 2:
        swap = [*range(len(shape(b)) - 2), len(shape(b)) - 1, len(shape(b)) - 2]
        turned = rewrite.emit(node, "Transpose", [b], {"perm": swap})
        product = linear(rewrite, node, turned, np.ascontiguousarray(left.T), None, names)
        rewrite.replace(node.outputs[0], rewrite.emit(node, "Transpose", [product], {"perm": swap}))
    elif len(shape(a)) == 1 or len(shape(b)) == 1:
        first = (
            a if len(shape(a)) > 1 else rewrite.emit(node, "Reshape", [a, rewrite.integers(1, shape(a)[0])])
        )
        second = (
            b if len(shape(b)) > 1 else rewrite.emit(node, "Reshape", [b, rewrite.integers(shape(b)[0], 1)])
        )
        product = rewrite.emit(node, "MatMul", [first, second])
        target = rewrite.integers(*shape(node.outputs[0]))
        rewrite.replace(node.outputs[0], rewrite.emit(node, "Reshape", [product, target]))


def _gemm(rewrite: Rewriter, node: ir.Node) -> None:
    (a, b), c = operands(node, 2), inputs(node, 3)[2]
    names = origin(node)
    alpha, beta = float(attribute(node, "alpha", 1.0)), float(attribute(node, "beta", 1.0))
    x = rewrite.emit(node, "Transpose", [a], {"perm": [1, 0]}) if attribute(node, "transA", 0) else a
    weight, bias = array(b), array(c)
    width = shape(node.outputs[0])[1]
    if weight is not None and x.const_value is None:
        matrix = weight.T if attribute(node, "transB", 0) else weight
        fused = (
            bias is not None and bias.size in (1, width) and (bias.ndim == 0 or bias.shape[-1] in (1, width))
        )
        vector = np.broadcast_to(beta * bias.reshape(-1), (width,)) if bias is not None and fused else None
        dtype = matrix.dtype
        result = linear(
            rewrite,
            node,
            x,
            np.ascontiguousarray((alpha * matrix).astype(dtype)),
            None if vector is None else vector.astype(dtype),
            names,
        )
        rest = None if fused else c
    else:
        y = rewrite.emit(node, "Transpose", [b], {"perm": [1, 0]}) if attribute(node, "transB", 0) else b
        result, rest = rewrite.emit(node, "MatMul", [x, y]), c
        if alpha != 1.0:
            result = rewrite.emit(node, "Mul", [result, rewrite.constant(np.array(alpha, np.float32))])
    if rest is not None:
        if beta != 1.0:
            rest = rewrite.emit(node, "Mul", [rest, rewrite.constant(np.array(beta, np.float32))])
        result = rewrite.emit(node, "Add", [result, rest])
    rewrite.replace(node.outputs[0], result)


def _convolution(rewrite: Rewriter, node: ir.Node) -> None:
    """Patches (im2col) times the kernel as a matrix; any rank, strides, padding, dilation; groups one by
    one.
    """
    x, kernel, bias_value = inputs(node, 3)
    assert x is not None
    weight, bias = array(kernel), array(bias_value)
    if weight is None or (bias_value is not None and bias is None):
        return
    names, dims = origin(node), shape(x)
    spatial = len(dims) - 2
    out_dims = shape(node.outputs[0])[2:]
    kernel_dims = weight.shape[2:]
    strides = attribute(node, "strides", [1] * spatial)
    dilations = attribute(node, "dilations", [1] * spatial)
    begins = _padding(node, dims[2:], kernel_dims, strides, dilations, out_dims)
    groups = int(attribute(node, "group", 1))
    padded = _pad(rewrite, node, x, begins, out_dims, kernel_dims, strides, dilations)
    patches = padded
    # Each spatial axis becomes (output position, kernel position) by one gather with public indices.
    for axis in range(spatial):
        where = 2 + 2 * axis
        grid = (
            np.arange(out_dims[axis])[:, None] * strides[axis]
            + np.arange(kernel_dims[axis])[None, :] * dilations[axis]
        )
        length = shape(patches)[where]
        if np.array_equal(grid.reshape(-1), np.arange(length)):
            split = (*shape(patches)[:where], *grid.shape, *shape(patches)[where + 1 :])
            patches = rewrite.emit(node, "Reshape", [patches, rewrite.integers(*split)])
        else:
            indices = rewrite.constant(grid.astype(np.int64))
            patches = rewrite.emit(node, "Gather", [patches, indices], {"axis": where})
    positions = [2 + 2 * i for i in range(spatial)]
    offsets = [3 + 2 * i for i in range(spatial)]
    patches = rewrite.emit(node, "Transpose", [patches], {"perm": [0, *positions, 1, *offsets]})
    batch, channels, count = dims[0], dims[1], math.prod(out_dims)
    inside, outside = channels // groups * math.prod(kernel_dims), weight.shape[0] // groups
    parts: list[ir.Value] = []
    rows = rewrite.emit(node, "Reshape", [patches, rewrite.integers(batch, count, groups * inside)])
    for group in range(groups):
        part = rows
        if groups > 1:
            bounds = [
                rewrite.integers(group * inside),
                rewrite.integers((group + 1) * inside),
                rewrite.integers(2),
            ]
            part = rewrite.emit(node, "Slice", [rows, *bounds])
        chosen = slice(group * outside, (group + 1) * outside)
        matrix = np.ascontiguousarray(weight[chosen].reshape(outside, inside).T)
        parts.append(linear(rewrite, node, part, matrix, None if bias is None else bias[chosen], names))
    result = parts[0] if groups == 1 else rewrite.emit(node, "Concat", parts, {"axis": 2})
    result = rewrite.emit(node, "Transpose", [result], {"perm": [0, 2, 1]})
    target = rewrite.integers(*shape(node.outputs[0]))
    rewrite.replace(node.outputs[0], rewrite.emit(node, "Reshape", [result, target]))


def _padding(
    node: ir.Node,
    dims: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: list[int],
    dilations: list[int],
    out: tuple[int, ...],
) -> list[int]:
    """Zeros in front of each spatial axis."""
    mode = str(attribute(node, "auto_pad", "NOTSET"))
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        totals = [
            max(0, (o - 1) * s + d * (k - 1) + 1 - n)
            for n, k, s, d, o in zip(dims, kernel, strides, dilations, out, strict=True)
        ]
        return [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in totals]
    pads = attribute(node, "pads", [0] * (2 * len(dims)))
    return [0] * len(dims) if mode == "VALID" else [int(p) for p in pads[: len(dims)]]


def _pad(
    rewrite: Rewriter,
    node: ir.Node,
    x: ir.Value,
    begins: list[int],
    out: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: list[int],
    dilations: list[int],
) -> ir.Value:
    dims = shape(x)
    ends = [
        max(0, (o - 1) * s + d * (k - 1) + 1 - b - n)
        for n, b, o, k, s, d in zip(dims[2:], begins, out, kernel, strides, dilations, strict=True)
    ]
    if not any(begins) and not any(ends):
        return x
    return rewrite.emit(node, "Pad", [x, rewrite.integers(0, 0, *begins, 0, 0, *ends)])


def _bias(rewrite: Rewriter, node: ir.Node) -> None:
    """linear(x) + b with a constant vector b."""
    pairs = (node.inputs, reversed(node.inputs)) if node.op_type == "Add" else (node.inputs,)
    for value, constant in pairs:
        product = None if value is None else value.producer()
        data = array(constant)
        if product is None or product.domain != MACRO or product.op_type != "Linear" or data is None:
            continue
        assert value is not None
        width = shape(value)[-1]
        if (
            len(product.inputs) != 2
            or not single_use(value)
            or data.size != width
            or data.shape[-1:] != (width,)
        ):
            continue
        if data.ndim > len(shape(value)):
            continue
        vector = data.reshape(width) if node.op_type == "Add" else -data.reshape(width)
        operands = [*product.inputs, rewrite.constant(vector, PARTY0)]
        result = rewrite.macro(
            node, "Linear", operands, result_shape=shape(value), came_from=origin(product, node)
        )
        rewrite.replace(node.outputs[0], result)
        return
