"""Router: the exact k largest of E logits by comparisons of all pairs, in groups and then of the groups'
best.

One opening a logit serves all its comparisons. i comes before j if x_i > x_j, or if they are equal and i < j,
so that ranks are a permutation; a one-hot of each rank says which logit has it. Source:
GShard (ICLR 2021) for the groups of a router, here of one token's logits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.lower.context import Context, Lowered, lowers, ring_of
from mpcc.passes.lower.experts.bits import (
    UNIT,
    first_columns,
    less,
    opened_to_compare,
    order_bits,
    swapped_axes,
)
from mpcc.passes.lower.linear import opened_at_root
from mpcc.passes.lower.products import known


@lowers("top_k")
def lower_top_k(context: Context, operation: Operation) -> Lowered:
    logits = context.plain_share(operation.operands[0])
    count, group = integer(operation.attributes, "k"), integer(operation.attributes, "group")
    *lead, experts = ring_of(logits).shape
    if group >= experts:
        return Lowered(_largest(context, logits, count).selection)
    groups, kept = experts // group, min(count, group)
    inside = _largest(context, context.emit("reshape", logits, shape=(*lead, groups, group)), kept)
    winners = context.emit("reshape", inside.values(context), shape=(*lead, groups * kept))
    above = _largest(context, winners, count)
    # choice -> winner of a group -> logit of the group
    outer = context.emit("reshape", above.opened(context), shape=(*lead, count, groups, kept))
    outer = context.emit("transpose", outer, permutation=swapped_axes(len(lead) + 3, -3, -2))
    both = context.emit("matmul", outer, inside.opened(context), extent=UNIT)
    both = context.emit("transpose", both, permutation=swapped_axes(len(lead) + 3, -3, -2))
    return Lowered(context.emit("reshape", both, shape=(*lead, count, experts)))


@dataclass(frozen=True)
class Largest:
    """The `selection` [.., k, n] among the `share` [.., n], opened for its comparisons as `compared`."""

    share: Value
    compared: Value
    selection: Value

    def opened(self, context: Context) -> Value:
        return opened_at_root(context, self.selection, 0)

    def values(self, context: Context) -> Value:
        """The selected values [.., k, 1], with all their fraction bits."""
        shape = ring_of(self.share).shape
        column = context.emit("reshape", self.compared, shape=(*shape, 1))
        return context.emit("matmul", self.opened(context), column, extent=known(context, self.share))


def _largest(context: Context, share: Value, count: int) -> Largest:
    size = ring_of(share).shape[-1]
    compared = opened_to_compare(context, share)
    axis = len(ring_of(share).shape) - 1
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    first, second = (
        context.emit("take", compared, axis=axis, indices=tuple(p[side] for p in pairs)) for side in (0, 1)
    )
    behind = less(context, first, second, order_bits(context, share))  # the pair's first behind its second
    column = np.zeros((len(pairs), size))
    for index, (i, j) in enumerate(pairs):
        column[index, i], column[index, j] = 1.0, -1.0
    top = Range(0.0, size - 1.0)
    counted = context.emit(
        "matmul_public", behind, context.public(column, 0), extent=Range(1.0 - size, top.high)
    )
    rank = context.emit("add", counted, context.public(np.arange(size), 0), extent=top)
    ranks = context.emit("one_hot", rank, bits=max(1, math.ceil(math.log2(size))), extent=UNIT)
    kept = first_columns(context, ranks, count)
    return Largest(
        share,
        compared,
        context.emit("transpose", kept, permutation=swapped_axes(len(ring_of(kept).shape), -2, -1)),
    )
