"""Lowering of segmented polynomials: select, then compute (docs/protocols/segmented_polynomial.md).

All thresholds are compared in one batch; the bits select the coefficients of one polynomial in z, and from
the fourth power on in z and w = z^2. The slopes of linear end segments are selected apart: their arguments
reach far, which would leave the inner powers no room. Powers of arguments beyond the inner segments wrap,
where their coefficient is exactly 0. Source: SecMoE (AAAI 2026).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from mpcc.ir.program import Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.rounding import (
    PolynomialFormat,
    linear_ends,
    polynomial_format,
    segments,
    slope_fraction,
)
from mpcc.passes.lower.context import Context, bits_for, ring_of
from mpcc.passes.lower.correlation_rules import switch_error
from mpcc.passes.lower.products import comparison, square

# Where the ends of a function are constants or lines, arguments are right up to here (as many bits as 2^10
# takes with a threshold subtracted), and this many times the widened range.
SATURATED, BEYOND = 2000.0, 4.0
FEWEST_COMPARED = 5  # fraction bits of it: an error of two units is within EDGE_ROOM
IMAGE_POINTS = 257  # of a segment, where its values are taken
IMAGE_ROOM = 2.0**-5  # of the values' width, on both sides
EDGE_ROOM = 2.0**-4  # what z reaches beyond the outermost thresholds before it may wrap


def reached(piecewise: Piecewise, extent: Range) -> Range:
    """The arguments for which the result has to be right: `extent`, less what lies outside of the domain, and
    on an infinite side of it far more, if the segment at that end is a constant or a line.
    """
    if (
        not piecewise.thresholds
        and piecewise.series is not None
        and all(map(math.isfinite, piecewise.domain))
    ):
        return Range(*piecewise.domain)
    far = max(SATURATED, BEYOND * extent.magnitude)
    gates = piecewise.gates or (0.0,) * len(piecewise.rows)
    ends = []
    for end, bound, calibrated in ((0, -far, extent.low), (-1, far, extent.high)):
        row, edge = piecewise.rows[end], piecewise.domain[end]
        plain = len(piecewise.rows) > 1 and not gates[end] and not any(row[2:])
        ends.append(bound if plain and math.isinf(edge) else calibrated)
    low, high = max(ends[0], piecewise.domain[0]), min(ends[1], piecewise.domain[1])
    return Range(min(low, high), high)


def image(piecewise: Piecewise, reach: Range) -> Range:
    """The values on `reach`, and a little more."""
    thresholds = [t for t in piecewise.thresholds if reach.low < t < reach.high]
    edges = (reach.low, *thresholds, reach.high)
    x = np.concatenate([np.linspace(a, np.nextafter(b, a), IMAGE_POINTS) for a, b in pairwise(edges)])
    values = piecewise.evaluate(x)
    low, high = float(values.min()), float(values.max())
    room = IMAGE_ROOM * (high - low) + IMAGE_ROOM * IMAGE_ROOM
    return Range(low - room, high + room)


def segment_bits(
    context: Context, x: Value, piecewise: Piecewise, reach: Range, opened_at: int | None
) -> Value:
    """Masked bits [x < threshold], for all thresholds: three ticks. `opened_at`: the fraction bits at which x
    is opened for what the bits select, if it is.
    """
    finest = finest_argument(context, x)
    error = switch_error(context.correlations, piecewise.error)
    fraction = min(finest, _compared_fraction(piecewise, finest, error))
    unit = 2.0**fraction
    farthest = max(reach.high - piecewise.thresholds[0], piecewise.thresholds[-1] - reach.low)
    bits = math.ceil(math.log2(farthest * unit + 2)) + 1
    thresholds = tuple(round(t * unit) for t in piecewise.thresholds)
    return context.emit("open_bits", comparison(context, x, fraction, bits, thresholds, opened_at))


def finest_argument(context: Context, x: Value) -> int:
    """Fraction bits at which x is opened as an argument, at most."""
    return min(ring_of(x).fraction, context.formats.activation)


def argument_format(context: Context, x: Value, piecewise: Piecewise, reach: Range) -> PolynomialFormat:
    """The format in which `polynomial` evaluates x."""
    return polynomial_format(piecewise, reach.low, reach.high, finest_argument(context, x))


def _compared_fraction(piecewise: Piecewise, finest: int, error: float) -> int:
    """The fewest fraction bits with which the segments next to a threshold can be told apart so well.

    Comparing a rounded argument with a rounded threshold errs within two units of it.
    """
    apart = min((b - a for a, b in pairwise(piecewise.thresholds)), default=math.inf)
    for fraction in range(FEWEST_COMPARED, finest):
        reach = 2.0 * 2.0**-fraction
        if 4.0 * reach <= apart and all(
            _mismatch(piecewise, i, reach) <= error for i in range(len(piecewise.thresholds))
        ):
            return fraction
    return finest


def _mismatch(piecewise: Piecewise, index: int, reach: float) -> float:
    """How much more the segments beside a threshold differ within `reach` of it than at the threshold."""
    threshold = piecewise.thresholds[index]
    x = threshold + np.array([-reach, 0.0, reach])
    left, right = (_segment(piecewise, index + side, x) for side in (0, 1))
    apart = left - right
    return float(np.abs(apart - apart[1]).max())


def _segment(piecewise: Piecewise, index: int, x: np.ndarray) -> np.ndarray:
    value = np.polynomial.polynomial.polyval(x, piecewise.rows[index])
    if piecewise.series is not None:
        wave = piecewise.series.evaluate(x) * (x if piecewise.times_argument else 1.0)
        value = value + piecewise.gates[index] * wave
    return np.asarray(value)


def polynomial(
    context: Context, x: Value, piecewise: Piecewise, reach: Range, below: Value | None
) -> list[Value]:
    """Shares whose sum is the polynomial of x; `below` are the masked bits of its thresholds.

    Raises ValueError where its degree leaves no room for fraction bits.
    """
    inner, slopes = linear_ends(piecewise)
    form = argument_format(context, x, piecewise, reach)
    core = spanned(inner.thresholds, reach, [any(row[1:]) for row in inner.rows])
    opened_range = reach if any(slopes) else core
    z = context.opened(x, form.argument, bits_for(opened_range, form.argument))
    w = None
    if form.square is not None:
        w = context.opened(
            square(context, z), form.square, bits_for(Range(0.0, core.magnitude**2), form.square)
        )
    extent = image(inner, reach)
    if below is None:
        return [_unsegmented(context, z, w, form, form.encoded(piecewise)[0], extent)]
    terms = _terms(form, form.encoded(piecewise))
    parts = [segmented(context, (z, w), below, terms, form.result, extent)]
    if any(slopes):
        fraction = slope_fraction(slopes)
        levels = tuple(round(slope * 2.0**fraction) for slope in slopes)
        lines = Range(-reach.magnitude, reach.magnitude)
        far = {(1, 0): levels}
        scale = max(map(abs, slopes))
        extent = Range(lines.low * scale, lines.high * scale)
        parts.append(segmented(context, (z, None), below, far, form.argument + fraction, extent))
    return parts


def spanned(thresholds: tuple[float, ...], reach: Range, counts: Sequence[bool]) -> Range:
    """The part of `reach` that holds the segments which count, and a little more."""
    edges = segments(thresholds, reach.low, reach.high)
    kept = [edge for edge, count in zip(edges, counts, strict=True) if count and edge[0] < edge[1]]
    if not kept:
        return Range(0.0, 0.0)
    room = EDGE_ROOM * max(1.0, kept[-1][1] - kept[0][0])
    return Range(max(kept[0][0] - room, reach.low), min(kept[-1][1] + room, reach.high))


def _terms(
    form: PolynomialFormat, rows: tuple[tuple[int, ...], ...]
) -> dict[tuple[int, int], tuple[int, ...]]:
    """Integer coefficients by monomial, one a segment; those that are 0 everywhere left out."""
    columns = list(zip(*rows, strict=True))
    return {form.monomial(i): column for i, column in enumerate(columns) if any(column)}


def segmented(
    context: Context,
    arguments: tuple[Value, Value | None],
    below: Value,
    terms: Mapping[tuple[int, int], tuple[int, ...]],
    fraction: int,
    extent: Range,
) -> Value:
    """The sum of z^a w^b times what the masked bits select among a coefficient for each segment."""
    z, w = arguments
    # without any monomial the function is 0 everywhere
    terms = terms or {(0, 0): (0,) * (1 + ring_of(below).shape[0])}
    operands = (z, below) if w is None else (z, w, below)
    return context.emit(
        "segmented_polynomial",
        *operands,
        monomials=tuple(terms),
        rows=tuple((levels[-1], *(a - b for a, b in pairwise(levels))) for levels in terms.values()),
        fraction=fraction,
        extent=extent,
    )


def _unsegmented(
    context: Context, z: Value, w: Value | None, form: PolynomialFormat, row: tuple[int, ...], extent: Range
) -> Value:
    """One polynomial everywhere: in z, or what is even in x as one in w, and what is odd as z times one."""
    if w is None:
        return _product(context, (z,), (row,), (form.result,), extent)
    even = _product(context, (w,), (row[::2],), (form.result,), extent)
    if not any(row[1::2]):
        return even
    odd = _product(context, (z, w), ((), row[1::2]), (form.argument, form.result - form.argument), extent)
    return context.emit("add", even, odd, extent=extent)


def _product(
    context: Context,
    operands: tuple[Value, ...],
    coefficients: tuple[tuple[int, ...], ...],
    fractions: tuple[int, ...],
    extent: Range,
) -> Value:
    factors = tuple("polynomial" if row else "value" for row in coefficients)
    return context.emit(
        "product", *operands, factors=factors, coefficients=coefficients, fractions=fractions, extent=extent
    )
