"""Piecewise x^-1 and x^-1/2: thresholds in geometric steps, one short polynomial on the normalised argument.

q in [low, high] is scaled to z = q m_i in [1, 2^(1/steps)) by the selected m_i; x^p = P(z - 1) m_i^-p. With 8
steps an octave a quadratic is within 2e-5 (reciprocal) and 6e-6 (inverse square root), relative. protocols.md
10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Power:
    """`thresholds` t_1 < .. < t_T, `scales` m_0 > .. > m_T, `polynomial` c_0..c_2 in z - 1 for z^exponent."""

    exponent: float
    thresholds: tuple[float, ...]
    scales: tuple[float, ...]
    polynomial: tuple[float, float, float]
    error: float

    def outputs(self) -> tuple[float, ...]:
        """m_i^-exponent: what multiplies the polynomial in segment i."""
        return tuple(m**-self.exponent for m in self.scales)


def power(exponent: float, low: float, high: float, steps: int = 8, square_bits: int = 12) -> Power:
    """Approximation of q^exponent for q in [low, high]; outside, the end pieces go on. Raises ValueError if
    low <= 0.

    c_2 has `square_bits` fraction bits; c_0 and c_1 are fitted to what remains, which makes few of them
    enough.
    """
    if not 0 < low < high:
        raise ValueError(f"a power needs a positive range, got [{low}, {high}]")
    count = max(1, math.ceil(steps * math.log2(high / low)) - 1)
    ratio = 2 ** (1 / steps)
    thresholds = tuple(low * ratio**i for i in range(1, count + 1))
    scales = tuple(1 / (low * ratio**i) for i in range(count + 1))
    nodes = (ratio - 1) / 2 * (1 + np.cos(np.pi * (np.arange(3) + 0.5) / 3))
    c2 = np.rint(np.polyfit(nodes, (1 + nodes) ** exponent, 2)[0] * 2.0**square_bits) / 2.0**square_bits
    c1, c0 = np.polyfit(nodes, (1 + nodes) ** exponent - c2 * nodes**2, 1)
    grid = np.linspace(0, ratio - 1, 1000)
    error = float(np.abs((c0 + c1 * grid + c2 * grid**2) / (1 + grid) ** exponent - 1).max())
    return Power(exponent, thresholds, scales, (float(c0), float(c1), float(c2)), error)
