"""Layer norm, RMS norm and L2 normalisation, as one node or spelled out in any of the exporters' ways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mpcc.passes.recognise.graph import (
    MAX_MADE,
    Rewriter,
    array,
    attribute,
    inputs,
    origin,
    producer,
    reduction_axes,
    remove_dead,
    scalar,
    shape,
    single_use,
    visibility,
)


def recognise_norms(rewrite: Rewriter) -> None:
    """Rewrite to mpcc.LayerNorm, mpcc.RmsNorm and mpcc.L2Normalize over the last axis."""
    for node in list(rewrite.graph):
        if node.op_type in ("LayerNormalization", "RMSNormalization"):
            _single_node(rewrite, node)
        elif node.op_type == "LpNormalization" and int(attribute(node, "p", 2)) == 2:
            assert node.inputs[0] is not None
            _normalize(rewrite, node, node.inputs[0], int(attribute(node, "axis", -1)), 1e-12)
        elif node.op_type in ("Mul", "Div"):
            _decomposed(rewrite, node)
    for node in list(rewrite.graph):
        if node.op_type in ("Mul", "Add"):
            _absorb_affine(rewrite, node)
    remove_dead(rewrite.graph)


def _single_node(rewrite: Rewriter, node: ir.Node) -> None:
    x, gain, bias = inputs(node, 3)
    assert x is not None
    dims = shape(x)
    axis = int(attribute(node, "axis", -1)) % len(dims)
    width = int(np.prod(dims[axis:]))
    parameters: list[ir.Value] = []
    for value in (gain, bias):
        if value is None:
            continue
        data = array(value)
        if data is None or np.broadcast_shapes(data.shape, dims[axis:]) != dims[axis:]:
            return
        if width > MAX_MADE and data.shape != (width,):
            return
        full = np.broadcast_to(data, dims[axis:]).reshape(width)
        parameters.append(
            value if data.shape == (width,) else rewrite.constant(full, value.meta["visibility"])
        )
    if node.op_type == "LayerNormalization":
        _moments(rewrite, node, x, axis)
    kind = "LayerNorm" if node.op_type == "LayerNormalization" else "RmsNorm"
    flat = x
    if axis != len(dims) - 1:
        flat = rewrite.emit(node, "Reshape", [x, rewrite.integers(*dims[:axis], width)])
    attributes = {"epsilon": float(attribute(node, "epsilon", 1e-5))}
    result = rewrite.macro(
        node, kind, [flat, *parameters], attributes, result_shape=shape(flat), came_from=origin(node)
    )
    if flat is not x:
        result = rewrite.emit(node, "Reshape", [result, rewrite.integers(*dims)])
    rewrite.replace(node.outputs[0], result)


def _moments(rewrite: Rewriter, node: ir.Node, x: ir.Value, axis: int) -> None:
    """The mean and the inverse standard deviation, where the model uses these outputs of a layer norm."""
    used = [v for v in node.outputs[1:] if v.uses() or v.is_graph_output()]
    if not used:
        return
    axes = range(axis, len(shape(x)))
    mean = _mean(rewrite, node, x, axes)
    centred = rewrite.emit(node, "Sub", [x, mean])
    variance = _mean(rewrite, node, rewrite.emit(node, "Mul", [centred, centred]), axes)
    epsilon, power = (np.array(n, np.float32) for n in (attribute(node, "epsilon", 1e-5), -0.5))
    shifted = rewrite.emit(node, "Add", [variance, rewrite.constant(epsilon)])
    inverse = rewrite.emit(node, "Pow", [shifted, rewrite.constant(power)])
    for output, moment in zip(node.outputs[1:], (mean, inverse), strict=False):
        rewrite.replace(output, moment)


def _mean(rewrite: Rewriter, node: ir.Node, x: ir.Value, axes: Iterable[int]) -> ir.Value:
    if rewrite.opset < 18:
        return rewrite.emit(node, "ReduceMean", [x], {"axes": list(axes)})
    return rewrite.emit(node, "ReduceMean", [x, rewrite.integers(*axes)])


@dataclass(frozen=True)
class _Root:
    """sqrt(argument) with the nodes it was spelled with; `factor / sqrt` when inverted."""

    argument: ir.Value
    nodes: tuple[ir.Node, ...]


def _square_root(value: ir.Value | None) -> _Root | None:
    node = producer(value, "Sqrt", "Pow", "Expand", "Reciprocal")
    if node is None or node.inputs[0] is None:
        return None
    if node.op_type == "Sqrt" or (node.op_type == "Pow" and scalar(node.inputs[1]) == 0.5):
        return _Root(node.inputs[0], (node,))
    if node.op_type == "Reciprocal":
        inner = _inverse_square_root(node.inputs[0])
        return None if inner is None else _Root(inner.argument, (node, *inner.nodes))
    return None


def _inverse_square_root(value: ir.Value | None) -> _Root | None:
    node = producer(value, "Reciprocal", "Div", "Pow", "Sqrt")
    if node is None or node.inputs[0] is None:
        return None
    if node.op_type == "Pow" and scalar(node.inputs[1]) == -0.5:
        return _Root(node.inputs[0], (node,))
    if node.op_type == "Sqrt":
        inner = producer(node.inputs[0], "Reciprocal")
        return None if inner is None or inner.inputs[0] is None else _Root(inner.inputs[0], (node, inner))
    if node.op_type == "Reciprocal":
        root = _square_root(node.inputs[0])
    elif node.op_type == "Div" and scalar(node.inputs[0]) == 1.0:
        root = _square_root(node.inputs[1])
    else:
        return None
    return None if root is None else _Root(root.argument, (node, *root.nodes))


@dataclass(frozen=True)
class _Reduced:
    """Sum or mean of the squares of `base` over one axis, with the dimension kept."""

    base: ir.Value
    axis: int
    mean: bool
    nodes: tuple[ir.Node, ...]


def _squares(value: ir.Value | None) -> _Reduced | None:
    """mean or sum of squares, keepdims, one axis."""
    node = producer(value, "ReduceMean", "ReduceSum", "ReduceSumSquare", "Mul")
    if node is None or node.inputs[0] is None:
        return None
    if node.op_type == "Mul":  # a sum divided by the width
        for total, other in (node.inputs, reversed(node.inputs)):
            inner, number = _squares(total), scalar(other)
            if inner is None or inner.mean or number is None:
                continue
            if abs(number * shape(inner.base)[inner.axis] - 1.0) < 1e-6:
                return _Reduced(inner.base, inner.axis, True, (node, *inner.nodes))
        return None
    axes = reduction_axes(node)
    if len(axes) != 1 or not attribute(node, "keepdims", 1):
        return None
    if node.op_type == "ReduceSumSquare":
        return _Reduced(node.inputs[0], axes[0], False, (node,))
    square = producer(node.inputs[0], "Pow", "Mul")
    if square is None or square.inputs[0] is None:
        return None
    is_square = (
        scalar(square.inputs[1]) == 2.0 if square.op_type == "Pow" else square.inputs[0] is square.inputs[1]
    )
    mean = node.op_type == "ReduceMean"
    return _Reduced(square.inputs[0], axes[0], mean, (node, square)) if is_square else None


def _centred(value: ir.Value | None, axis: int) -> tuple[ir.Value, tuple[ir.Node, ...]] | None:
    """m when the value is m - mean(m) over `axis`."""
    node = producer(value, "Sub")
    if node is None or node.inputs[0] is None:
        return None
    mean = producer(node.inputs[1], "ReduceMean")
    if mean is None or mean.inputs[0] is not node.inputs[0] or reduction_axes(mean) != (axis,):
        return None
    return (node.inputs[0], (node, mean)) if attribute(mean, "keepdims", 1) else None


def _decomposed(rewrite: Rewriter, node: ir.Node) -> None:
    for x, other in (node.inputs, reversed(node.inputs)) if node.op_type == "Mul" else (node.inputs,):
        if x is None:
            continue
        root = _inverse_square_root(other) if node.op_type == "Mul" else _square_root(other)
        if root is not None and _root_of_squares(rewrite, node, x, root):
            return
        if node.op_type == "Div" and _divided_by_norm(rewrite, node, x, other):
            return


def _root_of_squares(rewrite: Rewriter, node: ir.Node, x: ir.Value, root: _Root) -> bool:
    """x / sqrt(mean(y^2) + epsilon): layer norm when x and y are centred, RMS norm when they are the same."""
    epsilon, reduced, epsilon_value = 0.0, _squares(root.argument), None
    addition = producer(root.argument, "Add")
    if addition is not None:
        for value, constant in (addition.inputs, reversed(addition.inputs)):
            number = scalar(constant)
            if number is not None:
                epsilon, reduced, epsilon_value = number, _squares(value), constant
    if reduced is None or epsilon < 0 or reduced.axis != len(shape(x)) - 1:
        return False
    names = origin(*reduced.nodes, addition, *root.nodes, node)
    width = shape(x)[-1]
    base, centred = _centred(x, reduced.axis), _centred(reduced.base, reduced.axis)
    if base is not None and centred is not None and base[0] is centred[0] and reduced.mean:
        names = (*origin(*base[1], *centred[1]), *names)
        result = rewrite.macro(
            node, "LayerNorm", [base[0]], {"epsilon": epsilon}, result_shape=shape(x), came_from=names
        )
    elif reduced.base is x and not reduced.mean and epsilon == 0.0:
        _normalize(rewrite, node, x, -1, 1e-12, names)
        return True
    elif reduced.base is x:
        eps = epsilon if reduced.mean else epsilon / width
        result = rewrite.macro(node, "RmsNorm", [x], {"epsilon": eps}, result_shape=shape(x), came_from=names)
        if not reduced.mean:
            scale = rewrite.constant(np.array(width**-0.5, dtype=np.float32))
            result = rewrite.emit(node, "Mul", [result, scale], came_from=names)
    else:
        return False
    rewrite.publish(epsilon_value, "epsilon of a norm")
    rewrite.replace(node.outputs[0], result)
    return True


def _divided_by_norm(rewrite: Rewriter, node: ir.Node, x: ir.Value, divisor: ir.Value | None) -> bool:
    """x / max(||x||, epsilon), the norm possibly expanded back to x's shape."""
    nodes: list[ir.Node] = []
    epsilon = 0.0
    value = divisor
    while (step := producer(value, "Expand", "Clip", "Max")) is not None:
        if step.op_type != "Expand":
            bounds = [scalar(v) for v in step.inputs[1:] if v is not None]
            if len(bounds) != 1 or bounds[0] is None or bounds[0] < 0:
                return False
            epsilon = max(epsilon, bounds[0])
            rewrite.publish(next(v for v in step.inputs[1:] if v is not None), "epsilon of a norm")
        nodes.append(step)
        value = step.inputs[0]
    norm = producer(value, "ReduceL2")
    if norm is not None:
        axes = reduction_axes(norm)
        if norm.inputs[0] is not x or len(axes) != 1 or not attribute(norm, "keepdims", 1):
            return False
        axis, nodes = axes[0], [norm, *nodes]
    else:
        root = _square_root(value)
        reduced = None if root is None else _squares(root.argument)
        if root is None or reduced is None or reduced.base is not x or reduced.mean:
            return False
        axis, nodes = reduced.axis, [*reduced.nodes, *root.nodes, *nodes]
    _normalize(rewrite, node, x, axis, max(epsilon, 1e-12), origin(*nodes, node))
    return True


