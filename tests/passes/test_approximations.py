"""Stated error bounds of approximations hold on dense grids, coefficients rounded as they are used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.passes.approximations.powers import power
from mpcc.passes.approximations.series import FUNCTIONS, fit


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("radius", [1.0, 3.7, 9.0, 28.0])
def test_series_hold_their_error_after_rounding(name: str, radius: float) -> None:
    series = fit(name, radius, 1e-3)
    assert series.radius >= radius
    x = np.linspace(-series.radius, series.radius, 20011)
    function, odd = FUNCTIONS[name]
    wave = np.sin if odd else np.cos
    value = np.full_like(x, series.constant)
    for m, amplitude in zip(series.harmonics, series.amplitudes, strict=True):
        value += np.rint(amplitude * 2.0**28) / 2.0**28 * wave(2 * np.pi * m * x / 2.0**series.period_log2)
    assert np.abs(value - function(x)).max() <= 1.05 * series.error + 1e-6
    assert max(map(abs, series.amplitudes)) < 4 * series.radius  # regularised: no large terms that cancel


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([-1.0, -0.5]), st.floats(1e-4, 1e3), st.floats(1.2, 2.0**18))
def test_segmented_powers_hold_their_error(exponent: float, low: float, ratio: float) -> None:
    approximation = power(exponent, low, low * ratio)
    q = np.geomspace(low, low * ratio, 4001)
    segment = np.searchsorted(np.array(approximation.thresholds), q, side="right")
    u = q * np.array(approximation.scales)[segment] - 1
    c0, c1, c2 = approximation.polynomial
    value = (c0 + c1 * u + c2 * u**2) * np.array(approximation.outputs())[segment]
    assert np.abs(value / q**exponent - 1).max() <= 1.01 * approximation.error + 1e-12
    assert approximation.error < 3e-5


def test_a_power_of_values_that_reach_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        power(-1.0, 0.0, 1.0)
