"""The polynomial of a degree that is nearest to a function in the maximum norm: Remez' exchange.

Functions are given by their values on the Chebyshev points of an interval, ascending, polynomials by their
Chebyshev coefficients on it. Sources: Remez 1934; Trefethen, Approximation Theory and Approximation Practice
(2013), chapter 10.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev

from mpcc.passes.approximations.functions import Array

POINTS = 129
EXCHANGES = 16
CLOSE = 1e-3  # relative, between the errors of the points of reference and the largest of all


def points(low: Array, high: Array, count: int = POINTS) -> Array:
    """The Chebyshev points of intervals: one row each."""
    middle, half = (high + low) / 2, (high - low) / 2
    return np.asarray(middle[..., None] - half[..., None] * np.cos(np.pi * np.arange(count) / (count - 1)))


@lru_cache(maxsize=16)
def _basis(degree: int) -> Array:
    return np.asarray(chebyshev.chebvander(points(np.array(-1.0), np.array(1.0)), degree))


@lru_cache(maxsize=16)
def _least_squares(degree: int) -> Array:
    """Takes values to Chebyshev coefficients."""
    return np.asarray(np.linalg.pinv(_basis(degree)))


@lru_cache(maxsize=16)
def _outside(degree: int) -> Array:
    """Takes values to their distances from the least-squares polynomial."""
    return np.asarray(np.eye(POINTS) - _basis(degree) @ _least_squares(degree))


def near_errors(values: Array, degree: int) -> Array:
    """The largest error of the least-squares polynomial, by row: close to that of `nearest`, and fast."""
    return np.asarray(np.abs(values @ _outside(degree)).max(axis=-1))


def nearest(values: Array, degree: int) -> tuple[Array, float]:
    """Chebyshev coefficients of the minimax polynomial, and its error."""
    basis, count = _basis(degree), degree + 2
    signs = (-1.0) ** np.arange(count)
    best = _least_squares(degree) @ values
    residual = values - basis @ best  # orthogonal to all powers: its sign changes often enough
    least = float(np.abs(residual).max())
    for _ in range(EXCHANGES):
        reference = _alternating(residual, count)
        if len(reference) < count:  # only rounding is left
            break
        system = np.concatenate([basis[reference], signs[:, None]], axis=1)
        *coefficients, level = np.linalg.solve(system, values[reference])
        residual = values - basis @ coefficients
        worst = float(np.abs(residual).max())
        if worst < least:
            best, least = np.array(coefficients), worst
        if worst <= (1 + CLOSE) * abs(level):
            break
    return best, least


def _alternating(residual: Array, count: int) -> Array:
    """Where the error is largest in each run of one sign: of these `count` neighbours, the larger ones."""
    sizes = np.abs(residual)
    starts = np.flatnonzero(np.diff(np.signbit(residual), prepend=not np.signbit(residual[0])))
    peaks = [s + int(part.argmax()) for s, part in zip(starts, np.split(sizes, starts[1:]), strict=True)]
    while len(peaks) > count:
        peaks.pop(0 if sizes[peaks[0]] < sizes[peaks[-1]] else -1)
    return np.array(peaks)
