"""Coefficients of a segmented polynomial as they will be used: integers with as many fraction bits as needed.

Powers up to the third come from one masked z; beyond it from z and a second masked value w = z^2, as
z^(i mod 2) w^(i div 2). The coefficient of z^a w^b carries result - a * argument - b * square fraction bits.

Rounding goes from the highest power down. What rounding c_i changes, delta x^i, is split into delta times the
monic Chebyshev polynomial of the segment, which is the error that stays, and lower powers, which are added
to the coefficients yet to be rounded (Lanczos' economisation): short high coefficients cost little accuracy.
The slopes of linear end segments are kept apart, as they multiply arguments far beyond the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.polynomial.polynomial import polyval

from mpcc.passes.approximations.functions import Array
from mpcc.passes.approximations.piecewise import Piecewise

ARGUMENT_FRACTION = 13  # fraction bits of activations
RESULT_BITS = 62  # integer and fraction bits of the result: a ring of 64 without sign and slack
ROUNDING_ERROR = 2.0**-15  # that rounding the coefficients may add, or a quarter of what the arguments' does
COARSE_ERROR = 2.0**-9  # that both may add, where values are beyond 1 relative to the largest
SQUARE_BITS = 14  # fraction bits of the result that rounding the square leaves, if there is room
ROOM = 2.0**-4  # of the result's largest value
CUBIC = 3  # powers up to this one come from one opening
WIDEST_SQUARE = 24  # fraction bits of a square, at most
POINTS = 65  # of a segment, where errors are measured
SLOPE_BITS = 28  # fraction bits of a slope, at most


@dataclass(frozen=True)
class PolynomialFormat:
    """Fraction bits of z, of w (None where powers of z do), of the result; arguments are in [low, high]."""

    argument: int
    square: int | None
    result: int
    low: float
    high: float

    def monomial(self, power: int) -> tuple[int, int]:
        """Exponents of z and w that make x^power."""
        return (power, 0) if self.square is None else (power % 2, power // 2)

    def fraction(self, power: int) -> int:
        """Fraction bits of the coefficient of x^power."""
        a, b = self.monomial(power)
        return self.result - a * self.argument - b * (self.square or 0)

    def encoded(self, piecewise: Piecewise) -> tuple[tuple[int, ...], ...]:
        """The rows as integers, all as long as the longest; without the slopes of `linear_ends`."""
        inner, _ = linear_ends(piecewise)
        return tuple(tuple(int(c) for c in row) for row in self._integers(inner))

    def rounded(self, piecewise: Piecewise) -> Piecewise:
        """The same segments with their coefficients rounded."""
        inner, slopes = linear_ends(piecewise)
        steps = 2.0 ** slope_fraction(slopes)
        rows = []
        for row, slope in zip(self.coefficients(inner).tolist(), slopes, strict=True):
            if slope:
                row = [row[0], round(slope * steps) / steps, *row[2:]]
            rows.append(tuple(row))
        return replace(piecewise, rows=tuple(rows))

    def coefficients(self, inner: Piecewise) -> Array:
        """Rounded coefficients [segments, degree + 1] of a polynomial that has no slopes to keep apart."""
        return self._integers(inner) * [2.0 ** -self.fraction(i) for i in range(inner.degree + 1)]

    def _integers(self, inner: Piecewise) -> Array:
        """[segments, degree + 1], whole numbers in float64."""
        rest = np.array(_padded(inner.rows))
        encoded, parts = np.zeros_like(rest), tuple(segments(inner.thresholds, self.low, self.high))
        for power in reversed(range(rest.shape[1])):
            scale = 2.0 ** self.fraction(power)
            encoded[:, power] = np.rint(rest[:, power] * scale)
            delta = rest[:, power] - encoded[:, power] / scale
            if power and delta.any():
                rest[:, :power] += delta[:, None] * _below_monic(power, parts)
        return encoded


@lru_cache(maxsize=256)
def _below_monic(power: int, parts: tuple[tuple[float, float], ...]) -> Array:
    """Coefficients of x^power minus the monic Chebyshev polynomial of that degree, [segments, power]; zeros
    for an empty segment.

    By Clenshaw's recurrence, with x taken from the segment to [-1, 1].
    """
    left, right = np.array(parts).T[:, :, None]
    width = np.where(left < right, right - left, 1.0)
    offset, slope = (-right - left) / width, 2.0 / width
    lower = np.zeros((len(parts), power + 1))
    upper = lower + np.eye(1, power + 1)
    for _ in range(power - 1):
        lower, upper = -upper, lower + _times(upper, 2.0 * offset, 2.0 * slope)
    polynomial = lower + _times(upper, offset, slope)
    return np.asarray(np.where(left < right, -polynomial[:, :power] / polynomial[:, power:], 0.0))


def _times(polynomials: Array, offset: Array, slope: Array) -> Array:
    """By offset + slope x; the highest power is 0."""
    product: Array = polynomials * offset
    product[:, 1:] += polynomials[:, :-1] * slope
    return product


def linear_ends(piecewise: Piecewise) -> tuple[Piecewise, tuple[float, ...]]:
    """The polynomial without the slopes of end segments that are lines, and these slopes by segment.

    All slopes are 0 where no segment has a higher power: then there is nothing to keep apart.
    """
    slopes = [0.0] * len(piecewise.rows)
    if piecewise.degree < 2 or not piecewise.thresholds:
        return piecewise, tuple(slopes)
    rows = list(piecewise.rows)
    for end in (0, -1):
        row = rows[end]
        if len(row) > 1 and row[1] and not any(row[2:]):
            slopes[end] = row[1]
            rows[end] = (row[0],)
    return replace(piecewise, rows=tuple(rows)), tuple(slopes)


def slope_fraction(slopes: tuple[float, ...]) -> int:
    """The fewest fraction bits that hold the numbers exactly, or SLOPE_BITS."""
    exact = (f for f in range(SLOPE_BITS) if all((s * 2.0**f).is_integer() for s in slopes))
    return next(exact, SLOPE_BITS)


def segments(thresholds: tuple[float, ...], low: float, high: float) -> Iterator[tuple[float, float]]:
    """The part of each segment within [low, high]; left >= right where there is none."""
    edges = (low, *thresholds, high)
    for left, right in pairwise(edges):
        yield max(left, low), min(right, high)


@lru_cache(maxsize=256)
def polynomial_format(piecewise: Piecewise, low: float, high: float, argument: int) -> PolynomialFormat:
    """The format for arguments within [low, high] which carry up to `argument` fraction bits.

    End segments that are constant or linear hold beyond [low, high], too. Raises ValueError where the powers
    leave no room for the coefficients.
    """
    inner, _ = linear_ends(piecewise)
    parts = np.array([*segments(inner.thresholds, low, high)])
    used = parts[:, 0] < parts[:, 1]
    grids = np.linspace(parts[used, 0], parts[used, 1], POINTS)  # [points, segments that are not empty]
    rows = np.array(_padded(inner.rows))

    def largest(coefficients: Array) -> Array:
        """By segment."""
        return np.asarray(np.abs(polyval(grids, coefficients[used].T, tensor=False)).max(axis=0))

    size = float(largest(rows).max(initial=0.0))
    widest = RESULT_BITS - max(0, math.ceil(math.log2(max(size, *abs(rows[:, 0])) * (1.0 + ROOM) + ROOM)))

    def moved(form: PolynomialFormat) -> float:
        """How far rounding the coefficients moves the result."""
        return float(largest(form.coefficients(inner) - rows).max(initial=0.0))

    best, least = None, COARSE_ERROR * max(1.0, size)
    for error, z, square in _argument_formats(rows[used], grids.T, argument):
        form = PolynomialFormat(z, square, widest, low, high)
        if error < least and _lowest(form, inner.degree) <= widest and error + moved(form) < least:
            best, least = form, error + moved(form)
    if best is None:
        raise ValueError(f"{piecewise.name}: degree {piecewise.degree} leaves no room for fraction bits")
    results = range(max(_lowest(best, inner.degree), argument), widest)
    shorter = (replace(best, result=result) for result in results)
    return next((form for form in shorter if moved(form) <= max(ROUNDING_ERROR, least / 4)), best)


def _lowest(form: PolynomialFormat, degree: int) -> int:
    """Fraction bits of the result that leave every coefficient some, or none but not fewer."""
    return max(form.result - form.fraction(power) for power in range(degree + 1))


def _argument_formats(rows: Array, grids: Array, argument: int) -> list[tuple[float, int, int | None]]:
    """What rounding arguments adds, and fraction bits of z and w, in ascending order.

    Rounding z moves x itself, rounding w only w: by dy/dx, and by dy/dw at a fixed z.
    """
    powers = range(rows.shape[1])
    by_x = _steepness(sum(i * rows[:, i, None] * grids ** (i - 1) for i in powers if i))
    errors = {z: 2.0 ** (by_x - z) for z in range(argument, 0, -1)}
    if powers[-1] <= CUBIC:
        return [(errors[z], z, None) for z in errors]
    by_w = _steepness(sum(i // 2 * rows[:, i, None] * grids ** (i - 2) for i in powers if i > 1))
    finest = min(by_w + SQUARE_BITS, WIDEST_SQUARE)
    pairs = sorted((errors[z] + 2.0 ** (by_w - w), -z, -w) for z in errors for w in range(finest, 0, -1))
    return [(error, -z, -w) for error, z, w in pairs]


def _steepness(slopes: Array | float) -> int:
    """log2 of the largest slope, rounded up; at least 0."""
    return math.ceil(math.log2(max(1.0, float(np.abs(slopes).max(initial=0.0)))))


def _padded(rows: tuple[tuple[float, ...], ...]) -> list[tuple[float, ...]]:
    longest = max(map(len, rows))
    return [(*row, *[0.0] * (longest - len(row))) for row in rows]
