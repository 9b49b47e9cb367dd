"""Lowering of elementwise products and of selected factors."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range, Visibility
from mpcc.passes.lower.context import Context, Lowered, bits_for, lowers, ring_of
from mpcc.passes.lower.correlation_rules import block_width

SQUARE = (0, 0, 1)
WIDE_BITS = (
    56  # integer and fraction bits above which a public product takes fewer fraction bits of its operand
)
RELATIVE_BITS = 16


def known(context: Context, share: Value) -> Range:
    extent = ring_of(share).range
    if extent is None:
        raise ValueError(f"%{share.name} was lowered without a range")
    return extent


def with_range(context: Context, share: Value, extent: Range) -> Value:
    """The share with `extent` as its range, if it has none of its own."""
    if ring_of(share).range is not None:
        return share
    return context.emit("reinterpret", share, fraction=ring_of(share).fraction, extent=extent)


def open_for_product(context: Context, share: Value, fraction: int) -> Value:
    return context.opened(share, fraction, bits_for(known(context, share), fraction))


def product_fraction(context: Context, share: Value) -> int:
    """Fraction bits at which a factor is opened: the activation's, more for small values, fewer for large
    ones.
    """
    extent = known(context, share)
    wanted = context.formats.activation + max(0, -math.floor(math.log2(extent.magnitude + 1e-30)) - 1)
    return min(ring_of(share).fraction, wanted, 24)


def factor_fraction(context: Context, share: Value) -> int:
    """Fraction bits at which a factor of a product with weights is served, or opened for a matrix product."""
    if ring_of(share).range is None:
        return min(ring_of(share).fraction, context.formats.activation)
    return product_fraction(context, share)


def multiply(
    context: Context, a: Value, b: Value, extent: Range, fractions: tuple[int, int] | None = None
) -> Value:
    """Elementwise product of two shares with known ranges; its own range is `extent`."""
    fa, fb = fractions or (product_fraction(context, a), product_fraction(context, b))
    if a is b:
        opened = open_for_product(context, a, fa)
        return square(context, opened, extent)
    return product_of(context, open_for_product(context, a, fa), open_for_product(context, b, fb), extent)


def product_of(context: Context, x: Value, y: Value, extent: Range) -> Value:
    """Elementwise product of two masked values."""
    return context.emit(
        "product",
        x,
        y,
        factors=("value", "value"),
        coefficients=((), ()),
        fractions=(ring_of(x).fraction, ring_of(y).fraction),
        extent=extent,
    )


def square(context: Context, opened: Value, extent: Range | None = None) -> Value:
    """Elementwise square of a masked value."""
    fraction = 2 * ring_of(opened).fraction
    return context.emit(
        "product",
        opened,
        factors=("polynomial",),
        coefficients=(SQUARE,),
        fractions=(fraction,),
        extent=extent,
    )


def selected(
    context: Context, opened: Value, bits: Value, row: tuple[int, ...], extent: Range | None
) -> Value:
    """A masked value times row[0] + sum_t row[t+1] b_t."""
    return context.emit(
        "product",
        opened,
        bits,
        factors=("value", "bits"),
        coefficients=((), row),
        fractions=(ring_of(opened).fraction, 0),
        extent=extent,
    )


def step_row(levels: tuple[float, ...], fraction: int) -> tuple[int, ...]:
    """Coefficients that select level i where i thresholds are at or below the value.

    The bits say [value < threshold].
    """
    encoded = [round(v * 2.0**fraction) for v in levels]
    return (encoded[-1], *(a - b for a, b in pairwise(encoded)))


def comparison(
    context: Context,
    share: Value,
    fraction: int,
    bits: int,
    thresholds: tuple[int, ...],
    opened_at: int | None = None,
) -> Value:
    """[x < t] for thresholds of `fraction` bits, of a share opened at that fraction, or at `opened_at` where
    that is more, as products want it: then the opening is theirs, too, and its low bits are dropped.

    |x - t| < 2^(bits - 1) units.
    """
    width = block_width(context.correlations, bits, len(thresholds))
    drop = max(fraction, opened_at or fraction) - fraction
    opened = context.opened(share, fraction + drop, bits + drop)
    return context.emit("less_than", opened, bits=bits, width=width, drop=drop, thresholds=thresholds)


def rectified(context: Context, share: Value, extent: Range, fraction: int, result: Range) -> Value:
    """max(share, 0) at `fraction` bits, for a share within `extent`; its own range is `result`."""
    bits = math.ceil(math.log2(extent.magnitude * 2**fraction + 1)) + 2
    below = comparison(context, share, fraction, bits, (0,))
    negative = context.emit("open_bits", below)
    return selected(context, open_for_product(context, share, fraction), negative, (1, -1), result)


def relative_fraction(extent: Range, bits: int = RELATIVE_BITS) -> int:
    """Fraction bits that give the smallest value of a positive range `bits` significant bits."""
    return bits - math.floor(math.log2(extent.low))


@lowers("mul")
def lower_mul(context: Context, operation: Operation) -> Lowered:
    a, b = operation.operands
    if context.tensor_constant(a) is not None:
        a, b = b, a
    extent = context.range_of(operation.result)
    constant = context.tensor_constant(b)
    x = context.plain_share(a)
    if constant is None:
        return Lowered(
            multiply(context, relied_on(context, x), relied_on(context, context.plain_share(b)), extent)
        )
    return Lowered(times_constant(context, x, constant, context.visibility(b), extent))


def times_constant(
    context: Context, x: Value, constant: np.ndarray, known_to: Visibility, extent: Range
) -> Value:
    """x times the array of a tensor-stage constant; public arithmetic only if everybody knows it."""
    shape = np.broadcast_shapes(ring_of(x).shape, constant.shape)
    if known_to is not Visibility.PUBLIC:
        return _times_weight(context, x, constant, shape, extent)
    if constant.size == 1 and _is_power_of_two(float(constant.reshape(-1)[0])):
        moved = _times_power_of_two(context, x, float(constant.reshape(-1)[0]), extent)
        return moved if ring_of(x).shape == shape else context.emit("reshape", moved, shape=shape)
    return times_public(context, x, constant, extent)


def relied_on(context: Context, share: Value) -> Value:
    """A factor of a product, which opens it in as many bits as its range needs."""
    context.rely(share, known(context, share).symmetric())
    return share


def times_public(context: Context, x: Value, constant: np.ndarray, extent: Range) -> Value:
    """x times a public array, whose fraction bits give its largest entry 14 significant bits (exact where it
    can).

    Where x has many fraction bits, as powers have, it gives up those that the product has no room for.
    """
    largest = float(np.abs(constant).max(initial=0.0)) or 1.0
    fraction = context.formats.weight - math.floor(math.log2(largest)) - 1
    if ring_of(x).range is not None:
        excess = bits_for(extent, ring_of(x).fraction + fraction) - WIDE_BITS
        spare = ring_of(x).fraction - product_fraction(context, x)
        x = context.at_fraction(x, ring_of(x).fraction - max(0, min(excess, spare)))
    doubled = np.asarray(constant, np.float64) * 2.0**fraction  # float16 has no room for it
    while fraction > 0 and np.array_equal(np.rint(doubled / 2), doubled / 2):
        fraction, doubled = fraction - 1, doubled / 2
    return context.emit("mul_public", x, context.public(constant, max(0, fraction)), extent=extent)


def _is_power_of_two(value: float) -> bool:
    return value != 0 and math.frexp(abs(value))[0] == 0.5


def _times_power_of_two(context: Context, x: Value, factor: float, extent: Range) -> Value:
    exponent = math.frexp(abs(factor))[1] - 1
    moved = context.emit("reinterpret", x, fraction=ring_of(x).fraction - exponent, extent=extent)
    return moved if factor > 0 else context.emit("scale", moved, factor=-1, fraction=0, extent=extent)


def _times_weight(
    context: Context, x: Value, weight: np.ndarray, shape: tuple[int, ...], extent: Range
) -> Value:
    if ring_of(x).shape != shape:
        x = context.emit("expand", x, shape=shape)
    served = context.served(x, factor_fraction(context, x))
    return context.emit("gain", served, context.weight(weight, context.formats.weight), extent=extent)


@lowers("square")
def lower_square(context: Context, operation: Operation) -> Lowered:
    x = relied_on(context, context.plain_share(operation.operands[0]))
    return Lowered(multiply(context, x, x, context.range_of(operation.result)))
