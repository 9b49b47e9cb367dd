"""Own fits of sine series: the fewest harmonics, for these are dealt, that keep an error.

f(x) ~ constant + slope x + sum_m A_m cos(2 pi (m x / P - phase_m)). Three choices make a series short:

- Alternate harmonics m = 1, 3, 5, .. repeat with the sign changed after half a period. A GELU less its slope
  is then a triangle wave with rounded corners, tanh a square wave: both corners are as smooth as the function
  itself, and half as many harmonics do as in a series of all.
- The function must hold on the range only. In the rest of the period the series goes its own, smooth way.
- The period is a power of two because the argument is reduced modulo one, yet multiples of 3, 5 or 7 as
  harmonics make one of a third, a fifth or a seventh.

Least squares are regularised: each dealt cosine is rounded to `DEALT_FRACTION` bits, which adds
A_m^2 4^-DEALT_FRACTION / 12 to the mean square error. That is the penalty; without it the amplitudes grow to
10^3 and cancel. Reweighting (Lawson 1961) then turns the mean square into the largest error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from mpcc.ir.dialects.protocol import SINE_TABLE_BITS
from mpcc.passes.approximations.functions import FUNCTIONS, Array
from mpcc.passes.approximations.piecewise import Piecewise, Series

SOURCE = "SecFormer (Findings of ACL 2024) for the idea; own regularised least squares"
POINTS = (
    600  # of the fit dense towards the ends; equally spaced ones are 24 to the shortest wave, at least 600
)
DENSE = 12001  # points on which the stated error is measured
GRID = 1.01  # between points the error is larger by less than this factor
STEPS = (1, 3, 5, 7)
DEALT_FRACTION = 15
PENALTY = 4.0**-DEALT_FRACTION / 12
REWEIGHTINGS = 20
SURE = 1.1  # the factor between squares of errors that rounding surely does not make
FAR = 3.0  # reweighting brings the largest error down by less than this factor
HELD = 12  # harmonics for which equations are set up at first
ROOM = (1.2, 1.15, 1.1, 1.05)  # an even or odd function's fit reaches beyond the range where it may


@dataclass(frozen=True)
class _Form:
    """What is fitted on middle +- radius, less the coefficients: the period is 2^period_log2 / step.

    `parity`: +1 cosines, -1 sines, 0 both and a slope. `alternate`: odd multiples of the step alone.
    """

    function: str
    parity: int
    middle: float
    radius: float
    period_log2: int
    step: int
    alternate: bool

    def harmonics(self, count: int) -> Array:
        every = np.arange(1, count + 1)
        return self.step * (2 * every - 1 if self.alternate else every)

    def points(self, count: int) -> Array:
        """Distances from the middle in radii, of one half by parity: dense towards the ends, then equal."""
        width = 1 if self.parity else 2
        waves = width * self.radius * self.harmonics(count)[-1] / 2.0**self.period_log2
        dense = np.cos(width * np.pi / 2 * (np.arange(POINTS) + 0.5) / POINTS)
        return np.concatenate([dense, np.linspace(1.0 - width, 1.0, max(POINTS, math.ceil(24 * waves)))])

    def target(self, u: Array) -> Array:
        function, x = FUNCTIONS[self.function], self.middle + self.radius * u
        return np.asarray(function.evaluate(x) - function.slope * x - self.centre)

    @property
    def centre(self) -> float:
        """The value at 0, about which an odd function is odd."""
        return float(FUNCTIONS[self.function].evaluate(np.zeros(1))[0]) if self.parity < 0 else 0.0

    def basis(self, u: Array, count: int) -> Array:
        """Columns: 1 and u (0 where parity forbids them), then a cosine, a sine or both for each harmonic."""
        turns = np.outer(u, self.harmonics(count)) * (2 * np.pi * self.radius / 2.0**self.period_log2)
        waves = {1: (np.cos,), -1: (np.sin,), 0: (np.cos, np.sin)}[self.parity]
        columns = np.stack([wave(turns) for wave in waves], axis=2).reshape(len(u), -1)
        constant, slope = np.full((len(u), 1), self.parity >= 0), u[:, None] * (self.parity == 0)
        return np.concatenate([constant, slope, columns], axis=1)


@dataclass(frozen=True)
class _Fit:
    form: _Form
    count: int
    error: float
    coefficients: Array
    off: Array

    def amplitudes(self) -> tuple[Array, Array]:
        """A_m and the phases in radians, about the middle."""
        waves, parity = self.coefficients[2:], self.form.parity
        if parity:
            return np.abs(waves), np.where(waves < 0, np.pi, 0.0) + (0.0 if parity > 0 else np.pi / 2)
        cosines, sines = waves[0::2], waves[1::2]
        return np.hypot(cosines, sines), np.arctan2(sines, cosines)

    def bits(self) -> float:
        """What an element costs beyond period and amplitudes of 1: bits opened, and dealt to be as exact."""
        return self.form.period_log2 + self.count * math.log2(max(1e-6, self.amplitudes()[0].max()))


def _parity(function: str) -> int:
    """+1 where function - slope x is even, -1 where it is odd about its value at 0, else 0."""
    exact = FUNCTIONS[function]
    if exact.positive:
        return 0
    x = np.linspace(0.0, 4.0, 33)
    right, left, centre = (exact.evaluate(v) - exact.slope * v for v in (x, -x, np.zeros(1)))
    if np.allclose(right, left, atol=1e-12):
        return 1
    return -1 if np.allclose(right + left, 2 * centre, atol=1e-12) else 0


def _forms(function: str, low: float, high: float) -> Iterator[_Form]:
    """Periods of one to four widths of the range; both ways for an even or odd function of a lopsided one."""
    parity, reach = _parity(function), max(abs(low), abs(high))
    if parity:
        yield from _periods(_Form(function, parity, 0.0, reach, 0, 1, False))
    if not parity or high - low < 1.9 * reach:
        yield from _periods(_Form(function, 0, (low + high) / 2, (high - low) / 2, 0, 1, False))


def _periods(form: _Form) -> Iterator[_Form]:
    for alternate in (False, True):
        shortest = 2.1 * form.radius * (2 if alternate and not form.parity else 1)
        for step in STEPS:
            first = math.ceil(math.log2(shortest * step))
            for period_log2 in range(first, math.floor(math.log2(3.2 * shortest * step)) + 1):
                yield replace(form, period_log2=period_log2, step=step, alternate=alternate)


class _Problem:
    """The equations of one form, for any number of harmonics up to `most`."""

    def __init__(self, form: _Form, most: int) -> None:
        self.form = form
        u = form.points(most)
        self.basis, self.target = form.basis(u, most), form.target(u)
        extent = 2 * np.abs(self.target).max() if form.parity < 0 else np.ptp(self.target)
        self.limit = max(1.0, float(extent))
        self.gram, self.moments = self._equations(self.basis, np.full(len(u), 1 / len(u)))

    def _equations(self, basis: Array, weights: Array) -> tuple[Array, Array]:
        weighted = basis * weights[:, None]
        return weighted.T @ basis, weighted.T @ self.target

    def _solve(self, gram: Array, moments: Array, count: int) -> _Fit:
        """The penalty is raised where an amplitude would exceed the extent of the function's values."""
        used = 2 + count * (1 if self.form.parity else 2)
        penalty = PENALTY
        while True:
            diagonal = np.full(used, penalty)
            diagonal[:2] = 1e-15  # some of these columns are 0
            coefficients = np.linalg.solve(gram[:used, :used] + np.diag(diagonal), moments[:used])
            off = self.basis[:, :used] @ coefficients - self.target
            fit = _Fit(self.form, count, float(np.abs(off).max()), coefficients, off)
            if fit.amplitudes()[0].max() < self.limit:
                return fit
            penalty *= 4.0

    def least_squares(self, count: int) -> _Fit:
        return self._solve(self.gram, self.moments, count)

    @cached_property
    def _least(self) -> Array:
        """The mean square error and penalty of the first 0, 1, .. columns: no fit of so many has less."""
        diagonal = np.full(len(self.gram), PENALTY)
        diagonal[:2] = 1e-15
        factor = np.linalg.cholesky(self.gram + np.diag(diagonal))
        explained = np.cumsum(np.square(np.linalg.solve(factor, self.moments)))
        return np.asarray(np.mean(np.square(self.target)) - np.concatenate([[0.0], explained]))

    def possible(self, count: int, max_error: float) -> bool:
        """Whether amplitudes below the limit may reach the error; False is certain."""
        waves = 1 if self.form.parity else 2
        allowed = max_error**2 + PENALTY * count * waves * self.limit**2
        return bool(self._least[2 + count * waves] <= SURE * allowed)

    def minimax(self, count: int, max_error: float) -> _Fit:
        """Reweighted until within the error, or surely never, or for some rounds."""
        best = fit = self.least_squares(count)
        basis = self.basis[:, : len(fit.coefficients)]
        weights = np.full(len(basis), 1 / len(basis))
        for _ in range(REWEIGHTINGS):
            least = math.sqrt(float(weights @ fit.off**2))  # none of this form has a smaller error
            if best.error <= max_error or least > max_error or best.error > FAR * max_error:
                break
            weights *= np.abs(fit.off) / fit.error + 1e-3
            weights /= weights.sum()
            fit = self._solve(*self._equations(basis, weights), count)
            best = min(best, fit, key=lambda each: each.error)
        return best


