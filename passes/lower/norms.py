"""Lowering of normalisations: exact centring, one square, a segmented inverse square root, one product.

Centring multiplies by n instead of dividing: n x - sum(x) is exact, and normalisation does not see the
factor. Gain and bias are left to the consumer, which folds them into its weights where it can.
"""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.lower.context import Context, Lowered, lowers, ring_of
from mpcc.passes.lower.powers import inverse_power, recipe_of
from mpcc.passes.lower.products import (
    known,
    multiply,
    open_for_product,
    relative_fraction,
    square,
    with_range,
)

LOW_ROOM = 4.0  # below the smallest mean square: segments cost bits a row only
MAX_EXTRA_BITS = 8  # fraction bits given to a normalisation's argument beyond the activation's


@lowers("layer_norm")
def lower_layer_norm(context: Context, operation: Operation) -> Lowered:
    x = context.plain_share(operation.operands[0])
    shape = ring_of(x).shape
    count, last = shape[-1], len(shape) - 1
    total = context.emit("sum", x, axes=(last,), keepdims=True)
    scaled = context.emit("scale", x, factor=count, fraction=0)
    centred = context.emit("sub", scaled, total)
    power = int(math.log2(count))
    ratio = count / 2**power
    bound = context.internal(operation.result, "centred").magnitude * ratio
    centred = context.emit(
        "reinterpret", centred, fraction=ring_of(centred).fraction + power, extent=Range(-bound, bound)
    )
    epsilon = float(operation.attributes["epsilon"])  # type: ignore[arg-type]
    variance = context.internal(operation.result, "variance")
    normalised = _normalise(
        context, operation, centred, variance, epsilon, ratio**2 * count, math.sqrt(count)
    )
    gain, bias = (_parameter(context, operation, i) for i in (1, 2))
    return Lowered(normalised, gain=gain, bias=bias)


@lowers("rms_norm")
def lower_rms_norm(context: Context, operation: Operation) -> Lowered:
    x = context.plain_share(operation.operands[0])
    count = ring_of(x).shape[-1]
    epsilon = float(operation.attributes["epsilon"])  # type: ignore[arg-type]
    mean_square = context.internal(operation.result, "mean_square")
    x = with_range(context, x, context.range_of(operation.operands[0]))
    normalised = _normalise(context, operation, x, mean_square, epsilon, float(count), math.sqrt(count))
    return Lowered(normalised, gain=_parameter(context, operation, 1))


@lowers("l2_normalize")
def lower_l2_normalize(context: Context, operation: Operation) -> Lowered:
    x = context.plain_share(operation.operands[0])
    squares = context.internal(operation.result, "sum_square")
    x = with_range(context, x, context.range_of(operation.operands[0]))
    return Lowered(_normalise(context, operation, x, squares, 0.0, 1.0, 1.0))


def _normalise(
    context: Context,
    operation: Operation,
    x: Value,
    mean_square: Range,
    epsilon: float,
    factor: float,
    output_scale: float,
) -> Value:
    """x * output_scale / sqrt(sum(x^2) + factor * epsilon); sum(x^2) is `factor` times `mean_square`."""
    last = len(ring_of(x).shape) - 1
    bounds = _sum_bounds(context, mean_square, epsilon, factor)
    # at its full scale: sqrt(n) times the root mean square
    smallest = math.sqrt(
        max((mean_square.low + epsilon) * (factor if output_scale == 1.0 else 1.0), bounds.low / factor)
    )
    activation = context.formats.activation
    fraction = activation + min(MAX_EXTRA_BITS, max(0, math.ceil(-math.log2(smallest))))
    fraction = min(ring_of(x).fraction, fraction)
    context.rely(x, known(context, x).symmetric())
    opened = open_for_product(context, x, fraction)
    total = context.emit("sum", square(context, opened), axes=(last,), keepdims=True, extent=bounds)
    if epsilon:
        constant = context.public(np.asarray(factor * epsilon), ring_of(total).fraction)
        total = context.emit("add", total, constant, extent=bounds)
    root = inverse_power(context, operation, total, -0.5, bounds, recipe_of(context, operation), output_scale)
    extent = ring_of(root).range
    assert extent is not None
    # without gain and bias: |y| <= sqrt(n), and no more than the range over the smallest deviation
    bound = min(output_scale, known(context, x).magnitude * extent.high)
    fractions = (fraction, relative_fraction(extent))
    normalised = multiply(context, x, root, Range(-bound, bound), fractions)
    context.reliances.proven.add(normalised)
    return normalised


def _sum_bounds(context: Context, mean_square: Range, epsilon: float, factor: float) -> Range:
    """Range of factor * (mean square + epsilon). Raises MPC-P012."""
    low, high = factor * (mean_square.low / LOW_ROOM + epsilon), factor * (mean_square.high + epsilon)
    if low <= 0:
        raise MpccError(
            "MPC-P012",
            "a normalisation met nothing but zeros",
            where=context.place,
            remedy="calibrate with representative inputs",
        )
    return Range(low, high)


def _parameter(context: Context, operation: Operation, index: int) -> np.ndarray | None:
    if len(operation.operands) <= index:
        return None
    array = context.tensor_constant(operation.operands[index])
    assert array is not None
    return np.asarray(array, dtype=np.float64)
