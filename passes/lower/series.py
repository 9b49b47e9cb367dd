"""Lowering of sine series (docs/protocols/sine_series.md), alone or chosen by the segment of the argument.

A published period that is no power of two becomes one by scaling the argument with a public factor. With
segments, the series and the comparisons of the argument run in the same ticks; then one product selects.
Sources: SecFormer (Findings of ACL 2024), SHAFT (NDSS 2025).
"""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.program import Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.piecewise import Piecewise, Series
from mpcc.passes.approximations.rounding import ARGUMENT_FRACTION, slope_fraction
from mpcc.passes.approximations.series import DEALT_FRACTION
from mpcc.passes.lower.context import Context, bits_for, ring_of
from mpcc.passes.lower.polynomial import finest_argument, segmented, spanned

ARGUMENT_BITS = 21  # of a reduced argument; the table of cosines has 2^18 entries
SCALE_FRACTION = 17  # of the factor that makes a period a power of two
AMPLITUDE_FRACTION = 28
AMPLITUDE_BITS = 30  # of an amplitude with its fraction, as the kernel's products allow
PUBLIC_FRACTION = 16
WAVE_FRACTION = 16  # of a series that is opened for a product
GATE_FRACTION = 14  # of what multiplies it, at most
WIDEST = 62  # integer and fraction bits of a product


def sine_series(context: Context, x: Value, series: Series, factor: float = 1.0) -> Value:
    """factor * series(x): one tick. The share has a narrow ring, as all its values are small."""
    log2 = math.ceil(math.log2(series.period))
    fraction = min(ring_of(x).fraction, ARGUMENT_FRACTION, ARGUMENT_BITS - log2)
    scale = 2.0**log2 / series.period
    if scale != 1.0:
        finer = context.at_fraction(x, min(ring_of(x).fraction, SCALE_FRACTION))
        x = context.emit("mul_public", finer, context.public(np.asarray(scale), SCALE_FRACTION))
    bits = log2 + fraction
    amplitudes = [factor * a for a in series.amplitudes]
    whole = max(0, math.frexp(max(map(abs, amplitudes)))[1])
    amplitude_fraction = min(AMPLITUDE_FRACTION, AMPLITUDE_BITS - whole)
    return context.emit(
        "sine_series",
        context.at_fraction(x, fraction),
        bits=bits,
        harmonics=series.harmonics,
        phases=tuple(round(phase * 2.0**bits) % 2**bits for phase in series.phases),
        amplitudes=tuple(round(a * 2.0**amplitude_fraction) for a in amplitudes),
        amplitude_fraction=amplitude_fraction,
        public_fraction=PUBLIC_FRACTION,
        secret_fraction=DEALT_FRACTION,
        extent=_amplitude(series, abs(factor)),
    )


def _amplitude(series: Series, factor: float) -> Range:
    largest = factor * sum(map(abs, series.amplitudes))
    return Range(-largest, largest)


def gated_series(
    context: Context, x: Value, piecewise: Piecewise, reach: Range, below: Value, extent: Range
) -> Value:
    """Constants, lines and gated series of all segments, selected by the masked bits of the thresholds.

    rows[s] + gates[s] x^times_argument series(x); rows have a degree of at most 1.
    """
    series = piecewise.series
    assert series is not None
    wave = _opened_series(context, x, series)
    constants, slopes = (tuple(row[i] if i < len(row) else 0.0 for row in piecewise.rows) for i in (0, 1))
    arguments: tuple[Value, Value | None] = (wave, None)
    levels = {(0, 0): constants, (1, 0): piecewise.gates}
    fractions = [ring_of(wave).fraction]
    if any(slopes) or piecewise.times_argument:
        counts = [
            bool(c or (g and piecewise.times_argument)) for c, g in zip(slopes, piecewise.gates, strict=True)
        ]
        fraction = finest_argument(context, x)
        needed = spanned(piecewise.thresholds, reach, counts)
        z = context.opened(x, fraction, bits_for(needed, fraction))
        arguments = (z, wave)
        fractions = [fraction, ring_of(wave).fraction]
        levels = {(0, 0): constants, (1, 0): slopes, (int(piecewise.times_argument), 1): piecewise.gates}
    carried = {m: sum(a * f for a, f in zip(m, fractions, strict=False)) for m in levels}
    room = WIDEST - math.ceil(math.log2(max(1.0, extent.magnitude)))
    wanted = max(carried[m] + min(slope_fraction(row), GATE_FRACTION) for m, row in levels.items())
    result = min(room, wanted)
    terms = {m: tuple(round(c * 2.0 ** (result - carried[m])) for c in row) for m, row in levels.items()}
    kept = {m: row for m, row in terms.items() if any(row)}
    return segmented(context, arguments, below, kept, result, extent)


def series_times_argument(context: Context, x: Value, series: Series, factor: float, reach: Range) -> Value:
    """factor * x * series(x) for x within `reach`."""
    wave = _opened_series(context, x, series, factor)
    fraction = finest_argument(context, x)
    z = context.opened(x, fraction, bits_for(reach, fraction))
    largest = reach.magnitude * _amplitude(series, abs(factor)).high
    return context.emit(
        "product",
        z,
        wave,
        factors=("value", "value"),
        coefficients=((), ()),
        fractions=(fraction, ring_of(wave).fraction),
        extent=Range(-largest, largest),
    )


def _opened_series(context: Context, x: Value, series: Series, factor: float = 1.0) -> Value:
    wave = sine_series(context, x, series, factor)
    fraction = min(ring_of(wave).fraction, WAVE_FRACTION)
    return context.opened(wave, fraction, bits_for(_amplitude(series, abs(factor)), fraction))