@lru_cache(maxsize=256)
def fit_series(
    function: str, low: float, high: float, max_error: float, max_harmonics: int = 96
) -> Piecewise:
    """The shortest sine series within `max_error` of the function on [low, high], or the most accurate one of
    `max_harmonics`.

    `error` of the result is measured on a dense grid, with exact coefficients: see `rounding_error` for what
    fixed point adds. Its domain holds [low, high], and is up to a fifth wider where that costs no harmonic.
    Raises ValueError for an empty or infinite range, or one on which the function has no value.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"no function is called {function}")
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or max_harmonics < 1:
        raise ValueError(f"no series for {function} on [{low}, {high}]")
    if FUNCTIONS[function].positive and low <= 0:
        raise ValueError(f"{function} has no value on all of [{low}, {high}]")
    with np.errstate(over="ignore"):
        ends = FUNCTIONS[function].evaluate(np.array([low, high]))
    if not np.all(np.isfinite(ends)):
        raise ValueError(f"{function} overflows on [{low}, {high}]")
    best = _shortest(list(_forms(function, low, high)), max_error / GRID**2, max_harmonics)
    return _piecewise(_widened(best, max_error / GRID**2), low, high)


def _shortest(forms: list[_Form], max_error: float, most: int) -> _Fit:
    """All forms with ever more harmonics: in steps, and then with those that a step has left out."""
    failed, count, held = 0, 1, 0
    while True:
        if count > held:
            held = min(most, max(HELD, 3 * held))
            problems = [_Problem(form, held) for form in forms]
        best = _within(problems, count, max_error)
        if best or count == most:
            break
        failed, count = count, min(most, count + 1 + count // 12)
    if best is None:  # reweighted for its own sake
        least = _best([problem.minimax(count, max_error) for problem in problems], max_error).error
        return _best([problem.minimax(count, least / 2) for problem in problems], least / 2)
    between = (_within(problems, fewer, max_error) for fewer in range(failed + 1, count))
    return next(filter(None, between), best)


def _within(problems: list[_Problem], count: int, max_error: float) -> _Fit | None:
    """The best fit whose error is at most `max_error`."""
    possible = (problem for problem in problems if problem.possible(count, max_error))
    fits = [problem.minimax(count, max_error) for problem in possible]
    good = [fit for fit in fits if fit.error <= max_error]
    return _best(good, max_error) if good else None


def _best(fits: list[_Fit], max_error: float) -> _Fit:
    return min(fits, key=lambda fit: (max(max_error, fit.error), fit.bits()))


def _widened(fit: _Fit, max_error: float) -> _Fit:
    """The same form on a wider range, where that costs no harmonic."""
    form = fit.form
    for room in ROOM if form.parity and fit.error <= max_error else ():
        if 2.05 * room * form.radius > 2.0**form.period_log2 / form.step:
            continue
        wider = _Problem(replace(form, radius=room * form.radius), fit.count).minimax(fit.count, max_error)
        if wider.error <= max_error:
            return wider
    return fit


def _piecewise(fit: _Fit, low: float, high: float) -> Piecewise:
    form, function = fit.form, FUNCTIONS[fit.form.function]
    amplitudes, angles = fit.amplitudes()
    period, harmonics = 2.0**form.period_log2, form.harmonics(fit.count)
    phases = (angles / (2 * np.pi) + harmonics * form.middle / period) % 1.0
    slope = float(fit.coefficients[1]) / form.radius
    row = (form.centre + float(fit.coefficients[0]) - slope * form.middle, function.slope + slope)
    result = Piecewise(
        name="series",
        function=form.function,
        domain=(min(low, form.middle - form.radius), max(high, form.middle + form.radius)),
        error=0.0,
        source=SOURCE,
        rows=(row,),
        series=Series(period, tuple(harmonics.tolist()), tuple(amplitudes.tolist()), tuple(phases.tolist())),
        gates=(1.0,),
    )
    x = np.linspace(*result.domain, DENSE)
    return replace(result, error=GRID * float(np.abs(result.evaluate(x) - function.evaluate(x)).max()))


def rounding_error(series: Series, public_fraction: int, secret_fraction: int, bits: int) -> float:
    """What fixed point adds to a series of an argument of `bits` bits, with the fractions of `sine_series`.

    Six standard deviations of the sum of independent errors: of each public factor (2^-public_fraction), of
    each dealt cosine and sine (2^-secret_fraction, times the amplitude), and of the angle, whose phase has
    `bits` bits and which goes to the nearest entry of the table. The rounding of the argument itself is not
    in it: half a unit times the function's slope.
    """
    amplitudes = np.asarray(series.amplitudes)
    angle = 2 * np.pi * 2.0 ** -min(bits, SINE_TABLE_BITS)
    exact = bits <= SINE_TABLE_BITS and all(phase % 0.25 == 0 for phase in series.phases)
    variances = 4.0**-public_fraction + amplitudes**2 * (4.0**-secret_fraction + (0.0 if exact else angle**2))
    return float(6.0 * np.sqrt(variances.sum() / 12))
