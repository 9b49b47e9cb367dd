"""Places of choices among the slots of their experts: prefix sums, or ranks of scores.

Claims stand in rows [.., N, E], N = k T, all first choices before the second ones. How many come before each
on its expert is a local prefix sum of the claims (first come), or a product with the comparisons of all
scores (highest scored); picking it out by the claim itself is one product, its one-hot another tick.
"""

from __future__ import annotations

import math

import numpy as np

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.lower.context import Context, Lowered, bits_for, lowers, ring_of
from mpcc.passes.lower.experts.bits import (
    UNIT,
    first_columns,
    less,
    opened_to_compare,
    order_bits,
    swapped_axes,
)
from mpcc.passes.lower.linear import opened_at_root
from mpcc.passes.lower.products import open_for_product, product_of


@lowers("assign_slots")
def lower_assign_slots(context: Context, operation: Operation) -> Lowered:
    claims, slots = _places(context, operation)
    *lead, tokens, count, experts, capacity = operation.result.type.shape  # type: ignore[union-attr]
    number = ring_of(claims).shape[-2]
    claimed = context.emit("reshape", claims, shape=(*lead, number, experts, 1))
    slot = context.emit("reshape", _opened(context, slots), shape=(*lead, number, 1, capacity))
    taken = product_of(context, claimed, slot, UNIT)
    taken = context.emit("reshape", taken, shape=(*lead, count, tokens, experts, capacity))
    return Lowered(context.emit("transpose", taken, permutation=_choices_last(len(lead), 2)))


@lowers("keep_within")
def lower_keep_within(context: Context, operation: Operation) -> Lowered:
    claims, slots = _places(context, operation)
    *lead, tokens, count, experts = operation.result.type.shape  # type: ignore[union-attr]
    kept = context.emit("sum", slots, axes=(len(lead) + 1,), keepdims=True, extent=UNIT)
    chosen = product_of(context, claims, _opened(context, kept), UNIT)
    chosen = context.emit("reshape", chosen, shape=(*lead, count, tokens, experts))
    return Lowered(context.emit("transpose", chosen, permutation=_choices_last(len(lead), 1)))


def _choices_last(lead: int, behind: int) -> tuple[int, ...]:
    """[.., k, T, *behind] to [.., T, k, *behind], or back."""
    rank = lead + 2 + behind
    return (*range(lead), lead + 1, lead, *range(lead + 2, rank))


def _places(context: Context, operation: Operation) -> tuple[Value, Value]:
    """The claims [.., N, E], opened, and the one-hot of each one's place up to the capacity [.., N, C]."""
    selection = context.plain_share(operation.operands[0])
    *lead, tokens, count, experts = ring_of(selection).shape
    number = count * tokens
    swapped = context.emit("transpose", selection, permutation=_choices_last(len(lead), 1))
    claims = context.emit("reshape", swapped, shape=(*lead, number, experts))
    opened = _opened(context, claims)
    if len(operation.operands) == 2:
        scores = context.plain_share(operation.operands[1])
        scores = context.emit("transpose", scores, permutation=_choices_last(len(lead), 0))
        ahead = _ahead(context, context.emit("reshape", scores, shape=(*lead, number)))
        wide = (opened_at_root(context, share, 0) for share in (ahead, claims))
        before = context.emit("matmul", *wide, extent=Range(0.0, float(number)))
    else:
        axes = swapped_axes(len(lead) + 2, -2, -1)
        columns = context.emit("transpose", claims, permutation=axes)
        earlier = context.public(np.triu(np.ones((number, number)), 1), 0)
        sums = context.emit("matmul_public", columns, earlier, extent=Range(0.0, float(number)))
        before = context.emit("transpose", sums, permutation=axes)
    last = max(1.0, number - 1.0)
    own = product_of(context, opened, open_for_product(context, before, 0), Range(0.0, last))
    place = context.emit("sum", own, axes=(len(lead) + 1,), keepdims=False, extent=Range(0.0, last))
    places = context.emit("one_hot", place, bits=max(1, math.ceil(math.log2(number))), extent=UNIT)
    return opened, first_columns(context, places, integer(operation.attributes, "capacity"))


def _ahead(context: Context, scores: Value) -> Value:
    """[.., N, N]: 1 where the column's claim comes before the row's, by score, equal ones in order."""
    *lead, number = ring_of(scores).shape
    opened, bits = opened_to_compare(context, scores), order_bits(context, scores)
    rows = context.emit("reshape", opened, shape=(*lead, number, 1))
    columns = context.emit("reshape", opened, shape=(*lead, 1, number))
    lower = less(context, rows, columns, bits)  # [row < column]
    later = context.public(np.triu(np.ones((number, number)), 1), 0)  # columns after their row
    ahead = context.emit("mul_public", lower, later, extent=UNIT)
    back = context.emit("transpose", ahead, permutation=swapped_axes(len(lead) + 2, -2, -1))
    earlier = context.public(np.tril(np.ones((number, number)), -1), 0)
    others = context.emit("sub", earlier, back, extent=UNIT)
    return context.emit("add", ahead, others, extent=UNIT)


def _opened(context: Context, share: Value) -> Value:
    return opened_at_root(context, share, 0, bits_for(UNIT, 0))
