"""Lowering of reciprocal, inverse square root, square root and division."""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range, Sharing
from mpcc.passes.approximations.inverse import POWERS
from mpcc.passes.approximations.lookup import Lookup
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.lower.activations import by_approximation
from mpcc.passes.lower.context import Context, Lowered, lowers, ring_of
from mpcc.passes.lower.powers import inverse_power, recipe_of
from mpcc.passes.lower.products import (
    WIDE_BITS,
    known,
    multiply,
    product_fraction,
    relative_fraction,
    relied_on,
    times_constant,
)

FEWEST_UNITS = 8.0  # of the last place, in the smallest argument of a power


@lowers(*POWERS)
def lower_power(context: Context, operation: Operation) -> Lowered:
    """By a recipe for powers, or as any function of one variable over a range of few magnitudes."""
    extent = positive(context, operation.operands[0])
    planned = context.plan.get(operation.result.name)
    if isinstance(planned, Piecewise | Lookup):
        return Lowered(by_approximation(context, operation, planned))
    x, exponent = _fine(context, operation.operands[0], extent), POWERS[operation.kind]
    return Lowered(inverse_power(context, operation, x, exponent, extent, recipe_of(context, operation)))


@lowers("div")
def lower_div(context: Context, operation: Operation) -> Lowered:
    a, b = operation.operands
    extent = context.range_of(operation.result)
    divisor, dividend = context.tensor_constant(b), context.tensor_constant(a)
    if divisor is not None and np.all(divisor):
        x = context.plain_share(a)
        return Lowered(times_constant(context, x, 1.0 / divisor, context.visibility(b), extent))
    recipe, divisors = recipe_of(context, operation), positive(context, b)
    inverse = inverse_power(context, operation, _fine(context, b, divisors), -1.0, divisors, recipe)
    fraction = relative_fraction(known(context, inverse))
    if dividend is not None:
        narrow = context.at_fraction(inverse, fraction)
        return Lowered(times_constant(context, narrow, dividend, context.visibility(a), extent))
    x = relied_on(context, context.plain_share(a))
    # the error of the dividend is divided, too
    small = max(0, -math.floor(math.log2(context.range_of(b).low)))
    room = WIDE_BITS - fraction - max(0, math.ceil(math.log2(extent.magnitude + 1)))
    wanted = product_fraction(context, x)
    finer = max(wanted, min(ring_of(x).fraction, wanted + small, room))
    return Lowered(multiply(context, x, inverse, extent, (finer, fraction)))


def _fine(context: Context, value: Value, extent: Range) -> Value:
    """The share of a power's argument. Raises MPC-P016 where the smallest ones are lost in its rounding."""
    share = context.plain_share(value)
    units = extent.low * context.formats.safety * 2.0 ** ring_of(share).fraction
    if ring_of(share).sharing is Sharing.SHARE and units < FEWEST_UNITS:
        raise MpccError(
            "MPC-P016",
            f"a power of values from {extent.low * context.formats.safety:.3g}, which have "
            f"{ring_of(share).fraction} fraction bits, would be off by {1 / units:.1g} of itself",
            where=context.place,
            remedy="scale the argument up in the model, or add an epsilon to it",
        )
    return share


def positive(context: Context, value: Value) -> Range:
    """The range of an argument that must be positive. Raises MPC-P012 when it reaches 0 or below."""
    extent = context.range_of(value)
    if extent.low <= 0:
        raise MpccError(
            "MPC-P012",
            f"%{value.name} reaches {extent.low:g}; its reciprocal or square root needs positive values",
            where=context.place,
            remedy="add the model's epsilon inside the function, or calibrate with representative inputs",
        )
    return extent
