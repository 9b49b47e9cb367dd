"""Own fits of segmented polynomials: few thresholds, and errors that hold for coefficients as used."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.passes.approximations.equalise import Target, equalised
from mpcc.passes.approximations.functions import FUNCTIONS, Array
from mpcc.passes.approximations.minimax import DEGREES, fit_segments
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.remez import nearest, points
from mpcc.passes.approximations.rounding import polynomial_format
from mpcc.passes.approximations.tails import TAILS, tail_start

RANGES = {
    "gelu_none": (-14.0, 14.0),
    "gelu_tanh": (-14.0, 14.0),
    "silu": (-14.0, 14.0),
    "softplus": (-14.0, 14.0),
    "tanh": (-8.0, 8.0),
    "sigmoid": (-14.0, 14.0),
    "erf": (-6.0, 6.0),
    "exp": (-16.0, 0.0),
    "reciprocal": (1.0, 4.0),
    "rsqrt": (1.0, 4.0),
    "sqrt": (0.1, 4.0),
}
FAR = np.geomspace(1.0, 1e6, 200)


def grid(piecewise: Piecewise, low: float, high: float) -> Array:
    """Equally spaced points, both sides of thresholds, and far points where the domain is infinite."""
    edges = np.array(piecewise.thresholds)
    x = [np.linspace(low, high, 40_013), edges, np.nextafter(edges, -math.inf)]
    if math.isinf(piecewise.domain[0]):
        x.append(low - FAR)
    if math.isinf(piecewise.domain[1]):
        x.append(high + FAR)
    return np.concatenate(x)


def largest_error(piecewise: Piecewise, low: float, high: float) -> float:
    x = grid(piecewise, low, high)
    return float(np.abs(piecewise.evaluate(x) - FUNCTIONS[piecewise.function].evaluate(x)).max())


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("function", RANGES)
def test_the_stated_error_holds_everywhere_and_is_no_larger_than_asked(function: str, degree: int) -> None:
    low, high = RANGES[function]
    fitted = fit_segments(function, low, high, degree, 3e-3)
    assert largest_error(fitted, low, high) <= fitted.error <= 3e-3
    assert fitted.covers(low, high)
    saturated = [row is not None for row in TAILS.get(function, (None, None))]
    assert [math.isinf(end) for end in fitted.domain] == saturated


def evaluation_noise(piecewise: Piecewise, low: float, high: float) -> float:
    """How far float64 may be off when a row is evaluated by Horner's rule: 2 degree units of 2^-53 of the sum
    of its terms' magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, section 5.1).
    """
    x = max(abs(low), abs(high))
    terms = [sum(abs(c) * x**power for power, c in enumerate(row)) for row in piecewise.rows]
    return float(2 * max(map(len, piecewise.rows)) * 2.0**-53 * max(terms))


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(sorted(RANGES)),
    st.floats(-20.0, 20.0),
    st.floats(0.01, 30.0),
    st.sampled_from(DEGREES),
    st.floats(-4.5, -1.5),
)
def test_bounds_hold_on_any_range(
    function: str, low: float, width: float, degree: int, error_log10: float
) -> None:
    if FUNCTIONS[function].positive:
        low = abs(low) / 10 + 0.05
    high = low + width
    if function == "exp":
        high = min(high, 4.0)
        low = min(low, high - 0.01)
    try:
        fitted = fit_segments(function, low, high, degree, 10.0**error_log10)
    except ValueError as error:
        assert any(reason in str(error) for reason in ("do not reach", "no room", "too short"))  # noqa: PT017
        return
    found = largest_error(fitted, low, high)
    assert found <= fitted.error + evaluation_noise(fitted, low, high)
    assert fitted.error <= 10.0**error_log10
    assert fitted.covers(low, high)
    assert len(fitted.thresholds) <= 24
    assert fitted.degree <= degree


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("function", RANGES)
def test_coefficients_are_as_they_will_be_used(function: str, degree: int) -> None:
    low, high = RANGES[function]
    fitted = fit_segments(function, low, high, degree, 1e-3, 40)
    wide = [
        -1024.0 if math.isinf(fitted.domain[0]) else low,
        1024.0 if math.isinf(fitted.domain[1]) else high,
    ]
    for extent in ((low, high), (wide[0], wide[1])):
        form = polynomial_format(fitted, *extent, 13)
        for row, again in zip(fitted.rows, form.rounded(fitted).rows, strict=True):
            assert again[: len(row)] == row
            assert not any(again[len(row) :])


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("function", ["gelu_none", "silu", "sigmoid", "exp", "rsqrt"])
def test_more_thresholds_state_smaller_errors_and_none_is_wasted(function: str, degree: int) -> None:
    low, high = RANGES[function]
    fits = [fit_segments(function, low, high, degree, error, 40) for error in (1e-2, 4e-3, 2e-3, 1e-3)]
    for coarse, fine in pairwise(fits):
        assert len(coarse.thresholds) <= len(fine.thresholds)
        assert coarse == fine or coarse.error > fine.error
        assert coarse == fine or len(coarse.thresholds) < len(fine.thresholds)
    finest = fits[-1]
    if finest.thresholds:
        with pytest.raises(ValueError, match=f"{len(finest.thresholds) - 1} thresholds"):
            fit_segments(function, low, high, degree, 1e-3, len(finest.thresholds) - 1)


@pytest.mark.parametrize(
    ("degree", "thresholds", "published"),
    [(2, 5, 1.178e-2), (4, 6, 3.35e-5), (3, 10, 7.7e-5), (6, 4, 4.4e-5)],
    ids=["secmoe", "quartic", "cubic", "sextic"],
)
def test_gelu_is_no_worse_than_what_is_published(degree: int, thresholds: int, published: float) -> None:
    fitted = equalised(Target("gelu_none", -14.0, 14.0, degree), thresholds - 1)
    assert fitted.thresholds == thresholds
    assert fitted.error <= published


@pytest.mark.parametrize("count", [2, 5, 9])
@pytest.mark.parametrize("function", ["gelu_tanh", "softplus", "exp", "reciprocal", "sqrt"])
def test_all_segments_have_the_same_error(function: str, count: int) -> None:
    target = Target(function, *RANGES[function], 3)
    fitted = equalised(target, count)
    values = target.values(np.array(fitted.edges))
    errors = [nearest(row, target.degree)[1] for row in values]
    assert min(errors) > 0.93 * fitted.error
    for side, end in ((0, fitted.edges[0]), (1, fitted.edges[-1])):
        if fitted.saturated[side]:
            assert end == pytest.approx(tail_start(function, side, fitted.error), rel=0.02)


@pytest.mark.parametrize("function", ["gelu_none", "gelu_tanh", "silu", "softplus"])
@pytest.mark.parametrize("degree", DEGREES)
def test_segments_mirror_each_other(function: str, degree: int) -> None:
    fitted = fit_segments(function, -14.0, 14.0, degree, 3e-3)
    assert fitted.rows[0] == (0.0,)
    assert fitted.rows[-1] == (0.0, 1.0)
    assert fitted.thresholds == tuple(-t for t in reversed(fitted.thresholds))
    x = np.linspace(-20.0, 20.0, 3001)
    x = x[~np.isin(x, fitted.thresholds)]
    assert np.abs(fitted.evaluate(x) - fitted.evaluate(-x) - x).max() < 2.0**-14


def test_an_end_within_a_tail_is_not_cut() -> None:
    fitted = fit_segments("gelu_none", 20.0, 90.0, 3, 1e-3)
    assert fitted.rows == ((0.0, 1.0),)
    lopsided = fit_segments("gelu_none", -1.0, 14.0, 3, 1e-3)
    assert lopsided.domain == (-1.0, math.inf)
    assert len(lopsided.thresholds) < len(fit_segments("gelu_none", -14.0, 14.0, 3, 1e-3).thresholds)


def test_the_nearest_polynomial_of_a_power_leaves_a_chebyshev_polynomial() -> None:
    x = points(np.array(-1.0), np.array(1.0))
    for degree in range(1, 7):
        coefficients, error = nearest(x ** (degree + 1), degree)
        assert error == pytest.approx(2.0**-degree, rel=2e-3)
        remainder = 1.0 - np.polynomial.chebyshev.chebval(1.0, coefficients)
        assert remainder == pytest.approx(2.0**-degree, rel=2e-3)


def test_the_nearest_line_of_an_exponential() -> None:
    _, error = nearest(np.exp(points(np.array(0.0), np.array(1.0))), 1)
    slope = math.e - 1  # of the chord; the error is half of its distance from the parallel tangent
    assert error == pytest.approx((1 - slope + slope * math.log(slope)) / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("function", "low", "high", "degree", "error"),
    [
        ("gelu_none", -8.0, 8.0, 7, 1e-3),
        ("gelu_none", -8.0, 8.0, 0, 1e-3),
        ("gelu_none", 3.0, 3.0, 3, 1e-3),
        ("gelu_none", -math.inf, 3.0, 3, 1e-3),
        ("gelu_none", -8.0, 8.0, 3, 0.0),
        ("reciprocal", 0.0, 3.0, 3, 1e-3),
        ("silu", -14.0, 14.0, 1, 1e-6),
        ("reciprocal", 1e-3, 1.0, 2, 1e-3),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    function: str, low: float, high: float, degree: int, error: float
) -> None:
    with pytest.raises(ValueError, match=r"cannot be fitted|no fit|do not reach"):
        fit_segments(function, low, high, degree, error)
