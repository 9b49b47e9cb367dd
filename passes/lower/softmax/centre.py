"""What is subtracted from a row of scores before its exponential: the secret maximum, or the mean."""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Value
from mpcc.ir.types import Range
from mpcc.passes.lower.context import Context, ring_of
from mpcc.passes.lower.softmax.masks import Mask
from mpcc.passes.lower.softmax.tournament import row_maximum

LOW_ROOM = 0.125  # of the width of the row maxima's range, below it
# (log2 of the unit, widest circle in bits), in order of preference: a coarser unit costs precision, bits cost
# dealt bytes
QUANTISATIONS = ((0, 8), (1, 8), (1, 10), (2, 10))
# where the exponential's error depends on how far below the maximum its argument is
FINE_QUANTISATIONS = ((-3, 10), (-2, 10), (-1, 10), (0, 10), (1, 10), (2, 10))

MEAN_BITS = 10  # significant bits of 1 / length; its products must fit the ring of a matrix product
MEAN_MARGIN = 2.0**-6


class Positions:
    """Quantisation of the scores for the maximum: levels of `unit` on a circle of 2^bits, tested low+1 ..
    low+levels.

    What reaches `domain` below every maximum is clipped.
    """

    def __init__(self, raw: Range, top: Range, masked: bool, unit_log2: int, domain: float) -> None:
        self.unit_log2 = unit_log2
        self.unit = 2.0**unit_log2
        # the maximum is overestimated by up to two units, which scales all weights of a row down
        self.extra_bits = 4 if unit_log2 > 1 else 0
        self.low = math.floor(top.low / self.unit) - 2
        high = math.ceil(top.high / self.unit) + 1
        self.levels = high - self.low
        bottom = math.floor(raw.low / self.unit) - 2
        # a masked score, however high, must leave [low, high] downwards, and not come round to it from below
        away = max(high, math.ceil(raw.high / self.unit) + 1) - self.low + 1 if masked else 0
        self.penalty = away * self.unit
        # what takes any masked score so far below any maximum that its exponential is clipped
        self.exclusion = raw.high - self.low * self.unit + domain if masked else 0.0
        self.bits = max(1, math.ceil(math.log2(high - bottom + away + 1)))


def positions(
    context: Context,
    raw: Range,
    top: Range,
    masked: bool,
    domain: float,
    quantisations: tuple[tuple[int, int], ...] = QUANTISATIONS,
) -> Positions:
    """The first quantisation that fits. Raises MPC-P013 when none does."""
    # a row whose maximum lies below the tested levels loses its weights: leave room that costs only levels
    top = Range(top.low - LOW_ROOM * (top.high - top.low), top.high)
    for unit_log2, widest in quantisations:
        plan = Positions(raw, top, masked, unit_log2, domain)
        if plan.bits <= widest and plan.levels < 2**plan.bits:
            return plan
    raise MpccError(
        "MPC-P013",
        f"attention scores reach from {raw.low:g} to {raw.high:g}, too far for the secret maximum",
        where=context.place,
        remedy="check the calibration inputs; scores beyond about +-1000 are not supported",
    )


def maximum(
    context: Context,
    scores: Value,
    mask: Mask,
    raw: Range,
    plan: Positions,
    above: int,
    by_pairs: bool = False,
) -> Value:
    """The row maximum, quantised, plus `above` units, with no fraction bits beyond the unit's; two ticks and
    the opening of its bits, or with `by_pairs` a few for each level of a tournament.

    A quantised score is less than a unit off its score, above or below: with `above` = 1 the result is never
    too small, and too large by less than two units.
    """
    ranked = mask.penalised(scores, plan.penalty)
    quantised = context.at_fraction(ranked, -plan.unit_log2)
    extent = Range(raw.low - plan.penalty - 2 * plan.unit, (plan.low + plan.levels) * plan.unit)
    context.rely(quantised, extent)
    if by_pairs:
        largest = row_maximum(context, quantised, extent)
        top = Range(extent.low + above * plan.unit, extent.high + above * plan.unit)
        return context.emit(
            "add", largest, context.public(np.asarray(above * plan.unit), -plan.unit_log2), extent=top
        )
    reached = context.emit("row_reaches", quantised, bits=plan.bits, low=plan.low, levels=plan.levels)
    return context.emit(
        "product",
        context.emit("open_bits", reached),
        factors=("bits",),
        coefficients=((plan.low + above, *[1] * plan.levels),),
        fractions=(-plan.unit_log2,),
    )


def mean(context: Context, scores: Value, raw: Range) -> tuple[Value, float]:
    """The mean of each row over all its positions, masked ones too, and how far it may be off: local."""
    shape = ring_of(scores).shape
    length = shape[-1]
    whole = Range(raw.low * length, raw.high * length)
    total = context.emit("sum", scores, axes=(len(shape) - 1,), keepdims=True, extent=whole)
    bits = (length - 1).bit_length()
    exact = length == 1 << bits
    share = context.public(np.asarray(1.0 / length), bits if exact else bits + MEAN_BITS)
    off = MEAN_MARGIN + (0.0 if exact else raw.magnitude * 2.0**-MEAN_BITS)
    return context.emit("mul_public", total, share, extent=raw), off
