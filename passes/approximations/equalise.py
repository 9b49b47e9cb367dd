"""Segments of a function whose minimax polynomials all have the same error, as have the tails beyond them.

Edges are moved until the segments' error^(1 / (degree + 1)) are equal (equidistribution: de Boor, Good
approximation by splines with variable knots, 1973), first with errors of least squares, then of minimax.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from mpcc.passes.approximations.functions import FUNCTIONS, Array
from mpcc.passes.approximations.remez import near_errors, nearest, points
from mpcc.passes.approximations.tails import Row, tail, tail_start

THRESHOLD_FRACTION = 13  # fraction bits of activations: comparisons tell no finer thresholds
COARSE_STEPS, FINE_STEPS = 24, 3
STEP = 0.7  # of the way to where edges would be, if errors kept their density: less oscillation
FIRST_ERROR = 1e-3  # where the tails are cut at first
LEVEL_STEP = 0.5  # of that error's logarithm
FLOOR = 1e-6  # relative: segments without any error do not swallow the others at once
CORE = 0.25  # between 0 and a tail, at least


@dataclass(frozen=True)
class Target:
    """A function on a range, and the degree of its polynomials."""

    function: str
    low: float
    high: float
    degree: int

    @property
    def symmetric(self) -> bool:
        """Segments mirror each other: so do the tails, where there are two."""
        both = all(tail(self.function, side) is not None for side in (0, 1))
        return self.low == -self.high and both

    def values(self, edges: Array) -> Array:
        """At the Chebyshev points between edges: one row a segment."""
        return FUNCTIONS[self.function].evaluate(points(edges[:-1], edges[1:]))

    def ends(self, error: float) -> tuple[float, float]:
        """The range without the tails that are within the error; all of it where nothing would be left."""
        left, right = self.low, self.high
        if tail(self.function, 0) is not None:
            left = max(left, min(tail_start(self.function, 0, error), -CORE))
        if tail(self.function, 1) is not None:
            right = min(right, max(tail_start(self.function, 1, error), CORE))
        return (left if left < self.high else self.low), (right if right > self.low else self.high)


@dataclass(frozen=True)
class Segments:
    """Where segments begin and end, their Chebyshev coefficients, and which ends go on as tails."""

    edges: tuple[float, ...]
    coefficients: tuple[Row, ...]
    saturated: tuple[bool, bool]
    error: float

    @property
    def thresholds(self) -> int:
        return len(self.coefficients) - 1 + sum(self.saturated)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The polynomials in x."""
        pieces = zip(self.coefficients, pairwise(self.edges), strict=True)
        return tuple(tuple(Chebyshev(c, ends).convert(kind=Polynomial).coef.tolist()) for c, ends in pieces)


@lru_cache(maxsize=2048)
def equalised(target: Target, count: int) -> Segments:
    """The least error that `count` polynomials and the tails reach.

    Raises ValueError where the thresholds come closer than fraction bits can tell.
    """
    edges, level = np.linspace(*target.ends(FIRST_ERROR), count + 1), FIRST_ERROR
    for _ in range(COARSE_STEPS):
        errors = near_errors(target.values(edges), target.degree)
        edges, level = _moved(target, edges, errors, level)
    best: _Fitted | None = None
    for _ in range(FINE_STEPS):
        fitted = _Fitted(target, edges)
        if best is None or fitted.error < best.error:
            best = fitted
        edges, level = _moved(target, fitted.edges, fitted.errors, level)
    assert best is not None
    return best.segments


def _moved(target: Target, edges: Array, errors: Array, level: float) -> tuple[Array, float]:
    """Edges between which the errors should be equal, and the error to which the tails are cut."""
    order = target.degree + 1
    sizes = errors ** (1 / order)
    sizes = sizes + FLOOR * sizes.max() + np.finfo(float).tiny
    level = level ** (1 - LEVEL_STEP) * float(sizes.mean()) ** (order * LEVEL_STEP)
    total = np.concatenate([[0.0], np.cumsum(sizes)])
    inner = edges + STEP * (np.interp(np.linspace(0.0, total[-1], len(edges)), total, edges) - edges)
    left, right = target.ends(level)
    moved = left + (inner - inner[0]) * (right - left) / (inner[-1] - inner[0])
    if target.symmetric:
        moved = (moved - moved[::-1]) / 2
    moved[[0, -1]] = left, right
    return moved, level


class _Fitted:
    """Minimax polynomials between edges, which are rounded where comparisons tell them."""

    def __init__(self, target: Target, edges: Array) -> None:
        self.saturated = (bool(edges[0] > target.low), bool(edges[-1] < target.high))
        compared = slice(None if self.saturated[0] else 1, None if self.saturated[1] else -1)
        self.edges = edges.copy()
        self.edges[compared] = np.rint(edges[compared] * 2.0**THRESHOLD_FRACTION) / 2.0**THRESHOLD_FRACTION
        if np.diff(self.edges).min() <= 0:
            raise ValueError(f"{len(edges) - 1} segments of [{edges[0]:.4g}, {edges[-1]:.4g}] are too short")
        fits = [nearest(values, target.degree) for values in target.values(self.edges)]
        self.coefficients, self.errors = [c for c, _ in fits], np.array([error for _, error in fits])
        beyond = [_tail_error(target, side, self.edges[-side]) for side in (0, 1) if self.saturated[side]]
        self.error = max([float(self.errors.max()), *beyond])

    @property
    def segments(self) -> Segments:
        pieces = tuple(tuple(c.tolist()) for c in self.coefficients)
        return Segments(tuple(self.edges.tolist()), pieces, self.saturated, self.error)


def _tail_error(target: Target, side: int, edge: float) -> float:
    row = tail(target.function, side)
    assert row is not None
    return abs(float(FUNCTIONS[target.function].evaluate(np.array(edge))) - float(Polynomial(row)(edge)))
