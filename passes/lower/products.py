"""Lowering of elementwise products, of powers by segments, and of selected factors."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range, Visibility
from mpcc.passes.approximations.powers import power
from mpcc.passes.lower.context import Context, Lowered, bits_for, lowers, ring_of

SQUARE = (0, 0, 1)
NORMALISED_FRACTION = 14  # of z - 1 in powers
SQUARE_BITS = 5  # fraction bits of a polynomial's last coefficient
POLYNOMIAL_FRACTION = 2 * NORMALISED_FRACTION + SQUARE_BITS
PRODUCT_FRACTION = 60  # fraction and integer bits of a segmented power's result
WIDEST_SCALE = 59  # fraction bits of a product that scales to [1, 2)
WIDE_RECIPROCAL = 2.0**14
SMALLEST_BITS = 8  # significant bits of its smallest value
WIDE_BITS = (
    56  # integer and fraction bits above which a public product takes fewer fraction bits of its operand
)
RELATIVE_BITS = 16
POWER_ROOM = 1.125  # a segmented power loses its accuracy slowly beyond its range


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
    x, y = open_for_product(context, a, fa), open_for_product(context, b, fb)
    return context.emit(
        "product", x, y, factors=("value", "value"), coefficients=((), ()), fractions=(fa, fb), extent=extent
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


def segmented_power(context: Context, q: Value, exponent: float, extent: Range, scale: float = 1.0) -> Value:
    """scale * q^exponent for a share q > 0 whose real range is `extent`: 4 ticks. q <= 0 gives a finite
    value.

    Compare with all thresholds, scale by the selected power to z in [1, 2^(1/8)), a quadratic in z - 1 times
    the selected output scale. Raises MPC-P016 where the range is too wide for the smallest results.
    """
    extent = Range(extent.low, max(extent.high, 2 * extent.low))
    context.rely(q, Range(extent.low / POWER_ROOM, extent.high * POWER_ROOM))
    approximation = power(exponent, extent.low, extent.high, square_bits=SQUARE_BITS)
    low_log2, high_log2 = math.log2(extent.low), math.log2(extent.high)
    compare_fraction = math.ceil(7 - low_log2)
    narrow = context.at_fraction(q, min(compare_fraction, ring_of(q).fraction))
    unit = 2.0 ** ring_of(narrow).fraction
    thresholds = tuple(max(1, round(t * unit)) for t in approximation.thresholds)
    compare_bits = math.ceil(math.log2(extent.high * unit + 1)) + 2
    below = context.emit("open_bits", comparison(context, narrow, compare_bits, thresholds))

    # both factors of z: together with the range's octaves they must leave the ring what z needs
    bits = min(RELATIVE_BITS, math.floor((WIDEST_SCALE - (high_log2 - low_log2)) / 2))
    fq = min(ring_of(q).fraction, math.ceil(bits - low_log2))
    opened = context.opened(q, fq, bits_for(extent, fq))
    fm = math.ceil(bits + high_log2)
    scaled = context.emit(
        "product",
        opened,
        below,
        factors=("value", "bits"),
        coefficients=((), step_row(approximation.scales, fm)),
        fractions=(fq, fm),
        extent=Range(0.0, 2.0),
    )
    z = context.at_fraction(scaled, NORMALISED_FRACTION)
    one = context.public(np.ones(()), NORMALISED_FRACTION)
    u = context.emit("sub", z, one, extent=Range(-1.0, 1.0))
    opened_u = open_for_product(context, u, NORMALISED_FRACTION)
    outputs = tuple(scale * o for o in approximation.outputs())
    result_extent = Range(min(outputs) * 0.5, max(outputs) * 1.5)
    ft = PRODUCT_FRACTION - POLYNOMIAL_FRACTION - math.ceil(math.log2(max(outputs))) - 1
    if min(outputs) * 2.0**ft < 2**SMALLEST_BITS:
        raise MpccError(
            "MPC-P016",
            f"a power of values from {extent.low:.3g} to {extent.high:.3g} spans too many magnitudes",
            where=context.place,
            remedy="check the calibration inputs, or add an epsilon to the smallest values",
        )
    coefficients = tuple(
        round(c * 2.0 ** (POLYNOMIAL_FRACTION - i * NORMALISED_FRACTION))
        for i, c in enumerate(approximation.polynomial)
    )
    return context.emit(
        "product",
        opened_u,
        below,
        factors=("polynomial", "bits"),
        coefficients=(coefficients, step_row(outputs, ft)),
        fractions=(POLYNOMIAL_FRACTION, ft),
        extent=result_extent,
    )


def step_row(levels: tuple[float, ...], fraction: int) -> tuple[int, ...]:
    """Coefficients that select level i where i thresholds are at or below the value.

    The bits say [value < threshold].
    """
    encoded = [round(v * 2.0**fraction) for v in levels]
    return (encoded[-1], *(a - b for a, b in pairwise(encoded)))


def comparison(context: Context, share: Value, bits: int, thresholds: tuple[int, ...]) -> Value:
    """[x < t] with the block width that costs least: one block up to 7 bits, else blocks of 4 or 6."""
    width = 6 if bits <= 7 or len(thresholds) > 4 else 4
    return context.emit("less_than", share, bits=bits, width=width, thresholds=thresholds)


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
            multiply(context, _relied_on(context, x), _relied_on(context, context.plain_share(b)), extent)
        )
    return Lowered(_times_constant(context, x, constant, context.visibility(b), extent))


def _times_constant(
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


def _relied_on(context: Context, share: Value) -> Value:
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
    while fraction > 0 and np.array_equal(
        np.rint(constant * 2.0 ** (fraction - 1)), constant * 2.0 ** (fraction - 1)
    ):
        fraction -= 1
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
    x = _relied_on(context, context.plain_share(operation.operands[0]))
    return Lowered(multiply(context, x, x, context.range_of(operation.result)))


@lowers("reciprocal", "rsqrt")
def lower_power(context: Context, operation: Operation) -> Lowered:
    x, extent = context.plain_share(operation.operands[0]), positive(context, operation.operands[0])
    if operation.kind == "reciprocal":
        return Lowered(reciprocal(context, x, extent))
    return Lowered(segmented_power(context, x, -0.5, extent))


def reciprocal(context: Context, x: Value, extent: Range) -> Value:
    """1 / x; over many magnitudes as the square of an inverse root, which spans half as many octaves."""
    if extent.high / extent.low < WIDE_RECIPROCAL:
        return segmented_power(context, x, -1.0, extent)
    root = segmented_power(context, x, -0.5, extent)
    fraction = relative_fraction(known(context, root))
    return multiply(context, root, root, Range(0.5 / extent.high, 2.0 / extent.low), (fraction, fraction))


@lowers("sqrt")
def lower_sqrt(context: Context, operation: Operation) -> Lowered:
    extent = positive(context, operation.operands[0])
    return Lowered(segmented_power(context, context.plain_share(operation.operands[0]), 0.5, extent))


@lowers("div")
def lower_div(context: Context, operation: Operation) -> Lowered:
    a, b = operation.operands
    extent = context.range_of(operation.result)
    divisor, dividend = context.tensor_constant(b), context.tensor_constant(a)
    if divisor is not None and np.all(divisor):
        x = context.plain_share(a)
        return Lowered(_times_constant(context, x, 1.0 / divisor, context.visibility(b), extent))
    inverse = reciprocal(context, context.plain_share(b), positive(context, b))
    fraction = relative_fraction(known(context, inverse))
    if dividend is not None:
        narrow = context.at_fraction(inverse, fraction)
        return Lowered(_times_constant(context, narrow, dividend, context.visibility(a), extent))
    x = _relied_on(context, context.plain_share(a))
    # the error of the dividend is divided, too
    small = max(0, -math.floor(math.log2(context.range_of(b).low)))
    room = WIDE_BITS - fraction - max(0, math.ceil(math.log2(extent.magnitude + 1)))
    wanted = product_fraction(context, x)
    finer = max(wanted, min(ring_of(x).fraction, wanted + small, room))
    return Lowered(multiply(context, x, inverse, extent, (finer, fraction)))


def positive(context: Context, value: Value) -> Range:
    """The range of an argument that must be positive. Raises MPC-P012 when it reaches 0 or below."""
    extent = context.range_of(value)
    if extent.low <= 0:
        raise MpccError(
            "MPC-P012",
            f"%{value.name} reaches {extent.low:g}; its reciprocal or square root needs positive values",
            where=context.place,
            remedy="add the model's epsilon inside the function, or calibrate with representative inputs",
        )
    return extent
