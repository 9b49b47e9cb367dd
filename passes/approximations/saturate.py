"""Sine series between a function's tails: few harmonics whatever the range, and right for any argument.

Costs two comparisons and a product more than a series, and the harmonics of the curved part only. The idea is
SecFormer's (Findings of ACL 2024), with tails cut where they are as accurate as the series.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.polynomial.polynomial import polyval

from mpcc.passes.approximations.functions import FUNCTIONS
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.series import fit_series
from mpcc.passes.approximations.tails import tail, tail_start

GRID = 64  # thresholds are multiples of 1 / GRID
SOURCE = "own fit: regularised least squares between tails"


@lru_cache(maxsize=256)
def saturated_series(function: str, low: float, high: float, max_error: float) -> Piecewise:
    """The shortest series within `max_error` on the part of [low, high] which no tail is within it of.

    The domain is infinite where a tail begins within the range. `error` may be larger than asked, as
    `fit_series` may. Raises ValueError where no tail begins within the range, or all of it is one, and what
    `fit_series` raises.
    """
    cuts = [_cut(function, side, low, high, max_error) for side in (0, 1)]
    ends = [end if cut is None else cut for end, cut in zip((low, high), cuts, strict=True)]
    if cuts == [None, None] or ends[0] >= ends[1]:
        raise ValueError(f"{function} on [{low:.4g}, {high:.4g}] is no curve between tails")
    fitted = fit_series(function, ends[0], ends[1], max_error)
    thresholds, rows, gates = [], [fitted.rows[0]], [1.0]
    domain, error = list(fitted.domain), fitted.error
    for side, (cut, row) in enumerate(zip(cuts, (tail(function, 0), tail(function, 1)), strict=True)):
        if cut is None or row is None:
            continue
        thresholds.append(cut)
        rows.insert(side * len(rows), row)
        gates.insert(side * len(gates), 0.0)
        domain[side] = math.inf if side else -math.inf
        error = max(error, abs(float(FUNCTIONS[function].evaluate(np.array(cut)) - polyval(cut, row))))
    return replace(
        fitted,
        name="saturated-series",
        domain=(domain[0], domain[1]),
        error=error,
        source=SOURCE,
        thresholds=tuple(thresholds),
        rows=tuple(rows),
        gates=tuple(gates),
    )


def _cut(function: str, side: int, low: float, high: float, error: float) -> float | None:
    """Where the tail is within the error, on a grid; None where that is not within the range."""
    if tail(function, side) is None:
        return None
    away = math.ceil if side else math.floor
    cut = away(tail_start(function, side, error) * GRID) / GRID
    return cut if low < cut < high else None
