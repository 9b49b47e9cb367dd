"""Data movement with public indices: views of the tensor stage."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from mpcc.compiler.frontend.lift.context import Lifting, Unsupported
from mpcc.ir.program import Value
from mpcc.passes.recognise.graph import (
    MAX_MADE,
    array,
    attribute,
    inputs,
    present_inputs,
    shape,
    visibility,
)


def reshape(lifting: Lifting, node: ir.Node) -> Value:
    """Reshape, Flatten, Squeeze, Unsqueeze: the inferred shape says it all."""
    return lifting.reshape(node, lifting.value(node.inputs[0]), shape(node.outputs[0]))


def transpose(lifting: Lifting, node: ir.Node) -> Value:
    x = lifting.value(node.inputs[0])
    rank = len(shape(node.outputs[0]))
    permutation = tuple(int(p) for p in attribute(node, "perm", list(reversed(range(rank)))))
    return (
        lifting.emit(node, "transpose", x, permutation=permutation)
        if permutation != tuple(range(rank))
        else x
    )


def expand(lifting: Lifting, node: ir.Node) -> Value:
    x, target = lifting.value(node.inputs[0]), shape(node.outputs[0])
    return x if x.type.shape == target else lifting.emit(node, "expand", x, shape=target)  # type: ignore[union-attr]


def tile(lifting: Lifting, node: ir.Node) -> Value:
    x, source, target = lifting.value(node.inputs[0]), shape(present_inputs(node)[0]), shape(node.outputs[0])
    repeats = [t // s for s, t in zip(source, target, strict=True)]
    split = lifting.reshape(node, x, [d for s in source for d in (1, s)])
    wide = lifting.emit(
        node, "expand", split, shape=tuple(d for r, s in zip(repeats, source, strict=True) for d in (r, s))
    )
    return lifting.reshape(node, wide, target)


def concat(lifting: Lifting, node: ir.Node) -> Value:
    values = [lifting.value(v) for v in present_inputs(node) if 0 not in shape(v)]
    axis = int(attribute(node, "axis")) % len(shape(node.outputs[0]))
    return values[0] if len(values) == 1 else lifting.emit(node, "concat", *values, axis=axis)


def cut(lifting: Lifting, node: ir.Node, value: Value, axis: int, start: int, stop: int) -> Value:
    """Elements start..stop of one axis."""
    dims: tuple[int, ...] = value.type.shape  # type: ignore[union-attr]
    return lifting.emit(
        node,
        "slice",
        value,
        starts=tuple(start if i == axis else 0 for i in range(len(dims))),
        stops=tuple(stop if i == axis else d for i, d in enumerate(dims)),
        steps=(1,) * len(dims),
    )


def split(lifting: Lifting, node: ir.Node) -> list[Value]:
    x = lifting.value(node.inputs[0])
    rank = len(shape(node.outputs[0]))
    axis = int(attribute(node, "axis", 0)) % rank
    values, start = [], 0
    for output in node.outputs:
        stop = start + shape(output)[axis]
        values.append(cut(lifting, node, x, axis, start, stop))
        start = stop
    return values


def slice_(lifting: Lifting, node: ir.Node) -> Value:
    source, *rest = inputs(node, 5)
    assert source is not None
    dims = shape(source)
    starts, stops, axes, steps = (array(v) for v in rest)
    if starts is None or stops is None or any(v is not None and array(v) is None for v in rest):
        raise Unsupported("the bounds of a slice depend on a private value", "slice with constant bounds")
    where = range(len(starts)) if axes is None else [int(a) % len(dims) for a in axes]
    parts = [(0, d, 1) for d in dims]
    for i, axis in enumerate(where):
        step = 1 if steps is None else int(steps[i])
        parts[axis] = slice(int(starts[i]), int(stops[i]), step).indices(dims[axis])
    if parts == [(0, d, 1) for d in dims]:
        return lifting.value(source)
    return lifting.emit(
        node,
        "slice",
        lifting.value(source),
        starts=tuple(p[0] for p in parts),
        stops=tuple(p[1] for p in parts),
        steps=tuple(p[2] for p in parts),
    )


def gather(lifting: Lifting, node: ir.Node) -> Value:
    """Public indices: take. Private indices into party 0's table: embedding."""
    source, index = present_inputs(node)
    dims = shape(source)
    axis = int(attribute(node, "axis", 0)) % len(dims)
    indices = array(index)
    if indices is None:
        return _embedding(lifting, node, source, index, axis)
    flat = [int(i) % dims[axis] for i in indices.reshape(-1)]
    taken = _take(lifting, node, lifting.value(source), axis, flat)
    return lifting.reshape(node, taken, shape(node.outputs[0]))


