"""Fits of cosine and sine series: b_m with f(x) ~ sum_m b_m cos(2 pi m x / P) (even) or sin (odd), m = 0..M.

Regularised least squares on Chebyshev points: without regularisation the b_m grow to 10^3 and multiply the rounding of
the dealt cosines (protocols.md 7). Source: SecFormer (Findings of ACL 2024) for the idea, own fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import erf

import numpy as np

POINTS = 3000
REGULARISATION = 1e-9


@dataclass(frozen=True)
class Series:
    """`constant` + sum of `amplitudes` at `harmonics`, period 2^period_log2, within `error` on [-radius, radius]."""

    odd: bool
    period_log2: int
    harmonics: tuple[int, ...]
    amplitudes: tuple[float, ...]
    constant: float
    radius: float
    error: float


def _gelu_even(x: np.ndarray) -> np.ndarray:
    return x * np.vectorize(erf)(x / np.sqrt(2)) / 2


def _gelu_tanh_even(x: np.ndarray) -> np.ndarray:
    return x * np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)) / 2


FUNCTIONS = {
    "gelu_none": (_gelu_even, False),  # gelu(x) - x / 2
    "gelu_tanh": (_gelu_tanh_even, False),
    "silu": (lambda x: x * np.tanh(x / 2) / 2, False),  # silu(x) - x / 2
    "tanh": (np.tanh, True),
    "sigmoid": (lambda x: np.tanh(x / 2) / 2, True),  # sigmoid(x) - 1 / 2
    "erf": (lambda x: np.vectorize(erf)(x), True),
}


@lru_cache(maxsize=64)
def fit(name: str, radius: float, max_error: float, max_harmonics: int = 96) -> Series:
    """The shortest series within `max_error` on [-radius, radius], or the most accurate one of `max_harmonics`.

    Even functions are continued evenly to a period of at least 2 radius; odd ones need a period that leaves room to
    turn round, 8/3 radius.
    """
    function, odd = FUNCTIONS[name]
    period_log2 = int(np.ceil(np.log2(radius * (8 / 3 if odd else 2.05))))
    period = 2.0**period_log2
    x = radius * np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS)
    x = np.concatenate([x, np.linspace(-radius, radius, POINTS)])
    target = function(x)
    best: Series | None = None
    count = 4
    while count <= max_harmonics:
        harmonics = np.arange(1, count + 1)
        angle = 2 * np.pi * np.outer(x, harmonics) / period
        basis = np.sin(angle) if odd else np.concatenate([np.ones((len(x), 1)), np.cos(angle)], axis=1)
        gram = basis.T @ basis / len(x) + REGULARISATION * np.eye(basis.shape[1])
        coefficients = np.linalg.solve(gram, basis.T @ target / len(x))
        error = float(np.abs(basis @ coefficients - target).max())
        constant, amplitudes = (0.0, coefficients) if odd else (float(coefficients[0]), coefficients[1:])
        series = Series(
            odd, period_log2, tuple(harmonics.tolist()), tuple(amplitudes.tolist()), constant, radius, error
        )
        if best is None or error < best.error:
            best = series
        if error <= max_error:
            return series
        count += 2
    assert best is not None
    return best
