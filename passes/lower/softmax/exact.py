"""exp(x - c) over its row sum, with the maximum or the mean as c, and any exponential."""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.exponentials import ExponentialProtocol, Limit
from mpcc.passes.approximations.softmax import ExactSoftmax
from mpcc.passes.lower.context import Context, Lowered
from mpcc.passes.lower.softmax.centre import FINE_QUANTISATIONS, QUANTISATIONS, maximum, mean, positions
from mpcc.passes.lower.softmax.exponentials import (
    EXPONENT_FRACTION,
    clipped_below,
    exponential,
    protocol_error,
)
from mpcc.passes.lower.softmax.masks import Mask
from mpcc.passes.lower.softmax.weights import WEIGHT_FRACTION, divided, weight_fraction

MARGIN = 2.0**-13  # keeps the rounded argument below 0, where the exponential ends sharply
SHAPE_ERROR = 1e-4  # an exponential that is farther off has to be given its arguments as they are
# What clipping and rounding may do to a probability: it bounds how far means may lie below their maxima.
MEAN_ERROR = 5e-4


def lower_exact(
    context: Context, operation: Operation, form: ExactSoftmax, scores: Value, mask: Mask
) -> Lowered:
    raw = context.internal(operation.result, "scores")
    context.use(operation, form, raw.low, raw.high)
    if form.centre == "mean":
        return _around_mean(context, operation, form, scores, mask)
    top = context.internal(operation.result, "row_max")
    quantisations = QUANTISATIONS if form.exponential.error <= SHAPE_ERROR else FINE_QUANTISATIONS
    plan = positions(context, raw, top, mask.keep is not None, clipped_below(form.exponential), quantisations)
    # a limit takes arguments a little above 0, so its maximum need not be too large
    nearest = isinstance(form.exponential, Limit) and plan.unit < 1.0
    by_pairs = form.centre == "tournament"
    centre = maximum(context, scores, mask, raw, plan, 0 if nearest else 1, by_pairs)
    low = raw.low - plan.exclusion - top.high - 3 * plan.unit
    excluded = context.at_fraction(mask.penalised(scores, plan.exclusion), EXPONENT_FRACTION)
    difference = context.emit("sub", excluded, context.at_fraction(centre, EXPONENT_FRACTION))
    argument = _lowered(context, difference, 0.0 if nearest else MARGIN, low)
    weights = exponential(context, form.exponential, argument, low, WEIGHT_FRACTION + plan.extra_bits)
    largest = math.exp(plan.unit) if nearest else 1.0
    total = Range(math.exp(-2.5 * plan.unit), largest * mask.length)
    return divided(context, operation, form, weights, mask, total)


def _around_mean(
    context: Context, operation: Operation, form: ExactSoftmax, scores: Value, mask: Mask
) -> Lowered:
    """Raises MPC-P021 where the rows' maxima lie so far above their means that the exponential, which has to
    end above the highest of them, loses the others.
    """
    assert isinstance(form.exponential, ExponentialProtocol)
    raw = context.internal(operation.result, "scores")
    above = context.internal(operation.result, "row_max_minus_mean")
    narrow = context.at_fraction(scores, EXPONENT_FRACTION)
    centre, off = mean(context, narrow, raw)
    bound = above.high + off
    smallest = math.exp(above.low - bound)  # a row's largest weight
    if mask.keep is None:
        smallest = max(smallest, mask.length * math.exp(-bound))  # by Jensen's inequality
    lost = protocol_error(form.exponential) + mask.length * math.exp(form.exponential.clip)
    if lost > MEAN_ERROR * smallest:
        raise MpccError(
            "MPC-P021",
            f"rows of scores reach {bound:.3g} above their mean: around it, probabilities would be off by "
            f"{lost / max(smallest, lost):.2g}, and {MEAN_ERROR:g} is allowed",
            where=context.place,
            remedy="centre these rows by their maximum, as --softmax exact does, or let the compiler choose: "
            "--softmax best",
        )
    exclusion = raw.high - raw.low + clipped_below(form.exponential) if mask.keep is not None else 0.0
    lowest = raw.low - raw.high
    difference = context.emit(
        "sub", narrow, context.at_fraction(centre, EXPONENT_FRACTION), extent=Range(lowest, bound)
    )
    context.rely(difference, Range(lowest, bound))
    low = lowest - exclusion - bound
    argument = _lowered(context, mask.penalised(difference, exclusion), bound, low)
    weights = exponential(context, form.exponential, argument, low, weight_fraction(smallest))
    return divided(context, operation, form, weights, mask, Range(smallest, mask.length))


def _lowered(context: Context, difference: Value, margin: float, low: float) -> Value:
    """The argument of the exponential, down to `low`: the difference less a margin."""
    if not margin:
        return context.emit("reinterpret", difference, fraction=EXPONENT_FRACTION, extent=Range(low, 0.0))
    constant = context.public(np.asarray(-margin), EXPONENT_FRACTION)
    return context.emit("add", difference, constant, extent=Range(low, 0.0))
