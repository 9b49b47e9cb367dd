"""Comparisons of all pairs, and bits as numbers: what ranks are counted with."""

from __future__ import annotations

import math

from mpcc.ir.program import Value
from mpcc.ir.types import Range
from mpcc.passes.lower.context import Context, ring_of
from mpcc.passes.lower.correlation_rules import fewest_blocks
from mpcc.passes.lower.products import known

UNIT = Range(0.0, 1.0)


def order_bits(context: Context, share: Value) -> int:
    """Bits that hold the difference of any two values of the share, untruncated, as a comparison wants it."""
    extent = known(context, share)
    span = (extent.high - extent.low) * 2.0 ** ring_of(share).fraction
    return max(2, math.ceil(math.log2(span + 1)) + 1)


def opened_to_compare(context: Context, share: Value) -> Value:
    """The share opened once for comparisons of any two of its values, with all its fraction bits: values that
    are equal stay equal.
    """
    context.rely(share, known(context, share))
    return context.opened(share, ring_of(share).fraction, order_bits(context, share))


def less(context: Context, first: Value, second: Value, bits: int) -> Value:
    """[first < second] as a number 0 or 1, for masked values whose difference has `bits` bits."""
    difference = context.emit("sub", first, second)
    width = fewest_blocks(bits)  # bytes count where every value is in many pairs
    below = context.emit("less_than", difference, bits=bits, width=width, thresholds=(0,))
    opened = context.emit("open_bits", below)
    return context.emit(
        "product", opened, factors=("bits",), coefficients=((0, 1),), fractions=(0,), extent=UNIT
    )


def swapped_axes(rank: int, first: int, second: int) -> tuple[int, ...]:
    """The permutation that exchanges two axes."""
    axes = list(range(rank))
    axes[first], axes[second] = axes[second], axes[first]
    return tuple(axes)


def first_columns(context: Context, share: Value, count: int) -> Value:
    """So many of the last axis."""
    stops = (*ring_of(share).shape[:-1], count)
    return context.emit("slice", share, starts=(0,) * len(stops), stops=stops, steps=(1,) * len(stops))
