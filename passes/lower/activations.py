"""Lowering of functions of one variable: the plan's approximation, a series, or segments where none fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range, Visibility
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.lookup import Lookup
from mpcc.passes.approximations.minimax import fit_segments
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.rounding import linear_ends
from mpcc.passes.approximations.series import fit_series
from mpcc.passes.lower.context import Context, Lowered, lowers, ring_of
from mpcc.passes.lower.lookup import looked_up
from mpcc.passes.lower.polynomial import (
    argument_format,
    finest_argument,
    image,
    polynomial,
    reached,
    segment_bits,
)
from mpcc.passes.lower.products import rectified, times_constant, with_range
from mpcc.passes.lower.series import gated_series, series_times_argument, sine_series

MAX_ERROR = 1e-4  # on a radius up to 12; wider series are allowed more, their harmonics are dealt
WIDEST_SERIES = 48.0  # its radius; segments, which saturate, have no widest one
SERIES_SAFETY = (
    1.25  # beyond the calibrated range, on top of nothing: a series has no use for a factor of two
)
SEGMENTS_ERROR = 2e-4
SEGMENTS_DEGREE = 3
NEGLIGIBLE = 2.0**-20  # of a result, which has 13 fraction bits
GUARD = 8  # fraction bits more than an activation's, with which parts are added


@lowers("gelu", "silu", "softplus", "tanh", "sigmoid", "erf")
def lower_function(context: Context, operation: Operation) -> Lowered:
    planned = context.plan.get(operation.result.name)
    return Lowered(by_approximation(context, operation, planned or default(context, operation)))


def by_approximation(context: Context, operation: Operation, approximation: Approximation) -> Value:
    """A function of one variable. Raises TypeError for an approximation of another kind of function."""
    x = context.plain_share(operation.operands[0])
    extent = context.internal(operation.result, "input")
    context.use(operation, approximation, extent.low, extent.high)
    if isinstance(approximation, Lookup):
        return looked_up(context, x, approximation)
    if not isinstance(approximation, Piecewise):
        raise TypeError(f"%{operation.result.name}: '{approximation.name}' is no function of one variable")
    return evaluated(context, x, approximation, extent, context.range_of(operation.result))


def function_of(operation: Operation) -> str:
    """The name of the operation's function, as approximations state it."""
    if operation.kind == "gelu":
        return f"gelu_{operation.attributes['approximate']}"
    return operation.kind


def default(context: Context, operation: Operation) -> Piecewise:
    """A sine series for the calibrated range and a quarter, or segments where that is very wide."""
    name, extent = function_of(operation), context.internal(operation.result, "input")
    radius = max(1.0, extent.magnitude / context.formats.safety * SERIES_SAFETY)
    if radius > WIDEST_SERIES:
        return fit_segments(name, -radius, radius, SEGMENTS_DEGREE, SEGMENTS_ERROR)
    return fit_series(name, -radius, radius, MAX_ERROR * max(1.0, radius / 12) ** 1.5)


def evaluated(context: Context, x: Value, piecewise: Piecewise, extent: Range, result: Range) -> Value:
    """The approximation of a share; `extent` and `result` are the widened ranges of both.

    Right within `reached`, which goes far beyond the calibrated range where the function saturates; then the
    share's range says so.
    """
    reach = reached(piecewise, extent)
    context.rely(x, reach)
    x = with_range(context, x, reach)
    values = image(piecewise, reach)
    below = None
    if piecewise.thresholds:
        below = segment_bits(context, x, piecewise, reach, _argument_fraction(context, x, piecewise, reach))
    parts, constant = _parts(context, x, piecewise, reach, below)
    inner, _ = linear_ends(piecewise)
    known = values if below is not None or piecewise.changes_model else result
    return _sum(context, parts, constant, image(inner, reach), known)


def _polynomial(piecewise: Piecewise) -> Piecewise:
    """The approximation without its series."""
    return replace(piecewise, series=None, gates=(), times_argument=False)


def _argument_fraction(context: Context, x: Value, piecewise: Piecewise, reach: Range) -> int | None:
    """Fraction bits at which parts chosen by segments open x; None where they do not."""
    rows = _polynomial(piecewise)
    if rows.degree > 1 or piecewise.series is None:
        return argument_format(context, x, rows, reach).argument
    slopes = any(any(row[1:]) for row in rows.rows)
    return finest_argument(context, x) if slopes or piecewise.times_argument else None


def _parts(
    context: Context, x: Value, piecewise: Piecewise, reach: Range, below: Value | None
) -> tuple[list[Value], float]:
    """Shares, and a public constant, which make up the approximation."""
    parts: list[Value] = []
    rows = _polynomial(piecewise)
    lines = rows.degree < 2
    if piecewise.series is not None and below is not None:
        gated = piecewise if lines else replace(piecewise, rows=((0.0,),) * len(piecewise.rows))
        parts.append(gated_series(context, x, gated, reach, below, image(gated, reach)))
    elif piecewise.series is not None:
        (gate,) = piecewise.gates
        if piecewise.times_argument:
            parts.append(series_times_argument(context, x, piecewise.series, gate, reach))
        else:
            parts.append(sine_series(context, x, piecewise.series, gate))
    if below is None and lines:
        constant, slope = (*rows.rows[0], 0.0)[:2]
        if abs(slope) * reach.magnitude > NEGLIGIBLE or not parts:
            parts.append(times_constant(context, x, np.asarray(slope), Visibility.PUBLIC, reach))
        return parts, constant
    if not lines or piecewise.series is None:
        parts += polynomial(context, x, rows, reach, below)
    return parts, 0.0


def _sum(context: Context, parts: list[Value], constant: float, narrow: Range, known: Range) -> Value:
    """The sum with the fraction bits of activations; its range is `known`, that of the finer parts `narrow`.

    These are truncated into a ring of any width for one bit: their own ring stays narrow.
    """
    activation = context.formats.activation
    fine = [part for part in parts if ring_of(part).fraction > activation]
    coarse = [part for part in parts if ring_of(part).fraction <= activation]
    if fine:
        fractions = [ring_of(part).fraction for part in fine]
        fraction = min(max(min(fractions), activation + GUARD), max(fractions))
        total = _added(context, fine, fraction, constant, narrow)
        bits = fraction - activation
        coarse.append(context.emit("truncate", total, bits=bits, extent=known if not coarse else narrow))
        constant = 0.0
    return coarse[0] if len(coarse) == 1 and fine else _added(context, coarse, activation, constant, known)


def _added(context: Context, parts: list[Value], fraction: int, constant: float, extent: Range) -> Value:
    total, *others = (context.at_fraction(part, fraction) for part in parts)
    for other in others:
        total = context.emit("add", total, other, extent=extent)
    if constant:
        return context.emit("add", total, context.public(np.asarray(constant), fraction), extent=extent)
    return context.emit("reinterpret", total, fraction=fraction, extent=extent)


@lowers("relu")
def lower_relu(context: Context, operation: Operation) -> Lowered:
    x = context.plain_share(operation.operands[0])
    extent = context.internal(operation.result, "input")
    fraction = min(ring_of(x).fraction, context.formats.activation)
    x = with_range(context, x, extent)
    context.rely(x, extent.symmetric())
    return Lowered(rectified(context, x, extent, fraction, Range(0.0, max(extent.high, 0.0))))