def _normalize(
    rewrite: Rewriter, node: ir.Node, x: ir.Value, axis: int, epsilon: float, names: tuple[str, ...] = ()
) -> None:
    rank = len(shape(x))
    axis %= rank
    swap = [*range(axis), rank - 1, *range(axis + 1, rank - 1), axis] if axis != rank - 1 else None
    turned = x if swap is None else rewrite.emit(node, "Transpose", [x], {"perm": swap})
    result = rewrite.macro(
        node,
        "L2Normalize",
        [turned],
        {"epsilon": epsilon},
        result_shape=shape(turned),
        came_from=names or origin(node),
    )
    if swap is not None:
        result = rewrite.emit(node, "Transpose", [result], {"perm": swap})
    rewrite.replace(node.outputs[0], result)


def _absorb_affine(rewrite: Rewriter, node: ir.Node) -> None:
    """norm(x) * gain and norm(x) + bias with constant vectors become the norm's own parameters."""
    for value, constant in (node.inputs, reversed(node.inputs)):
        norm = producer(value, "LayerNorm", "RmsNorm")
        if norm is None or value is None or constant is None:
            continue
        width, data = shape(value)[-1], array(constant)
        if data is None or not _is_vector(data, width, len(shape(value))):
            continue
        is_gain = node.op_type == "Mul"
        takes = len(norm.inputs) == 1 if is_gain else (norm.op_type == "LayerNorm" and len(norm.inputs) == 2)
        # Parallel branches may share one core; each then gets a norm of its own.
        if not takes or not (single_use(value) or (is_gain and _only_gains(value))):
            continue
        vector = (
            constant
            if data.shape == (width,)
            else rewrite.constant(data.reshape(width), visibility(constant))
        )
        attributes = {"epsilon": float(attribute(norm, "epsilon"))}
        names = origin(norm, node)
        operands = [*norm.inputs, vector]
        result = rewrite.macro(
            node, norm.op_type, operands, attributes, result_shape=shape(value), came_from=names
        )
        rewrite.replace(node.outputs[0], result)
        return


def _is_vector(data: np.ndarray | None, width: int, rank: int) -> bool:
    return data is not None and data.shape[-1:] == (width,) and data.size == width and data.ndim <= rank


def _only_gains(value: ir.Value) -> bool:
    """Whether all that reads a norm's core are products with constant vectors."""
    width, rank = shape(value)[-1], len(shape(value))
    users = [use.node for use in value.uses()]
    others = [
        next((v for v in user.inputs if v is not value), None) for user in users if user.op_type == "Mul"
    ]
    vectors = all(_is_vector(array(v), width, rank) for v in others)
    return len(others) == len(users) and vectors and not value.is_graph_output()
