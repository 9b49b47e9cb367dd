"""(x + c)^2 over its row sum: MPCFormer's 2Quad. One opening, then the reciprocal of a row."""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.softmax import QuadSoftmax
from mpcc.passes.lower.context import Context, Lowered, bits_for
from mpcc.passes.lower.products import SQUARE
from mpcc.passes.lower.softmax.masks import Mask
from mpcc.passes.lower.softmax.weights import divided, sums, weight_fraction


def lower_quad(
    context: Context, operation: Operation, form: QuadSoftmax, scores: Value, mask: Mask
) -> Lowered:
    raw = context.internal(operation.result, "scores")
    context.use(operation, form, raw.low, raw.high)
    context.rely(scores, raw.symmetric())
    total = _sums(context, operation, form, mask)
    # the error of a square is relative to its root, so that of a probability to the root of the sum
    fraction = context.formats.activation + max(0, -math.floor(math.log2(total.low) / 2))
    reach = Range(form.constant - raw.magnitude, form.constant + raw.magnitude)
    constant = context.public(np.asarray(form.constant), fraction)
    moved = context.emit("add", context.at_fraction(scores, fraction), constant, extent=reach)
    operands = [context.opened(moved, fraction, bits_for(reach, fraction))]
    factors: tuple[str, ...] = ("polynomial",)
    coefficients: tuple[tuple[int, ...], ...] = (SQUARE,)
    fractions: tuple[int, ...] = (2 * fraction,)
    public = mask.public
    if mask.keep is not None and public is None:
        operands.append(mask.opened())
        factors, coefficients, fractions = (*factors, "value"), (*coefficients, ()), (*fractions, 0)
    extent = Range(0.0, reach.magnitude**2)
    weights = context.emit(
        "product",
        *operands,
        factors=factors,
        coefficients=coefficients,
        fractions=fractions,
        extent=extent,
    )
    if public is not None:
        weights = context.emit("mul_public", weights, mask.kept(0), extent=extent)
    weights = context.at_fraction(weights, min(2 * fraction, weight_fraction(total.low)))
    return divided(context, operation, form, weights, mask, total)


def _sums(context: Context, operation: Operation, form: QuadSoftmax, mask: Mask) -> Range:
    """The sums of k squares, k (variance + (mean + c)^2), over the calibrated rows."""
    mean, variance, top = (
        context.internal(operation.result, key) for key in ("row_mean", "row_variance", "row_max")
    )
    low, high = mean.low + form.constant, mean.high + form.constant
    nearest = max(0.0, low, -high)
    smallest = mask.fewest() * (variance.low + nearest**2)
    largest = mask.length * (variance.high + max(-low, high) ** 2)
    return sums(max(smallest, max(0.0, top.low + form.constant) ** 2), largest)
