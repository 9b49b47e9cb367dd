"""Lowering of Goldschmidt's iteration: one tick an iteration, as q M(q)^k and r M(q) are products of the same
openings (docs/protocols/goldschmidt.md).
"""

from __future__ import annotations

import math

from mpcc.ir.program import Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.convergence import multiplier_power
from mpcc.passes.approximations.goldschmidt import (
    CONSTANT_BITS,
    GUARD,
    PRODUCT_BITS,
    GoldschmidtPower,
    Iteration,
)
from mpcc.passes.lower.context import Context, ring_of
from mpcc.passes.lower.normalise import below_thresholds, opened_argument, scaled
from mpcc.passes.lower.products import open_for_product, step_row


def lower_goldschmidt(context: Context, x: Value, power: GoldschmidtPower, scale: float) -> Value:
    """scale * x^exponent: a tick an iteration, and three before them where the start looks up a table."""
    q, r = _start(context, x, power, scale)
    for index, iteration in enumerate(power.iterations):
        last = index == len(power.iterations) - 1
        coarse = _opened(context, q, iteration.argument)
        next_q = None if last else _next_q(context, q, coarse, power, iteration)
        extent = Range(iteration.r[0] * scale, iteration.r[1] * scale)
        if r is None:
            r = _first_r(context, coarse, power, iteration, scale, extent)
        else:
            fraction = _r_fraction(iteration, scale)
            r = context.emit(
                "product",
                _opened(context, r, fraction),
                coarse,
                factors=("value", "polynomial"),
                coefficients=((), iteration.multiplier),
                fractions=(fraction, iteration.fraction),
                extent=extent,
            )
        q = next_q if next_q is not None else q
    assert r is not None
    return r


def _r_fraction(iteration: Iteration, scale: float) -> int:
    """Fraction bits at which r is opened: its formats count on the power of two above the scale."""
    assert iteration.r_fraction is not None
    return iteration.r_fraction - math.ceil(math.log2(scale))


def _times(context: Context, x: Value, factor: int, fraction: int, finest: int, extent: Range) -> Value:
    """x times factor / 2^fraction, from no more bits of x than a result with `finest` fraction bits needs."""
    enough = finest + GUARD + math.ceil(math.log2(factor)) - fraction
    narrow = context.at_fraction(x, min(enough, ring_of(x).fraction))
    return context.emit("scale", narrow, factor=factor, fraction=fraction, extent=extent)


def _opened(context: Context, share: Value, fraction: int) -> Value:
    return open_for_product(context, context.at_fraction(share, fraction), fraction)


def _next_q(
    context: Context, q: Value, coarse: Value, power: GoldschmidtPower, iteration: Iteration
) -> Value:
    assert iteration.q_fraction is not None
    k = multiplier_power(power.exponent)
    return context.emit(
        "product",
        _opened(context, q, iteration.q_fraction),
        coarse,
        factors=("value", "polynomial"),
        coefficients=((), iteration.powered(k)),
        fractions=(iteration.q_fraction, k * iteration.fraction),
        extent=Range(*iteration.q),
    )


def _first_r(
    context: Context,
    coarse: Value,
    power: GoldschmidtPower,
    iteration: Iteration,
    scale: float,
    extent: Range,
) -> Value:
    """The first multiplier times the constant which r starts from: one polynomial, as fine as it fits."""
    constant = scale * power.real_eta**-power.exponent
    fraction = PRODUCT_BITS - 1 - math.ceil(math.log2(extent.high))
    coefficients = tuple(
        round(c * 2.0 ** (fraction - iteration.fraction) * constant) for c in iteration.multiplier
    )
    return context.emit(
        "product",
        coarse,
        factors=("polynomial",),
        coefficients=(coefficients,),
        fractions=(fraction,),
        extent=extent,
    )


def _start(context: Context, x: Value, power: GoldschmidtPower, scale: float) -> tuple[Value, Value | None]:
    """q and r before the first iteration; r is None where it is a public constant."""
    q_extent, r_extent = Range(*power.q), Range(power.r[0] * scale, power.r[1] * scale)
    if power.octaves is None:
        first = power.iterations[0]
        finest = max(first.argument, first.q_fraction or 0)
        q = _times(context, x, power.eta, power.eta_fraction, finest, q_extent)
        if power.starts_from_one:
            return q, None
        constant = scale * math.sqrt(power.real_eta)
        fraction = CONSTANT_BITS - math.floor(math.log2(constant))
        return q, _times(
            context, x, round(constant * 2.0**fraction), fraction, _r_fraction(first, scale), r_extent
        )
    below = below_thresholds(context, x, power.octaves)
    q = scaled(context, x, below, power.octaves, q_extent)
    if power.exponent > 0:
        outputs = tuple(scale * o for o in power.octaves.outputs(-power.exponent))
        fraction = CONSTANT_BITS - math.floor(math.log2(min(outputs)))
        opened = opened_argument(context, x, power.octaves)
        r = context.emit(
            "product",
            opened,
            below,
            factors=("value", "bits"),
            coefficients=((), step_row(outputs, fraction)),
            fractions=(ring_of(opened).fraction, fraction),
            extent=r_extent,
        )
        return q, r
    outputs = tuple(scale * o for o in power.octaves.outputs(power.exponent))
    fraction = _r_fraction(power.iterations[0], scale)
    r = context.emit(
        "product",
        below,
        factors=("bits",),
        coefficients=(step_row(outputs, fraction),),
        fractions=(fraction,),
        extent=r_extent,
    )
    return q, r
