"""Lowering of activations: sine series of one variable, and relu by comparison and selection."""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.series import fit
from mpcc.passes.lower.context import Context, Lowered, lowers, ring_of
from mpcc.passes.lower.products import comparison, open_for_product, selected, with_range

ARGUMENT_FRACTION = 13
ARGUMENT_BITS = 18  # the table of cosines has 2^18 entries
AMPLITUDE_FRACTION = 28
PUBLIC_FRACTION = 15
SECRET_FRACTION = 14
MAX_ERROR = 1e-4  # on a radius up to 12; wider series are allowed more, their harmonics are dealt
WORST_ERROR = 5e-3
MAX_AMPLITUDE = 2.0**4  # 32 bits with their fraction, as the kernel's products allow
SERIES_SAFETY = (
    1.25  # beyond the calibrated range, on top of nothing: a series has no use for a factor of two
)


@lowers("gelu", "silu")
def lower_gated(context: Context, operation: Operation) -> Lowered:
    """x / 2 plus an even function of x."""
    name = "silu" if operation.kind == "silu" else f"gelu_{operation.attributes['approximate']}"
    x, series = _series(context, operation, name)
    half = context.emit("reinterpret", x, fraction=ring_of(x).fraction + 1)
    return Lowered(_finish(context, operation, series, half))


@lowers("tanh", "erf", "sigmoid")
def lower_odd(context: Context, operation: Operation) -> Lowered:
    _, series = _series(context, operation, operation.kind)
    offset = None
    if operation.kind == "sigmoid":
        offset = context.public(np.asarray(0.5), ring_of(series).fraction)
    return Lowered(_finish(context, operation, series, offset))


def _series(context: Context, operation: Operation, name: str) -> tuple[Value, Value]:
    """The argument and the series of it, with its constant."""
    x = context.plain_share(operation.operands[0])
    extent = context.internal(operation.result, "input")
    radius = max(1.0, extent.magnitude / context.formats.safety * SERIES_SAFETY)
    series = fit(name, radius, MAX_ERROR * max(1.0, radius / 12) ** 1.5)
    if series.error > WORST_ERROR or max(map(abs, series.amplitudes)) >= MAX_AMPLITUDE:
        raise MpccError(
            "MPC-P015",
            f"{operation.kind} on [-{radius:.3g}, {radius:.3g}] would be off by {series.error:.2g}",
            where=context.place,
            remedy="check the calibration inputs: so wide a range is unusual",
        )
    context.rely(x, Range(-series.radius, series.radius))
    fraction = min(ARGUMENT_FRACTION, ARGUMENT_BITS - series.period_log2)
    narrow = context.at_fraction(x, fraction)
    value = context.emit(
        "sine_series",
        narrow,
        bits=series.period_log2 + fraction,
        odd=series.odd,
        harmonics=series.harmonics,
        amplitudes=tuple(round(a * 2.0**AMPLITUDE_FRACTION) for a in series.amplitudes),
        amplitude_fraction=AMPLITUDE_FRACTION,
        public_fraction=PUBLIC_FRACTION,
        secret_fraction=SECRET_FRACTION,
    )
    if series.constant:
        offset = context.public(np.asarray(series.constant), ring_of(value).fraction)
        value = context.emit("add", value, offset)
    return x, value


def _finish(context: Context, operation: Operation, series: Value, other: Value | None) -> Value:
    """The sum, truncated into a ring of any width for one bit: the series' own ring stays narrow."""
    extent = context.range_of(operation.result)
    total = series
    if other is not None:
        fraction = max(ring_of(series).fraction, ring_of(other).fraction)
        parts = [context.at_fraction(v, fraction) for v in (series, other)]
        total = context.emit("add", *parts)
    bound = Range(min(extent.low, -1.0), max(extent.high, 1.0))
    total = context.emit("reinterpret", total, fraction=ring_of(total).fraction, extent=bound)
    bits = ring_of(total).fraction - context.formats.activation
    return context.emit("truncate", total, bits=bits, extent=extent)


@lowers("relu")
def lower_relu(context: Context, operation: Operation) -> Lowered:
    x = context.plain_share(operation.operands[0])
    extent = context.internal(operation.result, "input")
    fraction = min(ring_of(x).fraction, context.formats.activation)
    x = with_range(context, x, extent)
    context.rely(x, extent.symmetric())
    narrow = context.at_fraction(x, fraction)
    bits = math.ceil(math.log2(extent.magnitude * 2**fraction + 1)) + 2
    negative = context.emit("open_bits", comparison(context, narrow, bits, (0,)))
    result = Range(0.0, max(extent.high, 0.0))
    return Lowered(selected(context, open_for_product(context, x, fraction), negative, (1, -1), result))
