"""Lowering of softmax: secret maximum by histogram, exponential with a clip, one reciprocal a row
(protocols.md 9).
"""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range, Visibility
from mpcc.passes.lower.context import Context, Lowered, lowers, ring_of
from mpcc.passes.lower.products import comparison, segmented_power

EXPONENT_FRACTION = 16  # of the exponential's argument
EXPONENT_BITS = 21  # its opening: the domain is [-16, 0)
DOMAIN = 2.0 ** (EXPONENT_BITS - 1 - EXPONENT_FRACTION)
EXPONENTIAL_FRACTION = 60
WEIGHT_FRACTION = 18  # of the unnormalised probabilities
WEIGHT_BITS = 22
CLIP_FRACTION = 3
MARGIN = 2.0**-13  # keeps the rounded argument below 0, where the exponential ends sharply
LOW_ROOM = 0.125  # of the width of the row maxima's range, below it
# (log2 of the unit, widest circle in bits), in order of preference: a coarser unit costs precision, bits cost
# dealt bytes
QUANTISATIONS = ((0, 8), (1, 8), (1, 10), (2, 10))


@lowers("softmax")
def lower_softmax(context: Context, operation: Operation) -> Lowered:
    scores = context.plain_share(operation.operands[0])
    raw, top = context.internal(operation.result, "scores"), context.internal(operation.result, "row_max")
    # a row whose maximum lies below the tested levels loses its weights: leave room that costs only levels
    top = Range(top.low - LOW_ROOM * (top.high - top.low), top.high)
    plan = positions(context, raw, top, masked=len(operation.operands) == 2)
    ranked = scores
    if len(operation.operands) == 2:
        ranked = _penalised(context, scores, operation.operands[1], plan.penalty)
        scores = _penalised(context, scores, operation.operands[1], plan.exclusion)
    quantised = context.at_fraction(ranked, -plan.unit_log2)
    context.rely(
        quantised, Range(raw.low - plan.penalty - 2 * plan.unit, (plan.low + plan.levels) * plan.unit)
    )
    reached = context.emit(
        "row_reaches",
        quantised,
        bits=plan.bits,
        low=plan.low,
        levels=plan.levels,
    )
    maximum = context.emit(
        "product",
        context.emit("open_bits", reached),
        factors=("bits",),
        coefficients=((plan.low + 1, *[1] * plan.levels),),  # quantised scores are less than a unit off
        fractions=(-plan.unit_log2,),
    )
    low = raw.low - plan.exclusion - top.high - 3 * plan.unit
    difference = context.emit(
        "sub", context.at_fraction(scores, EXPONENT_FRACTION), context.at_fraction(maximum, EXPONENT_FRACTION)
    )
    margin = context.public(np.asarray(-MARGIN), EXPONENT_FRACTION)
    argument = context.emit("add", difference, margin, extent=Range(low, 0.0))
    exponential = context.emit(
        "exponential", argument, bits=EXPONENT_BITS, fraction=EXPONENTIAL_FRACTION, extent=Range(0.0, 1.0)
    )
    fraction = WEIGHT_FRACTION + plan.extra_bits
    weight = context.opened(exponential, fraction, WEIGHT_BITS + plan.extra_bits)
    clip = comparison(
        context,
        context.at_fraction(argument, CLIP_FRACTION),
        math.ceil(math.log2((-low + DOMAIN) * 2**CLIP_FRACTION)) + 2,
        (round(-(DOMAIN - 1.0) * 2**CLIP_FRACTION),),
    )
    kept = context.emit(
        "product",
        weight,
        context.emit("open_bits", clip),
        factors=("value", "bits"),
        coefficients=((), (1, -1)),
        fractions=(fraction, 0),
        extent=Range(0.0, 1.0),
    )
    count = ring_of(kept).shape[-1]
    last = len(ring_of(kept).shape) - 1
    bounds = Range(math.exp(-2.5 * plan.unit), count)
    total = context.emit("sum", kept, axes=(last,), keepdims=True, extent=bounds)
    return Lowered(kept, row_factor=segmented_power(context, total, -1.0, bounds))


class Positions:
    """Quantisation of the scores for the maximum: levels of `unit` on a circle of 2^bits, tested low+1 ..
    low+levels.
    """

    def __init__(self, raw: Range, top: Range, masked: bool, unit_log2: int) -> None:
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
        self.exclusion = raw.high - self.low * self.unit + DOMAIN if masked else 0.0
        self.bits = max(1, math.ceil(math.log2(high - bottom + away + 1)))


def positions(context: Context, raw: Range, top: Range, masked: bool) -> Positions:
    """The first quantisation that fits. Raises MPC-P013 when none does."""
    for unit_log2, widest in QUANTISATIONS:
        plan = Positions(raw, top, masked, unit_log2)
        if plan.bits <= widest and plan.levels < 2**plan.bits:
            return plan
    raise MpccError(
        "MPC-P013",
        f"attention scores reach from {raw.low:g} to {raw.high:g}, too far for the secret maximum",
        where=context.place,
        remedy="check the calibration inputs; scores beyond about +-1000 are not supported",
    )


def _penalised(context: Context, scores: Value, keep: Value, penalty: float) -> Value:
    """The scores minus `penalty` where keep is 0: they lose the maximum and their exponential is clipped to
    0.
    """
    fraction = ring_of(scores).fraction
    extent = ring_of(scores).range
    lower_extent = Range(extent.low - penalty, extent.high) if extent else None
    constant = context.tensor_constant(keep)
    if constant is not None:
        make = context.public if context.visibility(keep) is Visibility.PUBLIC else context.weight
        offset = make((np.asarray(constant, dtype=np.float64) - 1.0) * penalty, fraction)
        return context.emit("add", scores, offset, extent=lower_extent)
    producer = context.producers[keep]
    if producer.kind != "input" or context.visibility(keep) is not Visibility.PARTY1:
        raise MpccError(
            "MPC-P014",
            "the attention mask depends on secret values of both parties",
            where=context.place,
            remedy="make the mask an input of the client",
        )
    offset = context.emit(
        "client_input",
        name=str(producer.attributes["name"]),
        fraction=fraction,
        shape=producer.attributes["shape"],
        scale=penalty,
        offset=-penalty,
    )
    return context.emit("add", scores, offset, extent=lower_extent)
