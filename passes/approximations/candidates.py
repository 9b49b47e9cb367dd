"""The compiler's own approximations of a function on a range: what choosing picks from.

Sine series, segmented polynomials and tables, each at several errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval

from mpcc.ir.types import Range
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.functions import FUNCTIONS
from mpcc.passes.approximations.lookup import lookup
from mpcc.passes.approximations.minimax import DEGREES, fit_segments
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.rounding import ARGUMENT_FRACTION, polynomial_format, segments
from mpcc.passes.approximations.saturate import saturated_series
from mpcc.passes.approximations.series import fit_series
from mpcc.passes.approximations.tails import tail, tail_start

Fit = Callable[[str, float, float, float], Piecewise]
SEGMENT_ERRORS = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5)  # of values up to 1, see `_scale`
SERIES_ERRORS = (1e-2, 2e-3, 5e-4, 1e-4)  # fixed point adds as much as the last; a harmonic changes much
SERIES_SAFETY = 1.2  # how far series and tables reach beyond the calibrated range, at least
TABLE_BITS = (6, 7, 8)
TABLE_ERROR = 3e-2
DIGITS = 4  # binary, of a range's ends: they are moved outward, so that layers share fits
FINEST = 1 / 16  # of the larger end: a smaller one has no finer steps than this one
LEAST_REACH = 1.0  # on both sides of 0
WIDEST_RATIO = 64.0  # of the ends of a positive range: beyond it, octaves are to be scaled apart
MOST_THRESHOLDS = 24
DEALT = 100  # elements for an argument, at most; (2 * degree + 1) for a threshold
POINTS = 65  # of a segment, where slopes are taken


@lru_cache(maxsize=256)
def candidates(
    function: str, low: float, high: float, safety: float = 2.0, smallest: float = SEGMENT_ERRORS[-1]
) -> tuple[Approximation, ...]:
    """Approximations for arguments in [low, high], a calibrated range widened by `safety`, whose errors are
    `smallest` or more.

    Segments and saturated series hold on all of the range, and on any where the function has tails; series
    and tables on the calibrated range and a fifth. Names are unique: series-HARMONICS,
    saturated-series-HARMONICS, segments-THRESHOLDSxDEGREE, table-ENTRIES. Left out is only what costs no
    less in rounds, bytes and dealt bytes than another of its kind, and is no more accurate.

    Empty for a positive function on a range that reaches 0 or spans too many octaves.
    """
    extent = Range(low, high)
    near = _outward(function, extent.widen(SERIES_SAFETY / safety))
    if FUNCTIONS[function].positive and (near.low <= 0 or near.high > WIDEST_RATIO * near.low):
        return ()
    far = _outward(function, _without_tails(function, extent))
    return (
        *_series(function, near, smallest, fit_series),
        *_series(function, far, smallest, saturated_series),
        *_segments(function, far, smallest),
        *_tables(function, near),
    )


def _outward(function: str, extent: Range) -> Range:
    """To ends with few binary digits, apart from each other."""
    if FUNCTIONS[function].positive:
        return Range(0.0 - _next(-extent.low, 0.0), _next(extent.high, 0.0))
    if extent.magnitude < LEAST_REACH:
        return Range(-LEAST_REACH, LEAST_REACH)
    finest = extent.magnitude * FINEST
    return Range(0.0 - _next(-extent.low, finest), _next(extent.high, finest))


def _next(end: float, finest: float) -> float:
    """The next number above, in steps by the size of the number, or larger ones; 0 stays."""
    if end == 0:
        return 0.0
    unit = 2.0 ** (math.frexp(max(abs(end), finest))[1] - DIGITS)
    return (math.floor(end / unit) + 1) * unit


def _without_tails(function: str, extent: Range) -> Range:
    """Cut where all tails have begun: fits are the same for all ranges around 0 that reach so far."""
    low, high = extent.low, extent.high
    if not low <= 0.0 <= high:
        return extent
    if tail(function, 0) is not None:
        low = max(low, tail_start(function, 0, 0.0))
    if tail(function, 1) is not None:
        high = min(high, tail_start(function, 1, 0.0))
    return Range(low, high)


def _scale(function: str, extent: Range) -> float:
    """What errors are multiplied by: 1 where a tail keeps the fitted part of the function small."""
    if tail(function, 1) is not None:
        return 1.0
    return float(np.abs(FUNCTIONS[function].evaluate(np.array([extent.low, extent.high]))).max())


def _errors(errors: tuple[float, ...], smallest: float, scale: float) -> list[float]:
    return [scale * error for error in errors if error >= smallest]


def _series(function: str, extent: Range, smallest: float, fit: Fit) -> list[Approximation]:
    """By harmonics; with equally many the last is the most accurate."""
    errors = _errors(SERIES_ERRORS, smallest, _scale(function, extent))
    found: dict[str, Approximation] = {}
    for error in errors:
        try:
            fitted = fit(function, extent.low, extent.high, error)
        except ValueError:  # nothing saturates at this error; a smaller one does so farther out
            break
        assert fitted.series is not None
        if fitted.error > errors[0]:
            break
        name = f"{fitted.name}-{len(fitted.series.harmonics)}"
        found[name] = replace(fitted, name=name)
        if fitted.error > error:
            break
    return list(found.values())


def _segments(function: str, extent: Range, smallest: float) -> list[Approximation]:
    """By degree, then by thresholds; the more accurate the more it costs."""
    errors = _errors(SEGMENT_ERRORS, smallest, _scale(function, extent))
    terms: dict[Piecewise, tuple[int, int, float]] = {}
    for degree in DEGREES:
        most = min(MOST_THRESHOLDS, DEALT // (2 * degree + 1))
        for error in errors:
            try:
                fitted = fit_segments(function, extent.low, extent.high, degree, error, most)
            except ValueError:  # nor is a smaller error to be had
                break
            total = fitted.error + _argument_error(fitted, extent)
            terms[fitted] = (fitted.degree, len(fitted.thresholds), total)
    kept: dict[Piecewise, tuple[int, int, float]] = {}
    for fitted, term in sorted(terms.items(), key=lambda item: item[1]):
        if not any(np.less_equal(other, term).all() for other in kept.values()):
            kept[fitted] = term
    return list(kept)


def _argument_error(piecewise: Piecewise, extent: Range) -> float:
    """What rounding z and z^2 adds: high powers leave them fewer fraction bits."""
    form = polynomial_format(piecewise, extent.low, extent.high, ARGUMENT_FRACTION)
    total = 0.0
    for row, (left, right) in zip(
        piecewise.rows, segments(piecewise.thresholds, extent.low, extent.high), strict=True
    ):
        x = np.linspace(left, right, POINTS)
        error = np.abs(polyval(x, polyder(row))) * 2.0**-form.argument
        if form.square is not None and len(row) > 2:
            by_square = [c * (i // 2) for i, c in enumerate(row)][2:]
            error = error + np.abs(polyval(x, by_square)) * 2.0**-form.square
        total = max(total, float(error.max()))
    return total


def _tables(function: str, extent: Range) -> list[Approximation]:
    limit = TABLE_ERROR * _scale(function, extent)
    found: list[Approximation] = []
    for bits in TABLE_BITS:
        try:
            table = lookup(function, extent.low, extent.high, bits)
        except ValueError:  # a coarse one reaches beyond the range, where the function may overflow
            continue
        if table.error <= limit:
            found.append(replace(table, name=f"table-{2**bits}"))
    return found
