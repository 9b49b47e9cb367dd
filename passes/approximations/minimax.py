"""The compiler's own segmented polynomials: minimax by segment, with coefficients as they will be used."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from mpcc.passes.approximations.equalise import Segments, Target, equalised
from mpcc.passes.approximations.functions import FUNCTIONS
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.remez import points
from mpcc.passes.approximations.rounding import ARGUMENT_FRACTION, polynomial_format
from mpcc.passes.approximations.tails import tail

DEGREES = range(1, 7)  # up to the third power one opening does, up to the sixth two
ROUNDINGS = 8  # a format of rounded coefficients may be coarser, and round again
DENSE = 1025  # points of a segment where the error is measured,
MARGIN = 1.001  # of the error between them
SOURCE = "own fit: minimax by segment"


@lru_cache(maxsize=512)
def fit_segments(
    function: str, low: float, high: float, degree: int, max_error: float, max_thresholds: int = 24
) -> Piecewise:
    """The fewest segments of `degree` (see DEGREES) whose error on [low, high] is at most `max_error`.

    Where a tail of the function begins within the range, that end saturates and the domain is infinite. The
    rows hold coefficients as they will be used, `error` is theirs. Raises ValueError where `max_thresholds`
    do not reach the error or come too close, and for a range that is empty or on which the function has no
    values.
    """
    if degree not in DEGREES or not max_error > 0:
        raise ValueError(f"no fit has a degree of {degree} and an error of {max_error}")
    if not (low < high and math.isfinite(high - low)) or (FUNCTIONS[function].positive and low <= 0):
        raise ValueError(f"{function} cannot be fitted on [{low}, {high}]")
    target, count = Target(function, low, high, degree), 1
    while (segments := equalised(target, count)).thresholds <= max_thresholds:
        if segments.error <= max_error and (fitted := rounded(target, segments)).error <= max_error:
            return fitted
        count += 1
    raise ValueError(
        f"{function} on [{low:.4g}, {high:.4g}]: {max_thresholds} thresholds and degree {degree} do not reach"
        f" an error of {max_error:.2g}"
    )


@lru_cache(maxsize=2048)
def rounded(target: Target, segments: Segments) -> Piecewise:
    """With coefficients as they will be used. Raises ValueError where they have no fixed-point format."""
    thresholds, rows = list(segments.edges[1:-1]), list(segments.rows)
    domain = [target.low, target.high]
    for side, row in enumerate(tail(target.function, side) for side in (0, 1)):
        if segments.saturated[side] and row is not None:
            thresholds.insert(side * len(thresholds), segments.edges[-side])
            rows.insert(side * len(rows), row)
            domain[side] = math.inf if side else -math.inf
    piecewise = Piecewise(
        name=f"segments-{len(thresholds)}x{target.degree}",
        function=target.function,
        domain=(domain[0], domain[1]),
        error=segments.error,
        source=SOURCE,
        thresholds=tuple(thresholds),
        rows=tuple(rows),
    )
    for _ in range(ROUNDINGS):
        used = _as_used(piecewise, target)
        if used == piecewise:
            return used
        piecewise = used
    raise ValueError(f"{piecewise.name}: rounding the coefficients finds no end")


def _as_used(piecewise: Piecewise, target: Target) -> Piecewise:
    form = polynomial_format(piecewise, target.low, target.high, ARGUMENT_FRACTION)
    rows = [np.trim_zeros(row, "b") or (0.0,) for row in form.rounded(piecewise).rows]
    used = replace(piecewise, rows=tuple(rows))
    return replace(used, error=_error(used, target))


def _error(piecewise: Piecewise, target: Target) -> float:
    """On a dense grid with both sides of every threshold. A tail is worst where it begins."""
    edges = np.array([target.low, *piecewise.thresholds, np.nextafter(target.high, math.inf)])
    x = points(edges[:-1], np.nextafter(edges[1:], -math.inf), DENSE)
    off = np.abs(piecewise.evaluate(x) - FUNCTIONS[piecewise.function].evaluate(x))
    return MARGIN * float(off.max())
