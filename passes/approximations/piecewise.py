"""Segmented polynomials, sine series, and both together: one form for what is published and what we fit.

In segment s, thresholds[s-1] <= x < thresholds[s]:
    y = sum_i rows[s][i] x^i  +  gates[s] * x^times_argument * series(x)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.functions import Array


@dataclass(frozen=True)
class Series:
    """sum_j amplitudes[j] cos(2 pi (harmonics[j] x / period - phases[j])); phases in turns, a sine's is 1/4.

    docs/protocols/sine_series.md.
    """

    period: float
    harmonics: tuple[int, ...]
    amplitudes: tuple[float, ...]
    phases: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.period) and self.period > 0):
            raise ValueError(f"the period {self.period} is not positive")
        if not self.harmonics or min(self.harmonics) < 1:
            raise ValueError("a series needs harmonics of at least 1")
        if not len(self.harmonics) == len(self.amplitudes) == len(self.phases):
            raise ValueError("a series needs an amplitude and a phase for every harmonic")
        if not np.all(np.isfinite((*self.amplitudes, *self.phases))):
            raise ValueError("the coefficients of the series are not finite")

    def evaluate(self, x: Array) -> Array:
        total = np.zeros(np.shape(x))
        for m, amplitude, phase in zip(self.harmonics, self.amplitudes, self.phases, strict=True):
            total += amplitude * np.cos(2 * np.pi * (m * np.asarray(x) / self.period - phase))
        return total


@dataclass(frozen=True, kw_only=True)
class Piecewise(Approximation):
    """See the module. Raises ValueError for coefficients that do not fit together or are not finite."""

    thresholds: tuple[float, ...] = ()
    rows: tuple[tuple[float, ...], ...] = ((0.0,),)
    series: Series | None = None
    gates: tuple[float, ...] = ()
    times_argument: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        segments = len(self.thresholds) + 1
        if list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError(f"{self.name}: the thresholds do not ascend")
        if len(self.rows) != segments or not all(self.rows):
            raise ValueError(f"{self.name}: {segments} segments need {segments} rows of coefficients")
        if len(self.gates) != (segments if self.series else 0):
            raise ValueError(f"{self.name}: a series needs a gate for each of {segments} segments")
        numbers = (*self.thresholds, *self.gates, *(c for row in self.rows for c in row))
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"{self.name}: thresholds and coefficients must be finite")

    @property
    def kind(self) -> str:
        if self.changes_model:
            return "replacement"
        if self.series is None:
            return "segmented polynomial"
        return "segmented sine series" if self.thresholds else "sine series"

    @property
    def degree(self) -> int:
        return max(len(row) for row in self.rows) - 1

    def evaluate(self, x: Array) -> Array:
        x = np.asarray(x, dtype=np.float64)
        segment = np.searchsorted(np.asarray(self.thresholds), x, side="right")
        table = np.array([[*row, *[0.0] * (self.degree + 1 - len(row))] for row in self.rows])
        total = np.zeros(x.shape)
        for column in reversed(range(self.degree + 1)):  # Horner; x may be infinite where it does not count
            total = table[segment, column] + np.where(total == 0.0, 0.0, total * x)
        if self.series is not None:
            wave = self.series.evaluate(x) * (x if self.times_argument else 1.0)
            gate = np.asarray(self.gates)[segment]
            total = total + np.where(gate == 0.0, 0.0, gate * wave)
        return np.asarray(total)
