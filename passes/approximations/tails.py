"""Where functions have become lines or constants: beyond it segmented polynomials saturate."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mpcc.passes.approximations.functions import FUNCTIONS, Array

Row = tuple[float, ...]
GATED: tuple[Row | None, Row | None] = ((0.0,), (0.0, 1.0))

# Coefficients below and above; None where the function grows on.
TAILS: dict[str, tuple[Row | None, Row | None]] = {
    "gelu_none": GATED,
    "gelu_tanh": GATED,
    "silu": GATED,
    "softplus": GATED,
    "tanh": ((-1.0,), (1.0,)),
    "sigmoid": ((0.0,), (1.0,)),
    "erf": ((-1.0,), (1.0,)),
    "exp": ((0.0,), None),
}
SMALLEST_ERROR = 2.0**-20  # far below the rounding of activations
FARTHEST = 40.0  # beyond where any tail has that error
POINTS = 20_001


def tail(function: str, side: int) -> Row | None:
    """The coefficients of the function's tail below (0) or above (1)."""
    return TAILS[function][side] if function in TAILS else None


def tail_start(function: str, side: int, error: float) -> float:
    """The point from which on the tail is within `error`, or within SMALLEST_ERROR, of the function."""
    x, worst = _distances(function, side)
    start = float(np.interp(-max(error, SMALLEST_ERROR), -worst, x))
    return -start if side == 0 else start


@lru_cache(maxsize=32)
def _distances(function: str, side: int) -> tuple[Array, Array]:
    """Distances from 0, and the largest error of the tail from there on: descends strictly."""
    row = tail(function, side)
    assert row is not None
    distances = np.linspace(0.0, FARTHEST, POINTS)
    x = -distances if side == 0 else distances
    off = np.abs(FUNCTIONS[function].evaluate(x) - np.polynomial.polynomial.polyval(x, row))
    worst = np.maximum.accumulate(off[::-1])[::-1]
    first = np.concatenate([worst[:-1] > worst[1:], [True]])
    return distances[first], worst[first]
