"""From the weights of a row's positions to its probabilities: sum, reciprocal, product; and empty rows."""

from __future__ import annotations

import math

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.softmax import SoftmaxForm
from mpcc.passes.lower.context import Context, Lowered, ring_of
from mpcc.passes.lower.powers import inverse_power
from mpcc.passes.lower.products import known, multiply, relative_fraction
from mpcc.passes.lower.softmax.masks import Mask

WEIGHT_FRACTION = 18  # fraction bits of weights whose sums are about 1; larger sums take fewer
SUM_BITS = 2  # sums down to 2^-SUM_BITS count as about 1
WIDEST_SUMS = 2.0**24  # largest over smallest: rows below lose accuracy slowly


def weight_fraction(smallest: float) -> int:
    """Fraction bits of weights whose sum is at least `smallest`, for the same error of the probabilities."""
    return WEIGHT_FRACTION - SUM_BITS - math.floor(math.log2(smallest))


def sums(smallest: float, largest: float) -> Range:
    """The range of a row's sum, not wider than its reciprocal takes."""
    largest = max(largest, smallest)
    return Range(max(smallest, largest / WIDEST_SUMS), largest)


def divided(
    context: Context, operation: Operation, form: SoftmaxForm, weights: Value, mask: Mask, total: Range
) -> Lowered:
    """Weights over their row sums, which lie in `total` except in empty rows; divided now or by who consumes
    them.

    Where an empty row is zero its sum becomes the largest one, where it is uniform its weights do, divided
    by their number: both are free, as whoever knows the mask adds that to its share.
    """
    if mask.has_empty("uniform"):
        extent = known(context, weights)
        filled = mask.empty(ring_of(weights).fraction, total.high / mask.length)
        weights = context.emit("add", weights, filled, extent=extent)
    rank = len(ring_of(weights).shape)
    total_weight = context.emit("sum", weights, axes=(rank - 1,), keepdims=True, extent=total)
    if mask.has_empty("zero"):
        filled = mask.empty(ring_of(weights).fraction, total.high)
        total_weight = context.emit("add", total_weight, filled, extent=total)
    factor = inverse_power(context, operation, total_weight, -1.0, total, form.reciprocal)
    if not form.divide_first:
        return Lowered(weights, row_factor=factor)
    fractions = (ring_of(weights).fraction, relative_fraction(known(context, factor)))
    return Lowered(multiply(context, weights, factor, Range(0.0, 1.0), fractions))
