"""exp of arguments that are at most about 0, as the weights of softmax: exactly 0 far below."""

from __future__ import annotations

import functools
import math

import numpy as np

from mpcc.ir.program import Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.exponentials import ExponentialProtocol, Limit
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.lower.context import Context, bits_for, ring_of
from mpcc.passes.lower.polynomial import argument_format, polynomial, reached, segment_bits
from mpcc.passes.lower.products import SQUARE, comparison

EXPONENT_FRACTION = 16  # of the exponential's argument
EXPONENTIAL_FRACTION = 60
WEIGHT_ROOM = 4  # bits of an opened weight beside its fraction
CLIP_FRACTION = 3
SQUARE_FRACTION = 16  # of the last square of a limit; an earlier one has a bit more for each that follows

Exponential = ExponentialProtocol | Limit | Piecewise


def clipped_below(form: Exponential) -> float:
    """How far below 0 an argument surely has the exponential 0. Raises ValueError where it never has."""
    if not isinstance(form, Piecewise):
        return 1.0 - form.clip
    if form.series is not None or not form.thresholds or any(form.rows[0]):
        raise ValueError(f"{form.name} is no segmented polynomial that is 0 for low arguments")
    return 1.0 - form.thresholds[0]


def protocol_bits(form: ExponentialProtocol) -> int:
    """Width of its opening: the domain [-2^(bits - 1 - fraction), 0) holds the clip, and a unit more."""
    return EXPONENT_FRACTION + 1 + math.ceil(math.log2(1.0 - form.clip))


def protocol_error(form: ExponentialProtocol) -> float:
    """Absolute error of its result, as docs/protocols/exponential.md has it, and of rounding it."""
    growth = math.ceil(2.0 ** (protocol_bits(form) - 1 - EXPONENT_FRACTION) * math.log2(math.e))
    return 2.0 * 2.0 ** -((EXPONENTIAL_FRACTION - growth) // 2)


def by_protocol(context: Context, form: ExponentialProtocol, argument: Value) -> Value:
    """exp of arguments within the protocol's domain, at EXPONENTIAL_FRACTION: one tick."""
    bits, extent = protocol_bits(form), Range(0.0, 1.0)
    return context.emit("exponential", argument, bits=bits, fraction=EXPONENTIAL_FRACTION, extent=extent)


def exponential(context: Context, form: Exponential, argument: Value, low: float, fraction: int) -> Value:
    """Weights with `fraction` fraction bits, within [0, 1], of arguments in [low, 0) at EXPONENT_FRACTION."""
    if isinstance(form, ExponentialProtocol):
        return _clipped_protocol(context, form, argument, low, fraction)
    if isinstance(form, Limit):
        return _by_squaring(context, form, argument, low, fraction)
    reach = reached(form, Range(low, 0.0))
    opened_at = argument_format(context, argument, form, reach).argument
    below = segment_bits(context, argument, form, reach, opened_at)
    parts = polynomial(context, argument, form, reach, below)
    return functools.reduce(
        lambda a, b: context.emit("add", a, b, extent=Range(0.0, 1.0)),
        (context.at_fraction(part, fraction) for part in parts),
    )


def _clipped_protocol(
    context: Context, form: ExponentialProtocol, argument: Value, low: float, fraction: int
) -> Value:
    """Three ticks, the comparison beside the exponential."""
    weight = context.opened(by_protocol(context, form, argument), fraction, fraction + WEIGHT_ROOM)
    return context.emit(
        "product",
        weight,
        _clip(context, argument, form.clip, -low - form.clip, CLIP_FRACTION),
        factors=("value", "bits"),
        coefficients=((), (1, -1)),
        fractions=(fraction, 0),
        extent=Range(0.0, 1.0),
    )


def _by_squaring(context: Context, form: Limit, argument: Value, low: float, fraction: int) -> Value:
    """As many ticks as squarings, at least three. An error of the base grows by 2 with each square, so the
    first opening has the most bits; below the clip squares wrap, and are multiplied by 0.
    """
    base = context.emit("reinterpret", argument, fraction=EXPONENT_FRACTION + form.squarings)
    one = context.public(np.ones(()), ring_of(base).fraction)
    base = context.emit("add", base, one, extent=Range(0.0, 1.0))
    # compared as it is opened for the first square
    scale, first = 2.0**-form.squarings, SQUARE_FRACTION + form.squarings - 1
    clip, depth = 1.0 + form.clip * scale, (-low - form.clip) * scale
    clipped = _clip(context, base, clip, depth, CLIP_FRACTION + form.squarings, first)
    for following in reversed(range(1, form.squarings)):
        opened = _opened_base(context, base, SQUARE_FRACTION + following)
        base = context.emit(
            "product",
            opened,
            factors=("polynomial",),
            coefficients=(SQUARE,),
            fractions=(2 * ring_of(opened).fraction,),
            extent=Range(0.0, 1.0),
        )
    opened = _opened_base(context, base, SQUARE_FRACTION)
    weights = context.emit(
        "product",
        opened,
        clipped,
        factors=("polynomial", "bits"),
        coefficients=(SQUARE, (1, -1)),
        fractions=(2 * ring_of(opened).fraction, 0),
        extent=Range(0.0, 1.0),
    )
    return context.at_fraction(weights, fraction)


def _opened_base(context: Context, base: Value, fraction: int) -> Value:
    return context.opened(base, fraction, bits_for(Range(0.0, 1.0), fraction))


def _clip(
    context: Context, x: Value, clip: float, depth: float, fraction: int, opened_at: int | None = None
) -> Value:
    """Masked bits [x < clip] for x within `depth` of the clip, compared at `fraction` bits.

    `opened_at`: the fraction bits at which x is opened for something else, if it is.
    """
    bits = math.ceil(math.log2(depth * 2**fraction)) + 2
    below = comparison(context, x, fraction, bits, (round(clip * 2**fraction),), opened_at)
    return context.emit("open_bits", below)
