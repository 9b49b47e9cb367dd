"""Fits of cosine and sine series: b_m with f(x) ~ sum_m b_m cos(2 pi m x / P) (even) or sin (odd), m = 0..M.

Regularised least squares on Chebyshev points: without regularisation the b_m grow to 10^3 and multiply the
rounding of the dealt cosines (protocols.md 7). Source: SecFormer (Findings of ACL 2024) for the idea, own
fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import erf

import numpy as np

POINTS = 3000
REGULARISATION = 1e-9
ROOM = 1.2  # how far beyond the asked radius a series reaches where its period allows


@dataclass(frozen=True)
class Series:
    """`constant` + sum of `amplitudes` at `harmonics`, period 2^period_log2, within `error` on [-radius,
    radius].
    """

    odd: bool
    period_log2: int
    harmonics: tuple[int, ...]
    amplitudes: tuple[float, ...]
    constant: float
    radius: float
    error: float


def _gelu_even(x: np.ndarray) -> np.ndarray:
    return np.asarray(x * np.vectorize(erf)(x / np.sqrt(2)) / 2)


def _gelu_tanh_even(x: np.ndarray) -> np.ndarray:
    return np.asarray(x * np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)) / 2)


FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], bool]] = {
    "gelu_none": (_gelu_even, False),  # gelu(x) - x / 2
    "gelu_tanh": (_gelu_tanh_even, False),
    "silu": (lambda x: x * np.tanh(x / 2) / 2, False),  # silu(x) - x / 2
    "tanh": (np.tanh, True),
    "sigmoid": (lambda x: np.tanh(x / 2) / 2, True),  # sigmoid(x) - 1 / 2
    "erf": (lambda x: np.vectorize(erf)(x), True),
}


@lru_cache(maxsize=64)
def fit(name: str, radius: float, max_error: float, max_harmonics: int = 96) -> Series:
    """The shortest series within `max_error` on at least [-radius, radius], or the best one of
    `max_harmonics`.

    Even functions are continued evenly, odd ones need room to turn round within the period: 2.05 and 8/3
    times the radius. The radius is then raised by up to a fifth where the period, a power of two, leaves
    room. The next period is tried too: away from the function's corner at half a period, fewer harmonics may
    do.
    """
    room = 8 / 3 if FUNCTIONS[name][1] else 2.05
    first = int(np.ceil(np.log2(radius * room)))
    wide = min(2.0**first / room, ROOM * radius)
    candidates = [_fit_period(name, period, wide, max_error, max_harmonics) for period in (first, first + 1)]
    good = [c for c in candidates if c.error <= max_error]
    return min(good, key=lambda c: len(c.harmonics)) if good else min(candidates, key=lambda c: c.error)


def _fit_period(name: str, period_log2: int, radius: float, max_error: float, max_harmonics: int) -> Series:
    """The shortest series of one period within the error, or the most accurate one."""
    function, odd = FUNCTIONS[name]
    x = radius * np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS)
    x = np.concatenate([x, np.linspace(-radius, radius, POINTS)])
    target = function(x)
    angle = 2 * np.pi * np.outer(x, np.arange(1, max_harmonics + 1)) / 2.0**period_log2
    basis = np.sin(angle) if odd else np.concatenate([np.ones((len(x), 1)), np.cos(angle)], axis=1)
    gram, moments = basis.T @ basis / len(x), basis.T @ target / len(x)
    best: Series | None = None
    for count in range(4, max_harmonics + 1, 2):
        used = count + (0 if odd else 1)
        coefficients = np.linalg.solve(gram[:used, :used] + REGULARISATION * np.eye(used), moments[:used])
        error = float(np.abs(basis[:, :used] @ coefficients - target).max())
        if best is None or error < best.error:
            constant, amplitudes = (0.0, coefficients) if odd else (float(coefficients[0]), coefficients[1:])
            harmonics = tuple(range(1, count + 1))
            best = Series(odd, period_log2, harmonics, tuple(amplitudes.tolist()), constant, radius, error)
        if error <= max_error:
            break
    assert best is not None
    return best
