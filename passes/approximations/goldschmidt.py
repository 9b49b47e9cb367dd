"""Goldschmidt's iteration in fixed point: formats, integer multipliers, and a proof of the final error.

Every iteration opens q twice: at `argument` bits for the multiplier M(q), and at `q_fraction` bits for the
product q M^k. M may be coarse, since q and r are multiplied by the *same* integers: only the rounding of q
and r themselves takes r off x^p q^(1/k). The proof follows small cells of the range through all iterations
with interval arithmetic, roundings included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.convergence import classical, deflation, iterations, multiplier_power
from mpcc.passes.approximations.functions import Array
from mpcc.passes.approximations.powers import Octaves, octaves

Interval = tuple[float, float]

PRODUCT_BITS = 61  # integer and fraction bits of a product, in a ring of 64 with sign and slack
ETA_BITS = 12  # significant bits of eta
SIGNIFICANT = (24, 22, 20, 18, 16)  # bits of the smallest q and r that are kept, in order of preference
GUARD = 4  # bits of the argument beyond what the first opening takes
COARSEST = 8  # fraction bits of a multiplier's argument, at least
RESCALE_BITS = 4  # fraction bits of the factor that rescales an iteration
CELLS_AN_OCTAVE = 64
CONSTANT_BITS = 18  # significant bits of a public factor
SECOND_ORDER = 1.01  # for products of errors that are added up
MORE = 3  # iterations beyond what exact arithmetic needs, at most
MOST_RESCALED = 24  # iterations, each rescaled


@dataclass(frozen=True)
class Iteration:
    """q <- q M(q)^k, r <- r M(q), M(q) = c_0 + c_1 q. `multiplier`: c_0 at `fraction` bits, c_1 at `fraction`
    minus `argument`.

    q is opened at `argument` bits for M, at `q_fraction` as a factor (None: the last iteration leaves q), r
    at `r_fraction` (None: it is 1 before the first one). `q` and `r` are the ranges they have after it.
    """

    multiplier: tuple[int, int]
    argument: int
    fraction: int
    q_fraction: int | None
    r_fraction: int | None
    q: Interval
    r: Interval

    def evaluate(self, q: Array) -> Array:
        """M(q)."""
        constant, slope = self.multiplier
        return np.asarray(constant * 2.0**-self.fraction + slope * 2.0 ** (self.argument - self.fraction) * q)

    def powered(self, power: int) -> tuple[int, ...]:
        """Coefficients of M^power, 1 or 2: exact, as q and r need the same M."""
        constant, slope = self.multiplier
        return self.multiplier if power == 1 else (constant**2, 2 * constant * slope, slope**2)


@dataclass(frozen=True, kw_only=True)
class GoldschmidtPower(Approximation):
    """x^exponent on `domain`, with a proven relative `error`.

    Start: q = eta x with eta = `eta` / 2^`eta_fraction` where `octaves` is None, else its scaled argument.
    `q` and `r` are the ranges before the first iteration.
    """

    exponent: float
    octaves: Octaves | None
    eta: int
    eta_fraction: int
    q: Interval
    r: Interval
    iterations: tuple[Iteration, ...]

    @property
    def kind(self) -> str:
        return "Goldschmidt iteration"

    @property
    def real_eta(self) -> float:
        return self.eta * 2.0**-self.eta_fraction

    @property
    def starts_from_one(self) -> bool:
        """Whether r is a public constant at first."""
        return self.octaves is None and self.exponent < 0

    def evaluate(self, x: Array) -> Array:
        x = np.asarray(x, dtype=np.float64)
        scale = self.octaves.real_scales[self.octaves.segment(x)] if self.octaves else self.real_eta
        q = x * scale
        r = scale**-self.exponent * (q if self.exponent > 0 else 1.0)
        for iteration in self.iterations:
            m = iteration.evaluate(q)
            q, r = q * m ** multiplier_power(self.exponent), r * m
        return np.asarray(r)


@dataclass(frozen=True)
class _Cells:
    """Intervals of q that together hold all its values, with what r is on each: between r_low and r_high
    times q^(1/k), up to a relative error of `drift`.
    """

    low: Array
    high: Array
    r_low: Array
    r_high: Array
    drift: Array

    def nearest(self, point: float) -> Array:
        """The point, or the end of every cell that is nearest to it."""
        return np.asarray(np.minimum(np.maximum(point, self.low), self.high))

    def q_range(self) -> Interval:
        return float(self.low.min()), float(self.high.max())

    def r_range(self, power: int) -> Interval:
        low = self.r_low * self.low ** (1 / power) * (1 - self.drift)
        high = self.r_high * self.high ** (1 / power) * (1 + self.drift)
        return float(low.min()), float(high.max())


def goldschmidt_power(
    name: str,
    source: str,
    exponent: float,
    low: float,
    high: float,
    *,
    error: float,
    steps: int = 0,
    eta: float | None = None,
    rescale: bool = False,
) -> GoldschmidtPower:
    """The fewest iterations that are proven to stay within `error`, relative, for x in [low, high].

    Raises ValueError if low <= 0; MPC-P019 where the iteration does not converge from eta; MPC-P016 where the
    range is too wide for formats of 64 bits that are fine enough.
    """
    if not 0 < low < high:
        raise ValueError(f"a power needs a positive range, got [{low}, {high}]")
    ratio = 2 ** (1 / steps) if steps else high / low
    bottom = 1.0 if steps else low
    wanted = eta if eta is not None else deflation(exponent, bottom, bottom * ratio)
    digits = ETA_BITS - 1 - math.floor(math.log2(wanted))
    factor = round(wanted * 2.0**digits)
    real_eta = factor * 2.0**-digits
    exact = 1 if rescale else iterations(exponent, bottom, bottom * ratio, real_eta, error)
    builder = _Builder(name, source, exponent, low, high, steps, factor, digits, rescale)
    best = math.inf
    for count in range(exact, (MOST_RESCALED if rescale else exact + MORE) + 1):
        made = [m for bits in SIGNIFICANT if (m := builder.build(count, bits)) is not None]
        chosen = min(made, key=lambda m: m.error, default=None)
        if chosen is not None and chosen.error <= error:
            return chosen
        best = min(best, chosen.error if chosen else math.inf)
    raise MpccError(
        "MPC-P016",
        f"Goldschmidt's iteration on [{low:.3g}, {high:.3g}] "
        + (
            f"comes to a relative error of {best:.2g}, not {error:.2g}"
            if best < 0.5
            else "has no format of 64 bits"
        ),
        remedy="use a recipe with thresholds (steps of 1 or more), or one that states a larger error",
    )


@dataclass(frozen=True)
class _Builder:
    name: str
    source: str
    exponent: float
    low: float
    high: float
    steps: int
    eta: int
    eta_fraction: int
    rescale: bool

    @property
    def power(self) -> int:
        return multiplier_power(self.exponent)

    def build(self, count: int, bits: int) -> GoldschmidtPower | None:
        """With `count` iterations which keep so many significant bits; None where that does not fit."""
        start = None
        if self.steps:
            start = octaves(self.low, self.high, self.steps, self.eta * 2.0**-self.eta_fraction)
        cells = self._start(start)
        q, r = cells.q_range(), cells.r_range(self.power)
        made = []
        for index in range(count):
            public_r = start is None and self.exponent < 0 and index == 0
            step = self._iteration(cells, index == count - 1, public_r, bits)
            if step is None:
                return None
            iteration, cells = step
            made.append(iteration)
        if start is None and not _start_fits(made[0], q[1], r[1]):
            return None
        left = np.maximum(1 - cells.low ** (1 / self.power), cells.high ** (1 / self.power) - 1)
        return GoldschmidtPower(
            name=self.name,
            function="power",
            domain=(self.low, self.high),
            error=float((left * (1 + cells.drift) + cells.drift).max()) * SECOND_ORDER,
            source=self.source,
            exponent=self.exponent,
            octaves=start,
            eta=self.eta,
            eta_fraction=self.eta_fraction,
            q=q,
            r=r,
            iterations=tuple(made),
        )

    def _start(self, start: Octaves | None) -> _Cells:
        eta = self.eta * 2.0**-self.eta_fraction
        if start is None:
            count = math.ceil(CELLS_AN_OCTAVE * math.log2(self.high / self.low)) + 1
            edges = np.geomspace(self.low, self.high, count + 1)
            powers = edges**self.exponent
            drift = np.full(count, 2.0**-CONSTANT_BITS)
            r_low, r_high = np.minimum(powers[:-1], powers[1:]), np.maximum(powers[:-1], powers[1:])
            return _Cells(eta * edges[:-1], eta * edges[1:], r_low, r_high, drift)
        ratio = 2 ** (1 / self.steps)
        loss = start.edge + 2.0 * start.input_error
        edges = eta * np.geomspace(1 - loss, ratio * (1 + loss), CELLS_AN_OCTAVE + 1)
        ends = sorted((self.low**self.exponent, self.high**self.exponent))
        loose = abs(self.exponent) * start.input_error + 2.0**-CONSTANT_BITS
        shape = np.ones(CELLS_AN_OCTAVE)
        return _Cells(edges[:-1], edges[1:], ends[0] * shape, ends[1] * shape, loose * shape)

    def _factor(self, cells: _Cells, last: bool) -> tuple[float, int]:
        """What multiplies M, and fraction bits of M's slope, which is exact with them."""
        if not self.rescale or last:
            return 1.0, self.power - 1
        low, high = self._image(cells, 1.0)
        best = deflation(self.exponent, float(low.min()), float(high.max())) ** (1 / self.power)
        factor = max(1.0, math.floor(best * 2.0**RESCALE_BITS) * 2.0**-RESCALE_BITS)
        return factor, self.power - 1 + RESCALE_BITS

    def _image(self, cells: _Cells, factor: float) -> tuple[Array, Array]:
        """The smallest and largest q (factor M)^k on every cell: it turns at 1 and where M is 0."""
        constant, slope = classical(self.exponent)
        within = [cells.low, cells.high, cells.nearest(1.0), cells.nearest(-constant / slope)]
        values = [q * (factor * (constant + slope * q)) ** self.power for q in within]
        return np.minimum.reduce(values), np.maximum.reduce(values)

    def _iteration(
        self, cells: _Cells, last: bool, public_r: bool, bits: int
    ) -> tuple[Iteration, _Cells] | None:
        k = self.power
        factor, digits = self._factor(cells, last)
        low, high = self._image(cells, factor)
        r_low, r_high = cells.r_range(k)
        next_r = float((cells.r_high * high ** (1 / k)).max()) * (1 + float(cells.drift.max()))
        q_fraction = None if last else math.ceil(bits - math.log2(float(cells.low.min())))
        r_fraction = None if public_r else math.ceil(bits - math.log2(r_low))
        argument = bits
        if q_fraction is not None:
            room = PRODUCT_BITS - _whole(float(high.max())) - q_fraction - k * digits
            argument = min(argument, room // k)
        if r_fraction is not None:
            # a bit is left for a factor of the result that is no power of two
            room = PRODUCT_BITS - 1 - _whole(max(next_r, r_high)) - r_fraction - digits
            argument = min(argument, room)
        if argument < COARSEST:
            return None
        fraction = argument + digits
        constant, slope = (factor * c for c in classical(self.exponent))
        multiplier = round(constant * 2.0**fraction), round(slope * 2.0**digits)
        # M is taken at q within a unit, and at first that of the argument
        unit = abs(slope) * (1.0 + 2.0**-GUARD) * 2.0**-argument
        swing = cells.high * k * (constant + unit) ** (k - 1) * unit
        rounded = (
            np.zeros_like(low) if q_fraction is None else (1.0 + 2.0**-GUARD) * 2.0**-q_fraction / cells.low
        )
        drift = cells.drift + rounded / k
        if r_fraction is None:
            smallest = np.maximum((low / cells.high) ** (1 / k) - unit, 2.0**-40)
            drift = drift + 2.0 ** -(PRODUCT_BITS - 2 - argument) * 8.0 / smallest
        else:
            drift = drift + (2.0 + 2.0**-GUARD) * 2.0**-r_fraction / (cells.r_low * cells.low ** (1 / k))
        low, high = (low - swing) * (1 - rounded), (high + swing) * (1 + rounded)
        if float(low.min()) <= 0.0:
            return None
        after = _Cells(low, high, cells.r_low, cells.r_high, drift)
        iteration = Iteration(
            multiplier, argument, fraction, q_fraction, r_fraction, after.q_range(), after.r_range(k)
        )
        return iteration, after


def _start_fits(first: Iteration, q: float, r: float) -> bool:
    """Whether the argument times a public factor, in as many bits as its first opening takes, has a ring."""
    finest = max(first.argument, first.q_fraction or 0)
    bits = _whole(q) + finest + GUARD + ETA_BITS
    if first.r_fraction is not None:
        bits = max(bits, _whole(r) + 1 + first.r_fraction + GUARD + CONSTANT_BITS + 1)
    return bits <= PRODUCT_BITS


def _whole(value: float) -> int:
    """Integer bits of a value."""
    return math.ceil(math.log2(value))
