"""Lowering of x^-1, x^-1/2 and x^1/2 for a positive share: what the recipe says computes it."""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.goldschmidt import GoldschmidtPower
from mpcc.passes.approximations.inverse import (
    SEGMENTS,
    InversePower,
    PowerInstance,
    PowerSegments,
    instance,
)
from mpcc.passes.approximations.powers import SegmentedPower
from mpcc.passes.lower.context import Context
from mpcc.passes.lower.goldschmidt import lower_goldschmidt
from mpcc.passes.lower.normalise import below_thresholds, scaled
from mpcc.passes.lower.products import known, multiply, open_for_product, relative_fraction, step_row

ROOM = 1.125  # how far beyond its range an argument may be: segments lose accuracy slowly there


def recipe_of(context: Context, operation: Operation) -> InversePower:
    """What the plan says about the operation, or segments."""
    recipe = context.plan.get(operation.result.name, SEGMENTS)
    if not isinstance(recipe, InversePower):
        raise TypeError(f"%{operation.result.name}: '{recipe.name}' computes no power")
    return recipe


def inverse_power(
    context: Context,
    operation: Operation,
    x: Value,
    exponent: float,
    extent: Range,
    recipe: InversePower,
    scale: float = 1.0,
) -> Value:
    """scale * x^exponent (-1, -1/2 or 1/2) for a share x > 0 whose real range is `extent`, computed as
    `recipe` says.

    x <= 0 gives a finite value. Raises MPC-P016 where the range is too wide for the results, MPC-P019 where
    Goldschmidt's iteration does not converge.
    """
    reach = Range(extent.low / ROOM, extent.high * ROOM)
    context.rely(x, reach)
    try:
        # an iteration is wrong beyond what it was proven for, where segments go on
        proven = extent if isinstance(recipe, PowerSegments) else reach
        power = instance(recipe, exponent, proven.low, proven.high)
    except MpccError as error:
        raise MpccError(error.code, error.message, remedy=error.remedy, where=context.place) from error
    context.use(operation, power, extent.low, extent.high)
    return _lowered(context, x, power, scale)


def _lowered(context: Context, x: Value, power: PowerInstance, scale: float) -> Value:
    if isinstance(power, SegmentedPower):
        return _segmented(context, x, power, scale)
    if isinstance(power, GoldschmidtPower):
        return lower_goldschmidt(context, x, power, scale)
    root = _lowered(context, x, power.root, math.sqrt(scale))
    fraction = relative_fraction(known(context, root))
    low, high = power.domain
    return multiply(context, root, root, Range(0.5 * scale / high, 2.0 * scale / low), (fraction, fraction))


def _segmented(context: Context, x: Value, power: SegmentedPower, scale: float) -> Value:
    """Compare with all thresholds, scale by the selected power to z in [1, 2^(1/steps)), a quadratic in z - 1
    times the selected output: 4 ticks.
    """
    below = below_thresholds(context, x, power.octaves)
    z = scaled(context, x, below, power.octaves, Range(0.0, 2.0), ROOM)
    one = context.public(np.ones(()), power.argument)
    u = context.emit("sub", context.at_fraction(z, power.argument), one, extent=Range(-1.0, 1.0))
    outputs = tuple(scale * o for o in power.octaves.outputs(power.exponent))
    table = power.table - math.ceil(math.log2(scale))
    return context.emit(
        "product",
        open_for_product(context, u, power.argument),
        below,
        factors=("polynomial", "bits"),
        coefficients=(power.polynomial, step_row(outputs, table)),
        fractions=(power.fraction, table),
        extent=Range(min(outputs) * 0.5, max(outputs) * 1.5),
    )
