"""Piecewise x^-1, x^-1/2, x^1/2: thresholds in geometric steps, a quadratic on the normalised argument.

q in [low, high] is scaled to z = q m_i in [1, 2^(1/steps)) by the selected m_i; x^p = P(z - 1) m_i^-p.
Everything is held as the integers that will be used, and the stated error counts them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.functions import Array

SQUARE_BITS = 5  # fraction bits of the polynomial's last coefficient; the others are fitted to what remains
RESULT_BITS = 60  # fraction and integer bits of the result
WIDEST_SCALE = 59  # fraction bits of a product that scales to [1, 2)
SCALE_BITS = 20  # significant bits of both its factors, where there is room
COMPARED_BITS = 8  # significant bits of the smallest threshold, at 8 steps an octave
FEWEST_BITS = 8  # significant bits of these factors, and of the smallest selected output, at least
ARGUMENTS = range(12, 21)  # fraction bits of z - 1
DENSE = 1000


@dataclass(frozen=True)
class Octaves:
    """How the argument is brought to [1, 2^(1/steps)): `thresholds` are integers at `compared` fraction bits,
    `scales` m_0 > .. > m_T at `scale_fraction`; the argument is opened at `opened`.

    Rounding changes the argument by up to `input_error` of its value, and takes z up to `edge` out of its
    interval.
    """

    low: float
    high: float
    steps: int
    compared: int
    thresholds: tuple[int, ...]
    opened: int
    scale_fraction: int
    scales: tuple[int, ...]

    @property
    def real_thresholds(self) -> Array:
        return np.array(self.thresholds) * 2.0**-self.compared

    @property
    def real_scales(self) -> Array:
        return np.array(self.scales) * 2.0**-self.scale_fraction

    @property
    def input_error(self) -> float:
        return 2.0**-self.opened / self.low

    @property
    def edge(self) -> float:
        return 1.5 * 2.0**-self.compared / self.low

    def outputs(self, exponent: float) -> tuple[float, ...]:
        """m_i^-exponent: what multiplies z^exponent in segment i."""
        return tuple(float(m) ** -exponent for m in self.real_scales)

    def segment(self, x: Array) -> Array:
        return np.searchsorted(self.real_thresholds, x, side="right")


def octaves(low: float, high: float, steps: int, target: float = 1.0) -> Octaves:
    """For x in [low, high]; z is in [target, target 2^(1/steps)).

    Raises ValueError if low <= 0, MPC-P016 where the range is too wide.
    """
    if not 0 < low < high:
        raise ValueError(f"a power needs a positive range, got [{low}, {high}]")
    low_log2, high_log2 = math.log2(low), math.log2(high)
    count = max(1, math.ceil(steps * (high_log2 - low_log2)) - 1)
    ratio = 2 ** (1 / steps)
    compared = math.ceil(COMPARED_BITS + max(0.0, math.log2(steps / 8)) - low_log2)
    thresholds = tuple(max(1, round(low * ratio**i * 2.0**compared)) for i in range(1, count + 1))
    # both factors of z: together with the range's octaves they must leave the ring what z needs
    bits = min(SCALE_BITS, math.floor((WIDEST_SCALE - (high_log2 - low_log2)) / 2))
    if bits < FEWEST_BITS:
        raise _too_wide(low, high)
    fraction = math.ceil(bits + high_log2)
    scales = tuple(round(target / (low * ratio**i) * 2.0**fraction) for i in range(count + 1))
    return Octaves(low, high, steps, compared, thresholds, math.ceil(bits - low_log2), fraction, scales)


def _too_wide(low: float, high: float) -> MpccError:
    return MpccError(
        "MPC-P016",
        f"a power of values from {low:.3g} to {high:.3g} spans too many magnitudes",
        remedy="check the calibration inputs, or add an epsilon to the smallest values",
    )


@dataclass(frozen=True, kw_only=True)
class SegmentedPower(Approximation):
    """x^exponent on `domain`. `polynomial`: integers for (z - 1)^i, the i-th with `fraction` - i `argument`
    bits, where z - 1 has `argument`; the outputs are selected at `table` fraction bits. `error` is relative.
    """

    exponent: float
    octaves: Octaves
    polynomial: tuple[int, int, int]
    argument: int
    fraction: int
    table: int

    @property
    def kind(self) -> str:
        return "segmented polynomial"

    def evaluate(self, x: Array) -> Array:
        x = np.asarray(x, dtype=np.float64)
        segment = self.octaves.segment(x)
        u = x * self.octaves.real_scales[segment] - 1.0
        outputs = np.rint(np.array(self.octaves.outputs(self.exponent)) * 2.0**self.table) * 2.0**-self.table
        return np.asarray(self.normalised(u) * outputs[segment])

    def normalised(self, u: Array) -> Array:
        """(1 + u)^exponent as the polynomial has it."""
        c0, c1, c2 = (c * 2.0 ** (i * self.argument - self.fraction) for i, c in enumerate(self.polynomial))
        return np.asarray(c0 + u * (c1 + u * c2))


def segmented_power(
    name: str, source: str, exponent: float, low: float, high: float, steps: int
) -> SegmentedPower:
    """The approximation on [low, high]; beyond it the end pieces go on.

    Its error counts the fit, and all roundings: of the argument, the coefficients, z and the table. Raises
    ValueError if low <= 0, MPC-P016 where the results span too many magnitudes for one format.
    """
    normal = octaves(low, max(high, 2 * low), steps)
    candidates = [c for a in ARGUMENTS if (c := _formatted(name, source, exponent, normal, a)) is not None]
    if not candidates:
        raise _too_wide(low, high)
    return min(candidates, key=lambda c: c.error)


def _formatted(
    name: str, source: str, exponent: float, normal: Octaves, argument: int
) -> SegmentedPower | None:
    """With so many fraction bits of z - 1; the table gets what they leave, None where that is too little."""
    outputs = normal.outputs(exponent)
    fraction = 2 * argument + SQUARE_BITS
    table = RESULT_BITS - fraction - math.ceil(math.log2(max(outputs))) - 1
    if min(outputs) * 2.0**table < 2**FEWEST_BITS:
        return None
    top = 2 ** (1 / normal.steps) - 1.0
    left, right = -normal.edge, top + (1.0 + top) * normal.edge
    real = _fit(exponent, left, right)
    polynomial = tuple(round(c * 2.0 ** (fraction - i * argument)) for i, c in enumerate(real))
    made = SegmentedPower(
        name=name,
        function="power",
        domain=(normal.low, normal.high),
        error=0.0,
        source=source,
        exponent=exponent,
        octaves=normal,
        polynomial=(polynomial[0], polynomial[1], polynomial[2]),
        argument=argument,
        fraction=fraction,
        table=table,
    )
    grid = np.linspace(left, right, DENSE)
    fit = float(np.abs(made.normalised(grid) / (1.0 + grid) ** exponent - 1.0).max())
    slope = abs(exponent) / (1.0 + left)  # of log z^exponent
    # a table whose outputs are scaled by no power of two has up to one bit less
    rounding = slope * (2.0**-argument + normal.input_error * (1.0 + top)) + 2.0**-table / min(outputs)
    return replace(made, error=fit * 1.001 + rounding * 1.01)


def _fit(exponent: float, left: float, right: float) -> tuple[float, float, float]:
    """Coefficients in u of (1 + u)^exponent, at Chebyshev's nodes, the last one rounded before the others."""
    nodes = (left + right) / 2 + (right - left) / 2 * np.cos(np.pi * (np.arange(3) + 0.5) / 3)
    values = (1.0 + nodes) ** exponent
    c2 = np.rint(np.polyfit(nodes, values, 2)[0] * 2.0**SQUARE_BITS) / 2.0**SQUARE_BITS
    c1, c0 = np.polyfit(nodes, values - c2 * nodes**2, 1)
    return float(c0), float(c1), float(c2)