def _take(lifting: Lifting, node: ir.Node, value: Value, axis: int, flat: list[int]) -> Value:
    dims: tuple[int, ...] = value.type.shape  # type: ignore[union-attr]
    if flat == list(range(dims[axis])):
        return value
    if flat and flat == list(range(flat[0], flat[0] + len(flat))):
        return cut(lifting, node, value, axis, flat[0], flat[-1] + 1)
    return lifting.emit(node, "take", value, axis=axis, indices=tuple(flat))


def _embedding(lifting: Lifting, node: ir.Node, table: ir.Value, ids: ir.Value, axis: int) -> Value:
    if table.const_value is None:
        raise Unsupported(
            "it selects elements of a secret tensor at a private position", "select with constant positions"
        )
    if axis != 0 or len(shape(table)) != 2:
        raise Unsupported("a lookup with private ids needs a table of rank 2 and axis 0")
    if str(visibility(ids)) == "secret":
        raise Unsupported("the ids of a lookup are secret", "let the client provide the ids")
    return lifting.emit(node, "embedding", lifting.value(ids), lifting.value(table))


def gather_many(lifting: Lifting, node: ir.Node) -> Value:
    """GatherND and GatherElements with public indices: one take from the flattened tensor."""
    source, index = present_inputs(node)
    indices = array(index)
    if indices is None:
        raise Unsupported(
            "it selects elements of a secret tensor at a private position", "select with constant positions"
        )
    dims = shape(source)
    if math.prod(shape(node.outputs[0])) > MAX_MADE:
        raise Unsupported("it selects too many elements one by one")
    if node.op_type == "GatherElements":
        axis = int(attribute(node, "axis", 0)) % len(dims)
        where = [*np.ogrid[tuple(slice(size) for size in indices.shape)]]
        where[axis] = _positions(indices, dims[axis])
        picked = np.ravel_multi_index(np.broadcast_arrays(*where), dims)
    else:
        if int(attribute(node, "batch_dims", 0)) != 0:
            raise Unsupported("batch_dims is not supported")
        depth = indices.shape[-1]
        inner = math.prod(dims[depth:])
        where = [_positions(i, size) for i, size in zip(np.moveaxis(indices, -1, 0), dims, strict=False)]
        picked = np.ravel_multi_index(where, dims[:depth])[..., None] * inner + np.arange(inner)
    flat = lifting.reshape(node, lifting.value(source), [math.prod(dims)])
    taken = _take(lifting, node, flat, 0, [int(i) for i in picked.reshape(-1)])
    return lifting.reshape(node, taken, shape(node.outputs[0]))


def _positions(indices: np.ndarray, size: int) -> np.ndarray:
    """Along an axis; negative ones count from its end."""
    if np.any((indices < -size) | (indices >= size)):
        raise Unsupported(f"it selects a position outside of an axis of {size}")
    return np.where(indices < 0, indices + size, indices)


def pad(lifting: Lifting, node: ir.Node) -> Value:
    source, pads, fill, axes = inputs(node, 4)
    assert source is not None
    amounts = array(pads)
    number = np.zeros(()) if fill is None else array(fill)
    if str(attribute(node, "mode", "constant")) != "constant" or amounts is None or number is None:
        raise Unsupported("only padding with a constant by constant amounts is supported")
    value = lifting.value(source)
    chosen = array(axes)
    where = range(len(shape(source))) if chosen is None else [int(a) % len(shape(source)) for a in chosen]
    for i, axis in enumerate(where):
        before, after = int(amounts[i]), int(amounts[i + len(amounts) // 2])
        dims: tuple[int, ...] = value.type.shape  # type: ignore[union-attr]
        if before < 0 or after < 0:
            value = cut(lifting, node, value, axis, max(0, -before), dims[axis] - max(0, -after))
        before, after = max(0, before), max(0, after)
        parts = [value]
        for amount, front in ((before, True), (after, False)):
            if amount:
                border_dims = (*dims[:axis], amount, *dims[axis + 1 :])
                if math.prod(border_dims) > MAX_MADE:
                    raise Unsupported("it adds too much padding")
                wide = np.full(border_dims, number, np.float32)
                border = lifting.constant(wide, visibility(fill), "border")
                parts = [border, *parts] if front else [*parts, border]
        if len(parts) > 1:
            value = lifting.emit(node, "concat", *parts, axis=axis)
    return value
