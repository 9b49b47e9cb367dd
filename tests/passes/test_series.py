"""The fits of sine series hold what they state, on grids of the tests' own, and stay short."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.passes.approximations.functions import FUNCTIONS
from mpcc.passes.approximations.piecewise import Piecewise, Series
from mpcc.passes.approximations.series import _forms, _Problem, fit_series, rounding_error

SLOPED = ("gelu_none", "gelu_tanh", "silu", "softplus", "tanh", "sigmoid", "erf")
CASES = [
    *((name, -radius, radius) for name in SLOPED for radius in (0.3, 3.7, 14.0, 30.0)),
    *((name, low, high) for name in SLOPED for low, high in ((-3.0, 11.0), (0.0, 6.0), (-7.0, -0.5))),
    *(("exp", low, high) for low, high in ((-8.0, 0.0), (-16.0, 0.0), (-2.0, 2.0), (0.5, 0.75))),
    *((name, 1.0, high) for name in ("reciprocal", "rsqrt", "sqrt") for high in (1.1, 4.0, 32.0)),
    ("sqrt", 0.1, 10.0),
    ("rsqrt", 100.0, 400.0),
    ("gelu_none", 30.0, 31.0),  # a straight line
]


def measured(series: Piecewise) -> float:
    generator = np.random.default_rng(3)
    x = np.concatenate([generator.uniform(*series.domain, 30011), np.linspace(*series.domain, 9973)])
    return float(np.abs(series.evaluate(x) - FUNCTIONS[series.function].evaluate(x)).max())


@pytest.mark.parametrize(("name", "low", "high"), CASES)
@pytest.mark.parametrize("max_error", [1e-2, 1e-3, 1e-4])
def test_a_fit_holds_its_error(name: str, low: float, high: float, max_error: float) -> None:
    fitted = fit_series(name, low, high, max_error)
    assert fitted.covers(low, high)
    assert measured(fitted) <= fitted.error <= max_error
    waves = fitted.series
    assert waves is not None
    assert math.log2(waves.period).is_integer()
    assert all(0 <= phase < 1 for phase in waves.phases)
    x = np.linspace(low, high, 101)
    extent = np.ptp(FUNCTIONS[name].evaluate(x) - FUNCTIONS[name].slope * x)
    # No large terms that cancel. An even or odd function is fitted on both sides of 0.
    assert max(waves.amplitudes) <= max(1.0, 2.0 * extent)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([*SLOPED, "exp", "reciprocal", "rsqrt", "sqrt"]),
    st.floats(0.1, 20.0),
    st.floats(-1.5, 0.5),
    st.sampled_from([3e-2, 3e-3]),
)
def test_any_range(name: str, width: float, start: float, max_error: float) -> None:
    low = start * width
    if FUNCTIONS[name].positive:
        low = 1.0 + abs(low)
    elif name == "exp":
        low = -abs(low) - width
    fitted = fit_series(name, low, low + width, max_error)
    assert fitted.covers(low, low + width)
    assert measured(fitted) <= fitted.error <= max_error


@pytest.mark.parametrize(
    ("name", "low", "high", "max_error", "most"),
    [
        ("gelu_none", -6.0, 6.0, 1e-4, 7),
        ("gelu_none", -12.0, 12.0, 1e-4, 10),
        ("gelu_none", -28.0, 28.0, 1e-4, 19),
        ("silu", -14.0, 14.0, 1e-3, 10),
        ("softplus", -6.0, 6.0, 1e-3, 3),
        ("tanh", -6.0, 6.0, 1e-3, 8),
        ("sigmoid", -14.0, 14.0, 1e-3, 7),
        ("erf", -6.0, 6.0, 1e-4, 8),
        ("exp", -8.0, 0.0, 1e-3, 6),
        ("reciprocal", 1.0, 8.0, 1e-3, 7),
        ("rsqrt", 1.0, 4.0, 1e-3, 2),
        ("sqrt", 0.1, 10.0, 1e-3, 12),
    ],
)
def test_fits_are_short(name: str, low: float, high: float, max_error: float, most: int) -> None:
    """As short as linear programming finds for the same harmonics, or one more."""
    waves = fit_series(name, low, high, max_error).series
    assert waves is not None
    assert len(waves.harmonics) <= most


def test_forms_are_left_out_only_where_no_count_reaches_the_error() -> None:
    reached = left_out = 0
    for form in _forms("gelu_none", -5.0, 6.0):
        problem = _Problem(form, 10)
        for count, error in product(range(1, 11), (1e-2, 1e-3, 1e-4)):
            possible = problem.possible(count, error)
            fits = problem.minimax(count, error).error <= error
            assert possible or not fits
            reached, left_out = reached + fits, left_out + (not possible)
    assert reached > 50
    assert left_out > 50


def test_an_even_function_keeps_cosines_and_an_odd_one_sines() -> None:
    for name, phases in (("gelu_none", {0.0, 0.5}), ("tanh", {0.25, 0.75})):
        waves = fit_series(name, -5.0, 5.0, 1e-3).series
        assert waves is not None
        assert set(waves.phases) <= phases


def test_the_most_accurate_of_too_few_harmonics() -> None:
    fitted, better = (fit_series("gelu_none", -20.0, 20.0, 1e-6, most) for most in (6, 9))
    for series, most in ((fitted, 6), (better, 9)):
        assert series.series is not None
        assert len(series.series.harmonics) == most
        assert measured(series) <= series.error
    assert 1e-6 < better.error < fitted.error < 0.05


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("gelu", -1.0, 1.0),
        ("tanh", 1.0, 1.0),
        ("exp", -math.inf, 0.0),
        ("exp", 0.0, 800.0),
        ("rsqrt", 0.0, 1.0),
        ("sqrt", -1.0, 1.0),
    ],
)
def test_what_cannot_be_fitted_is_refused(name: str, low: float, high: float) -> None:
    with pytest.raises(ValueError, match=name):
        fit_series(name, low, high, 1e-3)


@pytest.mark.parametrize(("name", "low", "high"), [("gelu_none", -14.0, 14.0), ("exp", -8.0, 0.0)])
@pytest.mark.parametrize("bits", [15, 18, 22])
def test_rounding_stays_within_its_bound(name: str, low: float, high: float, bits: int) -> None:
    """The sum as the protocol computes it, for random masks; the bound is tight within a factor of four."""
    public, secret = 12, 11
    waves = fit_series(name, low, high, 1e-3).series
    assert waves is not None
    generator = np.random.default_rng(5)
    x, t = generator.integers(0, 1 << bits, (2, 40000))
    table = min(bits, 18)
    total = np.zeros(x.shape)
    for m, amplitude, phase in zip(waves.harmonics, waves.amplitudes, waves.phases, strict=True):
        opened = (m * (x - t) - round(phase * 2.0**bits)) * 2.0**-bits
        index = np.floor(opened * 2.0**table + 0.5) * (2 * np.pi * 2.0**-table)
        dealt = 2 * np.pi * 2.0**-bits * m * t
        for wave, sign in ((np.cos, 1), (np.sin, -1)):
            factor = np.rint(amplitude * wave(index) * 2.0**public) * 2.0**-public
            total += sign * factor * np.rint(wave(dealt) * 2.0**secret) * 2.0**-secret
    exact = replace(waves, period=1.0).evaluate(x * 2.0**-bits)
    bound = rounding_error(waves, public, secret, bits)
    assert bound / 4 < np.abs(total - exact).max() <= bound


def test_finer_fractions_round_less() -> None:
    waves = Series(16.0, (1, 3), (2.0, 0.5), (0.0, 0.1))
    coarse, fine = (rounding_error(waves, bits, bits, bits + 3) for bits in (12, 14))
    assert fine == pytest.approx(coarse / 4)
