"""Float constants that the graph's structure makes public, each with the reason; every other float stays
party 0's.

Floats are weights unless proven otherwise by the part they play: exponents, mask fill values, constants in
arithmetic on the client's integers, scales that are a power of a dimension, and rotary tables.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import (
    VISIBILITY,
    Rewriter,
    array,
    has_static_shape,
    is_float,
    is_known_locally,
    join,
    producer,
    scalar,
    shape,
    visibility,
)

# An additive attention mask holds zeros and values at or below this.
MASK_FILL = -1e4


def is_mask(data: np.ndarray) -> bool:
    """Whether an array is an additive attention mask: zeros and large negative values only."""
    return bool(np.all((data == 0) | (data <= MASK_FILL)) and np.any(data <= MASK_FILL))


def declassify(rewrite: Rewriter) -> None:
    """Mark structural constants public and label every computed value."""
    integral = {id(value) for value in rewrite.graph.inputs if not is_float(value)}
    for node in rewrite.graph:
        for index, value in enumerate(node.inputs):
            if value is None or value.const_value is None or visibility(value) is not Visibility.PARTY0:
                continue
            reason = next(
                (r for rule in _RULES if (r := rule(node, index, value, integral)) is not None), None
            )
            if reason is not None:
                value.meta[VISIBILITY] = Visibility.PUBLIC
                rewrite.publish(value, reason)
        computed = [v for v in node.inputs if v is not None and v.const_value is None]
        for value in node.outputs:
            value.meta[VISIBILITY] = join(node.inputs)
            if computed and all(id(v) in integral for v in computed):
                integral.add(id(value))


def _others(node: ir.Node, index: int) -> list[ir.Value]:
    return [v for i, v in enumerate(node.inputs) if i != index and v is not None and v.const_value is None]


def _exponent(node: ir.Node, index: int, value: ir.Value, integral: set[int]) -> str | None:
    return "exponent" if node.op_type == "Pow" and index == 1 and scalar(value) is not None else None


def _bound(node: ir.Node, index: int, value: ir.Value, integral: set[int]) -> str | None:
    is_bound = node.op_type in ("Max", "Min") or (node.op_type == "Clip" and index > 0)
    return "bound of a clamp" if is_bound and scalar(value) is not None else None


def _mask_fill(node: ir.Node, index: int, value: ir.Value, integral: set[int]) -> str | None:
    data = array(value)
    assert data is not None
    if node.op_type == "Where" and index > 0 and data.size == 1 and is_known_locally(node.inputs[0]):
        return "value of a mask"
    if node.op_type in ("Add", "Sub", "Where", "Min", "Max") and is_mask(data):
        return "attention mask"
    return None


def _client_arithmetic(node: ir.Node, index: int, value: ir.Value, integral: set[int]) -> str | None:
    others = _others(node, index)
    derived = bool(others) and all(id(v) in integral and is_known_locally(v) for v in others)
    if not derived:
        return None
    if scalar(value) is not None:
        return "constant in arithmetic on the client's integers"
    if node.op_type in ("Mul", "MatMul", "Einsum") and _is_frequency_vector(value):
        return "rotary frequencies"
    return None


def _is_frequency_vector(value: ir.Value) -> bool:
    """1, r, r^2, ...: the rotary embedding's theta^(-2i/d)."""
    data = array(value)
    assert data is not None
    flat = data.reshape(-1).astype(np.float64)
    if flat.size < 2 or abs(flat[0] - 1.0) > 1e-6 or np.any(flat <= 0):
        return False
    ratios = flat[1:] / flat[:-1]
    return bool(np.allclose(ratios, ratios[0], rtol=1e-4) and ratios[0] < 1)


def _scale(node: ir.Node, index: int, value: ir.Value, integral: set[int]) -> str | None:
    """d^(1/2), d^(-1/2), d^(1/4), d^(-1/4) for a dimension d of what it multiplies."""
    number = scalar(value)
    others = _others(node, index)
    if (
        node.op_type not in ("Mul", "Div")
        or number is None
        or len(others) != 1
        or not has_static_shape(others[0])
    ):
        return None
    dims = set(shape(others[0])[-2:])
    product = producer(others[0], "MatMul")
    if product is not None and product.inputs[0] is not None:
        dims.add(shape(product.inputs[0])[-1])
    for d in dims:
        for power in (0.5, -0.5, 0.25, -0.25):
            if d > 1 and abs(number - d**power) <= 1e-6 * d**power:
                return f"scale {d}^{power:g}"
    return None


def _rotary(node: ir.Node, index: int, value: ir.Value, integral: set[int]) -> str | None:
    """Half of a rotary table: x * A + y * B with A^2 + B^2 = 1 everywhere."""
    if node.op_type in ("RotaryEmbedding",) and index in (1, 2):
        return "rotary table" if _squares_to_one(node.inputs[1], node.inputs[2]) else None
    if node.op_type != "Mul":
        return None
    for use in node.outputs[0].uses():
        if use.node.op_type not in ("Add", "Sub"):
            continue
        partner = producer(use.node.inputs[1 - use.idx], "Mul")
        if partner is not None and any(_squares_to_one(value, other) for other in partner.inputs):
            return "rotary table"
    return None


def _squares_to_one(a: ir.Value | None, b: ir.Value | None) -> bool:
    x, y = array(a), array(b)
    if x is None or y is None or x.shape != y.shape or x.size < 2:
        return False
    return bool(
        np.allclose(np.square(x.astype(np.float64)) + np.square(y.astype(np.float64)), 1.0, atol=1e-4)
    )


_RULES: tuple[Callable[[ir.Node, int, ir.Value, set[int]], str | None], ...] = (
    _exponent,
    _bound,
    _mask_fill,
    _client_arithmetic,
    _scale,
    _rotary,
)
