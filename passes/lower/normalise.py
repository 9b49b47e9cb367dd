"""Bringing a positive share into one octave or a part of it: comparisons with all thresholds, and one product
with the factor that they select.
"""

from __future__ import annotations

import math

from mpcc.ir.program import Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.powers import Octaves
from mpcc.passes.lower.context import Context, bits_for, ring_of
from mpcc.passes.lower.products import comparison, step_row


def below_thresholds(context: Context, x: Value, octaves: Octaves) -> Value:
    """Masked bits [x < t] for every threshold: three ticks."""
    fraction = min(octaves.compared, ring_of(x).fraction)
    unit = 2.0**fraction
    thresholds = tuple(max(1, round(t * unit)) for t in octaves.real_thresholds)
    bits = math.ceil(math.log2(octaves.high * unit + 1)) + 2
    opened_at = opened_fraction(x, octaves)
    return context.emit("open_bits", comparison(context, x, fraction, bits, thresholds, opened_at))


def opened_fraction(x: Value, octaves: Octaves) -> int:
    """As many fraction bits as x has and its product has room for."""
    return min(ring_of(x).fraction, octaves.opened)


def opened_argument(context: Context, x: Value, octaves: Octaves, room: float = 1.0) -> Value:
    """x under a mask; it may be `room` times as large as the octaves reach."""
    fraction = opened_fraction(x, octaves)
    return context.opened(x, fraction, bits_for(Range(octaves.low, octaves.high * room), fraction))


def scaled(
    context: Context, x: Value, below: Value, octaves: Octaves, extent: Range, room: float = 1.0
) -> Value:
    """x times the factor m_i of its segment; `room` as above."""
    opened = opened_argument(context, x, octaves, room)
    return context.emit(
        "product",
        opened,
        below,
        factors=("value", "bits"),
        coefficients=((), step_row(tuple(octaves.real_scales), octaves.scale_fraction)),
        fractions=(ring_of(opened).fraction, octaves.scale_fraction),
        extent=extent,
    )
