"""The maximum of every row by comparing pairs, level by level: for programs without a dealer.

log2(length) levels of two or three ticks each, where `row_reaches` takes two in all. But a comparison of
small integers costs two parties some hundred bits to prepare, and the one-hots of `row_reaches` above a
thousand.
"""

from __future__ import annotations

from mpcc.ir.program import Value
from mpcc.ir.types import Range
from mpcc.passes.lower.context import Context, ring_of
from mpcc.passes.lower.products import rectified


def row_maximum(context: Context, scores: Value, extent: Range) -> Value:
    """The largest of the last axis, which stays with length 1, of values within `extent`: exact, at their own
    fraction.
    """
    fraction = ring_of(scores).fraction
    spread = extent.high - extent.low
    difference = Range(-spread, spread)
    rows = scores
    while (length := ring_of(rows).shape[-1]) > 1:
        half = length // 2
        first, second, odd = (
            _columns(context, rows, start, stop)
            for start, stop in ((0, half), (half, 2 * half), (2 * half, length))
        )
        ahead = context.emit("sub", first, second, extent=difference)
        gained = rectified(context, ahead, difference, fraction, Range(0.0, spread))
        rows = context.emit("add", second, gained, extent=extent)
        if length % 2:
            rows = context.emit("concat", rows, odd, axis=len(ring_of(rows).shape) - 1, extent=extent)
    return rows


def _columns(context: Context, rows: Value, start: int, stop: int) -> Value:
    """Of the last axis."""
    *lead, _ = ring_of(rows).shape
    return context.emit(
        "slice", rows, starts=(*(0,) * len(lead), start), stops=(*lead, stop), steps=(1,) * (len(lead) + 1)
    )
