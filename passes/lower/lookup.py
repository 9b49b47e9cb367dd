"""Lowering of tables: the one-hot vector of a secret index times a public table."""

from __future__ import annotations

import numpy as np

from mpcc.ir.program import Value
from mpcc.ir.types import Range
from mpcc.passes.approximations.lookup import Lookup
from mpcc.passes.lower.context import Context, ring_of


def looked_up(context: Context, x: Value, lookup: Lookup) -> Value:
    """The table's entry for every element of a share: two ticks, 2^bits dealt for each.

    What is dealt has a ring just wide enough for the entries; the last tick widens it.
    """
    context.rely(x, Range(*lookup.domain))
    fraction, entry = ring_of(x).fraction, context.formats.activation
    # an index is rounded to either side of where the argument lies, counted from the first cell's middle
    first = context.public(np.asarray(-(lookup.low + lookup.step / 2)), fraction)
    cells = context.at_fraction(context.emit("add", x, first), -lookup.step_log2)
    index = context.emit("reinterpret", cells, fraction=0)
    chosen = context.emit("one_hot", index, bits=lookup.bits)
    extent = Range(float(lookup.table.min()), float(lookup.table.max()))
    column = context.public(lookup.table[:, None], entry)
    value = context.emit("matmul_public", chosen, column, extent=extent)
    value = context.emit("reshape", value, shape=ring_of(x).shape, extent=extent)
    return context.emit("truncate", value, bits=0, extent=extent)
