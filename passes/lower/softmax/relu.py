"""relu(x) + epsilon / n over its row sum: MPCFormer's 2ReLU. A comparison and a selection, then the
reciprocal of a row.
"""

from __future__ import annotations

import math

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.softmax import ReluSoftmax
from mpcc.passes.lower.context import Context, Lowered
from mpcc.passes.lower.products import rectified
from mpcc.passes.lower.softmax.masks import Mask
from mpcc.passes.lower.softmax.weights import divided, sums, weight_fraction

FINEST = 24  # fraction bits of weights: sums below 2^-8, of rows without a positive score, lose accuracy


def lower_relu_softmax(
    context: Context, operation: Operation, form: ReluSoftmax, scores: Value, mask: Mask
) -> Lowered:
    raw, top, mean, variance = (
        context.internal(operation.result, key) for key in ("scores", "row_max", "row_mean", "row_variance")
    )
    context.use(operation, form, raw.low, raw.high)
    largest = max(0.0, top.high)
    average = min(largest, math.sqrt(variance.high + mean.magnitude**2))
    total = sums(form.epsilon + max(0.0, top.low), form.epsilon + mask.length * average)
    fraction = max(context.formats.activation, min(FINEST, weight_fraction(total.low)))
    context.rely(scores, raw.symmetric())
    # a masked score becomes negative, whatever it was
    penalty = max(0.0, raw.high) + 1.0 if mask.keep is not None else 0.0
    reach = Range(min(0.0, raw.low) - penalty, max(0.0, raw.high))
    narrow = context.at_fraction(mask.penalised(scores, penalty), fraction)
    narrow = context.emit("reinterpret", narrow, fraction=fraction, extent=reach)
    weights = rectified(context, narrow, reach, fraction, Range(0.0, raw.magnitude))
    spread = mask.distribution(fraction, form.epsilon)
    weights = context.emit("add", weights, spread, extent=Range(0.0, raw.magnitude + form.epsilon))
    return divided(context, operation, form, weights, mask, total)
