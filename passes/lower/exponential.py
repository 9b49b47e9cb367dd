"""Lowering of exp on its own: relative to the largest result, by the protocol that softmax has."""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.exponentials import EXPONENTIAL, ExponentialProtocol, Limit
from mpcc.passes.lower.activations import by_approximation
from mpcc.passes.lower.context import Context, Lowered, lowers, ring_of
from mpcc.passes.lower.softmax.exponentials import (
    EXPONENT_FRACTION,
    EXPONENTIAL_FRACTION,
    by_protocol,
    exponential,
    protocol_bits,
)

COARSEST, FINEST = 18, 20  # fraction bits of results relative to the largest one; the protocol has about 17
SMALLEST = -24  # results are relative to 2^-24 at least: smaller ones are 0 to everything else
EDGE = 2.0**-10  # the domain's ends are sharp


@lowers("exp")
def lower_exp(context: Context, operation: Operation) -> Lowered:
    """2^k exp(x - k ln 2) with 2^k above all results: the product is free, the error relative to 2^k."""
    form = context.plan.get(operation.result.name, EXPONENTIAL)
    if not isinstance(form, ExponentialProtocol | Limit):
        return Lowered(by_approximation(context, operation, form))
    x, extent = context.plain_share(operation.operands[0]), context.internal(operation.result, "input")
    k = max(math.ceil(math.log2(context.range_of(operation.result).high)), SMALLEST)
    top = k * math.log(2.0)
    low = min(extent.low, top - 1.0) - top
    context.use(operation, form, top + low, top)
    context.rely(x, Range(top + low, top - EDGE))
    narrow = context.at_fraction(x, EXPONENT_FRACTION)
    argument = context.emit(
        "sub", narrow, context.public(np.asarray(top), EXPONENT_FRACTION), extent=Range(low, 0.0)
    )
    fraction = min(max(context.formats.activation + k, COARSEST), FINEST)
    if isinstance(form, ExponentialProtocol) and low > EDGE - _reach(form):
        values = _unclipped(context, form, argument, fraction)
    else:
        values = exponential(context, form, argument, low, fraction)
    return Lowered(
        context.emit("reinterpret", values, fraction=ring_of(values).fraction - k, extent=Range(0.0, 2.0**k))
    )


def _reach(form: ExponentialProtocol) -> float:
    """How far below 0 the protocol's domain begins."""
    return 2.0 ** (protocol_bits(form) - 1 - EXPONENT_FRACTION)


def _unclipped(context: Context, form: ExponentialProtocol, argument: Value, fraction: int) -> Value:
    """Of arguments that surely are within the protocol's domain: two ticks."""
    values = by_protocol(context, form, argument)
    return context.emit("truncate", values, bits=EXPONENTIAL_FRACTION - fraction, extent=Range(0.0, 1.0))
