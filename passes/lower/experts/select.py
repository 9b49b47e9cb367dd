"""Selection by rows of 0 and 1: a matrix product in a ring just wide enough for what is selected.

A row holds at most one 1, so the product is one of the values, whatever the others hold: openings need the
range of the result only, and its few elements are then widened.
"""

from __future__ import annotations

from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Range
from mpcc.passes.lower.context import Context, Lowered, lowers
from mpcc.passes.lower.linear import opened_at_root
from mpcc.passes.lower.products import factor_fraction


@lowers("select")
def lower_select(context: Context, operation: Operation) -> Lowered:
    rows, y = operation.operands
    extent = context.range_of(operation.result)
    return Lowered(select(context, context.plain_share(rows), context.plain_share(y), extent))


def select(context: Context, rows: Value, y: Value, extent: Range) -> Value:
    """Rows of 0 and 1 [.., m, n] times y [.., n, d], at the fraction of a factor, in any ring."""
    chooser = opened_at_root(context, rows, 0)
    values = opened_at_root(context, y, factor_fraction(context, y))
    product = context.emit("matmul", chooser, values, extent=extent)
    return context.emit("widen", product, extent=extent)
