"""Softmax as the end of a differential equation, by Euler steps: SHAFT (NDSS 2025). No maximum, exponential
or reciprocal.

g <- g + (s - <g, s>) g with s = x / steps. A step takes two ticks: one opens g, which gives g s and, summed,
<g, s>; one opens <g, s>, a number a row. In one tick, <g, s> g would take dealt products of all pairs of a
row's masks. s is opened once. The first step is local where everybody knows the mask.

A rounding error d in the sum of a row becomes d (1 - <g, s>): s starts at 0 instead of low / steps, so that
it only shrinks. That changes nothing else, as the sum is 1.
"""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range, Sharing, Visibility
from mpcc.passes.approximations.softmax import OdeSoftmax
from mpcc.passes.lower.context import Context, Lowered, bits_for, ring_of
from mpcc.passes.lower.products import comparison, known, selected, times_constant
from mpcc.passes.lower.softmax.masks import Mask

CLIP_FRACTION = 10  # where clipping starts matters little: the clipped score is continuous there
UNIT = Range(0.0, 1.0)
OVERSHOT = Range(-2.0, 2.0)  # what the last step may reach for scores beyond an end that is not clipped
PROBABILITY_BITS = 11  # significant bits of 1 / n, where a row starts,
FEWEST_BITS = 16  # and fraction bits of short rows
STEP_FRACTION = 17  # of s and <g, s>


def lower_ode(context: Context, operation: Operation, form: OdeSoftmax, scores: Value, mask: Mask) -> Lowered:
    raw = context.internal(operation.result, "scores")
    context.use(operation, form, raw.low, raw.high)
    context.rely(scores, raw.symmetric())
    part, clipped = np.asarray(1.0 / form.steps), _clipped(context, form, scores, raw)
    extent = known(context, clipped)
    span = Range(extent.low / form.steps, extent.high / form.steps)
    step = times_constant(context, clipped, part, Visibility.PUBLIC, span)
    step = context.at_fraction(step, min(ring_of(step).fraction, STEP_FRACTION))
    fraction = max(FEWEST_BITS, PROBABILITY_BITS + (mask.length - 1).bit_length())
    start = mask.distribution(fraction)
    public = ring_of(start).sharing is Sharing.PUBLIC
    g = _public_step(context, start, step) if public else start
    for index in range(int(public), form.steps):
        g = _step(context, g, step, fraction, index == form.steps - 1)
    if mask.has_empty("uniform"):
        g = context.emit("add", g, mask.empty(fraction, 1.0 / mask.length), extent=UNIT)
    return Lowered(g)


def _clipped(context: Context, form: OdeSoftmax, scores: Value, raw: Range) -> Value:
    """The scores clipped to [low, high], less low: three ticks, or none where they lie within.

    Only an end that calibration reached is clipped; scores up to the largest magnitude are held at both.
    """
    fraction = min(ring_of(scores).fraction, context.formats.activation)
    reach = Range(-raw.magnitude - form.low, raw.magnitude - form.low)
    moved = context.emit(
        "add",
        context.at_fraction(scores, fraction),
        context.public(np.asarray(-form.low), fraction),
        extent=reach,
    )
    width = form.high - form.low
    outside = ((0.0, raw.low < form.low), (width, raw.high > form.high))
    thresholds = [t for t, reached in outside if reached]
    if not thresholds:
        return moved
    held = Range(
        0.0 if 0.0 in thresholds else min(0.0, reach.low), width if width in thresholds else reach.high
    )
    compared = min(fraction, CLIP_FRACTION)
    bits = math.ceil(math.log2((reach.magnitude + width) * 2**compared + 1)) + 1
    ends = tuple(round(t * 2**compared) for t in thresholds)
    below = context.emit("open_bits", comparison(context, moved, compared, bits, ends, fraction))
    # bits say [x < low] and [x < high]; without the one or the other threshold it is known
    signs = tuple(-1 if t == 0.0 else 1 for t in thresholds)
    inside = selected(
        context,
        context.opened(moved, fraction, bits_for(reach, fraction)),
        below,
        (0 if width in thresholds else 1, *signs),
        held,
    )
    if width not in thresholds:
        return inside
    top = round(width * 2.0**fraction)
    above = context.emit(
        "product",
        below,
        factors=("bits",),
        coefficients=((top, *(0 if t == 0.0 else -top for t in thresholds)),),
        fractions=(fraction,),
        extent=Range(0.0, width),
    )
    return context.emit("add", inside, above, extent=held)


def _public_step(context: Context, start: Value, step: Value) -> Value:
    """The first step from a distribution that everybody knows: g + (s - <g, s>) g."""
    shape, fraction = ring_of(step).shape, ring_of(start).fraction
    span = ring_of(step).range
    weighted = context.emit("mul_public", step, start, extent=span)
    mean = context.emit("sum", weighted, axes=(len(shape) - 1,), keepdims=True, extent=span)
    beyond = context.emit(
        "sub", step, context.at_fraction(mean, ring_of(step).fraction), extent=UNIT.symmetric()
    )
    change = context.emit("mul_public", beyond, start, extent=UNIT.symmetric())
    return context.emit("add", start, context.at_fraction(change, fraction), extent=UNIT)


def _step(context: Context, g: Value, step: Value, fraction: int, last: bool) -> Value:
    """g + (s - <g, s>) g. The last one is rounded as a whole: who uses it may want a wide ring, which a
    truncation gives it; the steps before must not be asked for it.
    """
    shape, step_fraction = ring_of(step).shape, ring_of(step).fraction
    span = ring_of(step).range
    assert span is not None
    opened = context.opened(g, fraction, bits_for(UNIT, fraction))
    steps = context.opened(step, step_fraction, bits_for(span, step_fraction))
    weighted = _times(context, opened, steps)
    mean = context.emit("sum", weighted, axes=(len(shape) - 1,), keepdims=True, extent=span)
    mean = context.at_fraction(mean, step_fraction)
    taken = _times(context, opened, context.opened(mean, step_fraction, bits_for(span, step_fraction)))
    change = context.emit("sub", weighted, taken, extent=UNIT.symmetric())
    if last:
        total = context.emit("add", context.at_fraction(g, ring_of(change).fraction), change, extent=OVERSHOT)
        return context.at_fraction(total, fraction)
    return context.emit("add", g, context.at_fraction(change, fraction), extent=UNIT)


def _times(context: Context, g: Value, s: Value) -> Value:
    fractions = (ring_of(g).fraction, ring_of(s).fraction)
    return context.emit(
        "product", g, s, factors=("value", "value"), coefficients=((), ()), fractions=fractions, extent=UNIT
    )
