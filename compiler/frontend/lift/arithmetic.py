"""Elementwise operations, reductions and products."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from mpcc.compiler.frontend.lift.context import Lifting, Unsupported
from mpcc.ir.program import Value
from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import (
    array,
    attribute,
    inputs,
    is_float,
    present_inputs,
    reduction_axes,
    scalar,
    shape,
)

# A clamp beyond this magnitude guards against overflow of float16 and changes no calibrated value.
NO_BOUND = 6e4

SIMPLE = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Neg": "negate",
    "Reciprocal": "reciprocal",
    "Sqrt": "sqrt",
    "Exp": "exp",
    "Relu": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Erf": "erf",
    "Softplus": "softplus",
    "MatMul": "matmul",
}


def simple(lifting: Lifting, node: ir.Node) -> Value:
    """One ONNX node, one operation."""
    if not all(is_float(v) for v in present_inputs(node)):
        raise Unsupported("arithmetic on secret integers", "let the client compute it from its own inputs")
    if node.op_type == "Div" and scalar(node.inputs[0]) == 1.0:
        return lifting.emit(node, "reciprocal", lifting.value(node.inputs[1]), final=True)
    if node.op_type == "Mul" and node.inputs[0] is node.inputs[1]:
        return lifting.emit(node, "square", lifting.value(node.inputs[0]), final=True)
    operands = [lifting.value(v) for v in node.inputs]
    return lifting.emit(node, SIMPLE[node.op_type], *operands, final=True)


def variadic(lifting: Lifting, node: ir.Node) -> Value:
    """Sum and Mean of several tensors."""
    values = [lifting.value(v) for v in node.inputs]
    total = values[0]
    for value in values[1:]:
        total = lifting.emit(node, "add", total, value)
    if node.op_type == "Mean":
        total = lifting.emit(node, "mul", total, lifting.constant(np.array(1.0 / len(values)), hint="share"))
    return total


def power(lifting: Lifting, node: ir.Node) -> Value:
    x, exponent = lifting.value(node.inputs[0]), scalar(node.inputs[1])
    if exponent is None:
        raise Unsupported("the exponent of Pow is not one constant number")
    if exponent == 1.0:
        return x
    if exponent in (0.5, -0.5, -1.0):
        kind = {0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal"}[exponent]
        return lifting.emit(node, kind, x, final=True)
    if exponent not in (2.0, 3.0, 4.0):
        raise Unsupported(
            f"the power {exponent:g} is not supported", "use the powers 2, 3, 4, 1/2, -1/2 or -1"
        )
    square = lifting.emit(node, "square", x, final=exponent == 2.0)
    if exponent == 2.0:
        return square
    return (
        lifting.emit(node, "mul", square, x, final=True)
        if exponent == 3.0
        else lifting.emit(node, "square", square)
    )


def reduction(lifting: Lifting, node: ir.Node) -> Value:
    """ReduceSum, ReduceMean, ReduceSumSquare, ReduceL2."""
    x, axes = lifting.value(node.inputs[0]), reduction_axes(node)
    if len(inputs(node, 2)) > 1 and inputs(node, 2)[1] is not None and array(inputs(node, 2)[1]) is None:
        raise Unsupported("the axes of a reduction are not constant")
    if node.op_type in ("ReduceSumSquare", "ReduceL2"):
        x = lifting.emit(node, "square", x)
    if not axes:
        return x
    kind = "reduce_mean" if node.op_type == "ReduceMean" else "reduce_sum"
    total = lifting.emit(node, kind, x, axes=axes, keepdims=bool(attribute(node, "keepdims", 1)), final=True)
    return lifting.emit(node, "sqrt", total) if node.op_type == "ReduceL2" else total


def average_pool(lifting: Lifting, node: ir.Node) -> Value:
    x = lifting.value(node.inputs[0])
    axes = tuple(range(2, len(shape(node.outputs[0]))))
    return lifting.emit(node, "reduce_mean", x, axes=axes, keepdims=True, final=True)


def clip(lifting: Lifting, node: ir.Node) -> Value:
    """By relu: max(x, l) = l + relu(x - l)."""
    x, low, high = inputs(node, 3)
    value = lifting.value(x)
    for bound, lower in ((low, True), (high, False)):
        if bound is None:
            continue
        number = scalar(bound)
        if number is None:
            raise Unsupported("the bound is not a constant number", "clamp with constant bounds")
        if abs(number) < NO_BOUND:
            value = _bounded(lifting, node, value, number, lower)
    return value


def extremum(lifting: Lifting, node: ir.Node) -> Value:
    """Max and Min of several tensors: max(x, y) = y + relu(x - y), min(x, y) = y - relu(y - x)."""
    if not all(is_float(v) for v in present_inputs(node)):
        raise Unsupported("it compares secret integers", "compare them at the client")
    lower = node.op_type == "Max"
    x, *others = sorted(present_inputs(node), key=lambda v: v.const_value is not None)
    value = lifting.value(x)
    for other in others:
        number = scalar(other)
        if number is None:
            y = lifting.value(other)
            difference = lifting.emit(node, "sub", *((value, y) if lower else (y, value)))
            over = lifting.emit(node, "relu", difference)
            value = lifting.emit(node, "add" if lower else "sub", y, over)
        elif abs(number) < NO_BOUND:
            value = _bounded(lifting, node, value, number, lower)
    return lifting.reshape(node, value, shape(node.outputs[0]))


def _bounded(lifting: Lifting, node: ir.Node, value: Value, bound: float, lower: bool) -> Value:
    if not lower:
        value = lifting.emit(node, "negate", value)
        bound = -bound
    if bound == 0.0:
        value = lifting.emit(node, "relu", value)
    else:
        limit = lifting.constant(np.array(bound), hint="bound")
        value = lifting.emit(
            node, "add", lifting.emit(node, "relu", lifting.emit(node, "sub", value, limit)), limit
        )
    return value if lower else lifting.emit(node, "negate", value)


def leaky_relu(lifting: Lifting, node: ir.Node) -> Value:
    """a x + (1 - a) relu(x)."""
    x, slope = lifting.value(node.inputs[0]), float(attribute(node, "alpha", 0.01))
    linear = lifting.emit(node, "mul", x, lifting.constant(np.array(slope), hint="slope"))
    rest = lifting.constant(np.array(1.0 - slope), hint="slope")
    return lifting.emit(node, "add", linear, lifting.emit(node, "mul", lifting.emit(node, "relu", x), rest))


def mish(lifting: Lifting, node: ir.Node) -> Value:
    """x tanh(softplus(x))."""
    x = lifting.value(node.inputs[0])
    bounded = lifting.emit(node, "tanh", lifting.emit(node, "softplus", x))
    return lifting.emit(node, "mul", x, bounded, final=True)


def absolute(lifting: Lifting, node: ir.Node) -> Value:
    """2 relu(x) - x."""
    x = lifting.value(node.inputs[0])
    positive = lifting.emit(node, "relu", x)
    return lifting.emit(node, "sub", lifting.emit(node, "add", positive, positive), x)


def batch_normalization(lifting: Lifting, node: ir.Node) -> Value:
    """In evaluation mode: one product and one sum with party 0's vectors."""
    x, *parameters = inputs(node, 5)
    gain, shift, mean, variance = (array(v) for v in parameters)
    if (
        gain is None
        or shift is None
        or mean is None
        or variance is None
        or attribute(node, "training_mode", 0)
    ):
        raise Unsupported(
            "batch normalisation is supported in evaluation mode only", "export the model with eval()"
        )
    scale = gain / np.sqrt(variance + float(attribute(node, "epsilon", 1e-5)))
    column = (-1,) + (1,) * (len(shape(node.outputs[0])) - 2)
    factor = lifting.constant(scale.reshape(column), Visibility.PARTY0, "batch_norm_scale")
    offset = lifting.constant((shift - mean * scale).reshape(column), Visibility.PARTY0, "batch_norm_shift")
    return lifting.emit(node, "add", lifting.emit(node, "mul", lifting.value(x), factor), offset)
