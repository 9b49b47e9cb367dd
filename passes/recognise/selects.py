"""Selection by a condition or a position that party 1 knows: products with 0 and 1 instead."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import (
    Rewriter,
    array,
    attribute,
    is_float,
    is_known_locally,
    operands,
    origin,
    shape,
    visibility,
)
from mpcc.passes.recognise.public_constants import MASK_FILL


def negated(rewrite: Rewriter, anchor: ir.Node, condition: ir.Value) -> ir.Value:
    data = array(condition)
    return rewrite.constant(~data) if data is not None else rewrite.emit(anchor, "Not", [condition])


def select_by_factor(rewrite: Rewriter, diagnostics: Diagnostics) -> None:
    """Where(c, a, b) with c known to party 1 or public: c * a + (1 - c) * b."""
    for node in list(rewrite.graph):
        if node.op_type != "Where" or visibility(node.outputs[0]) is not Visibility.SECRET:
            continue
        condition, yes, no = operands(node, 3)
        if not is_known_locally(condition) or not is_float(yes):
            continue
        names = origin(node)
        inverse = negated(rewrite, node, condition)
        terms: list[ir.Value] = []
        for choice, chosen in ((condition, yes), (inverse, no)):
            data = array(chosen)
            if data is not None and not np.any(data):
                continue
            if data is not None and np.any(np.abs(data) >= -MASK_FILL):
                diagnostics.add(
                    "MPC-F031",
                    "a fill value of this size outside of a softmax cannot be represented",
                    remedy="apply masks to attention scores only, or fill with 0",
                    where=", ".join(names),
                )
            factor = array(choice)
            weight = (
                rewrite.constant(factor.astype(np.float32))
                if factor is not None
                else rewrite.emit(node, "Cast", [choice], {"to": int(ir.DataType.FLOAT)}, came_from=names)
            )
            terms.append(rewrite.emit(node, "Mul", [chosen, weight], came_from=names))
        result = terms[0] if len(terms) == 1 else rewrite.emit(node, "Add", terms, came_from=names)
        if shape(result) != shape(node.outputs[0]):
            target = rewrite.integers(*shape(node.outputs[0]))
            result = rewrite.emit(node, "Expand", [result, target], came_from=names)
        rewrite.replace(node.outputs[0], result)


def gather_by_one_hot(rewrite: Rewriter) -> None:
    """Rows of a secret tensor at positions known to party 1: a product with one-hot rows that party 1 makes.

    Gather on any axis, and GatherND without batch dimensions.
    """
    for node in list(rewrite.graph):
        if node.op_type not in ("Gather", "GatherND") or node.domain != "" or len(node.inputs) != 2:
            continue
        data, index = operands(node, 2)
        if visibility(data) is not Visibility.SECRET or visibility(index) is not Visibility.PARTY1:
            continue
        if is_float(data) and not attribute(node, "batch_dims", 0):
            _one_hot_product(rewrite, node, data, index)


def _one_hot_product(rewrite: Rewriter, node: ir.Node, data: ir.Value, index: ir.Value) -> None:
    dims, axis = shape(data), 0
    if node.op_type == "Gather":
        axis = int(attribute(node, "axis", 0)) % len(dims)
        front = [axis, *(i for i in range(len(dims)) if i != axis)]
        data = rewrite.emit(node, "Transpose", [data], {"perm": front})
        index = rewrite.emit(node, "Reshape", [index, rewrite.integers(*shape(index), 1)])
    depth = shape(index)[-1]
    used, rest = shape(data)[:depth], shape(data)[depth:]
    sizes = rewrite.integers(*used)
    strides = rewrite.integers(*(math.prod(used[i + 1 :]) for i in range(depth)))
    index = rewrite.emit(node, "Cast", [index], {"to": int(ir.DataType.INT64)})
    wrapped = rewrite.emit(node, "Mod", [rewrite.emit(node, "Add", [index, sizes]), sizes])
    flat = rewrite.emit(
        node, "ReduceSum", [rewrite.emit(node, "Mul", [wrapped, strides]), rewrite.integers(-1)]
    )
    rows = rewrite.constant(np.arange(math.prod(used), dtype=np.int64))
    hit = rewrite.emit(node, "Equal", [flat, rows])
    one_hot = rewrite.emit(node, "Cast", [hit], {"to": int(ir.DataType.FLOAT)})
    positions = shape(index)[:-1]
    left = rewrite.emit(node, "Reshape", [one_hot, rewrite.integers(math.prod(positions), math.prod(used))])
    right = rewrite.emit(node, "Reshape", [data, rewrite.integers(math.prod(used), math.prod(rest))])
    product = rewrite.emit(node, "MatMul", [left, right])
    result = rewrite.emit(node, "Reshape", [product, rewrite.integers(*positions, *rest)])
    if axis:
        order = len(positions)
        back = [*range(order, order + axis), *range(order), *range(order + axis, order + len(rest))]
        result = rewrite.emit(node, "Transpose", [result], {"perm": back})
    rewrite.replace(node.outputs[0], result)
