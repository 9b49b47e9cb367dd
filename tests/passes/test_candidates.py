"""The list from which choosing picks: everything in it holds on the range, nothing useful is missing."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.candidates import SERIES_SAFETY, candidates
from mpcc.passes.approximations.functions import FUNCTIONS
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.saturate import saturated_series
from tests.passes.test_elementwise import FIXED_POINT, program

SAFETY = 2.0
CALIBRATED = {
    "gelu_none": (-11.0, 19.0),
    "gelu_tanh": (-6.0, 6.0),
    "silu": (-9.0, 12.0),
    "softplus": (-3.0, 4.0),
    "tanh": (-2.0, 2.0),
    "sigmoid": (-6.0, 1.0),
    "erf": (-0.1, 0.2),
    "exp": (-14.0, 0.0),
    "reciprocal": (0.8, 6.0),
    "rsqrt": (3.0, 30.0),
    "sqrt": (0.5, 5.0),
}


def offered(function: str) -> tuple[Approximation, ...]:
    low, high = CALIBRATED[function]
    return candidates(function, *widened(low, high, SAFETY), SAFETY)


def widened(low: float, high: float, factor: float) -> tuple[float, float]:
    return (low * factor if low < 0 else low / factor), (high * factor if high > 0 else high / factor)


def segments(function: str) -> list[Piecewise]:
    return [a for a in offered(function) if isinstance(a, Piecewise) and a.series is None]


@pytest.mark.parametrize("function", CALIBRATED)
def test_candidates_hold_their_error_on_the_range(function: str) -> None:
    found = offered(function)
    assert len({a.name for a in found}) == len(found)
    assert {a.kind for a in found} >= {"sine series", "segmented polynomial"}
    for approximation in found:
        segmented = approximation.kind.startswith("segmented")
        low, high = widened(*CALIBRATED[function], SAFETY if segmented else SERIES_SAFETY)
        assert approximation.function == function
        assert approximation.covers(low, high)
        x = np.linspace(low, high, 20_011)
        off = np.abs(approximation.evaluate(x) - FUNCTIONS[function].evaluate(x)).max()
        assert off <= approximation.error


@pytest.mark.parametrize("function", CALIBRATED)
def test_names_say_the_cost_and_no_error_costs_more_for_nothing(function: str) -> None:
    found = segments(function)
    assert {a.degree for a in found} >= {1, 2, 3, 4}
    for a in found:
        thresholds, degree = map(int, a.name.removeprefix("segments-").split("x"))
        assert len(a.thresholds) == thresholds
        assert a.degree <= degree
    for degree in range(1, 7):
        same = [a for a in found if a.degree == degree]
        for fewer, more in pairwise(same):
            assert len(fewer.thresholds) < len(more.thresholds)
            assert fewer.error > more.error
    for kind in ("sine series", "segmented sine series"):
        same = [a for a in offered(function) if isinstance(a, Piecewise) and a.kind == kind]
        assert kind == "segmented sine series" or same
        for fewer, more in pairwise(same):
            assert fewer.series is not None
            assert more.series is not None
            assert len(fewer.series.harmonics) < len(more.series.harmonics)
            assert fewer.error > more.error


def test_errors_reach_from_coarse_to_fine() -> None:
    for degree in (2, 3, 4, 5, 6):
        errors = [a.error for a in segments("gelu_none") if a.degree == degree]
        assert max(errors) > 1e-3
        assert min(errors) < 1e-4
    low, high = widened(*CALIBRATED["gelu_none"], SAFETY)
    coarse = candidates("gelu_none", low, high, SAFETY, 1e-3)
    assert 0 < len(coarse) < len(offered("gelu_none"))
    assert {a.name for a in coarse} <= {a.name for a in offered("gelu_none")}


def test_layers_share_what_saturates() -> None:
    def saturating(reach: float) -> list[Approximation]:
        return [a for a in candidates("gelu_none", -reach, reach) if a.covers(-math.inf, math.inf)]

    assert len(saturating(20.0)) > 15
    assert saturating(20.0) == saturating(31.7)


def test_a_range_too_wide_for_series_still_has_segments() -> None:
    found = candidates("gelu_none", -900.0, 900.0)
    assert {a.kind for a in found} == {"segmented polynomial", "segmented sine series"}


@pytest.mark.filterwarnings("error")
def test_tables_that_would_overflow_are_left_out() -> None:
    found = candidates("exp", -2000.0, 0.0)
    assert "segmented polynomial" in {a.kind for a in found}
    assert all(np.isfinite(a.evaluate(np.array([-1e3, 0.0]))).all() for a in found)


def test_a_range_without_width_is_no_problem() -> None:
    for low, high in ((0.0, 0.0), (-0.0, 1e-30), (4.0, 16.0), (2.5, 10.0)):
        assert all(a.covers(low * 2, high / 2) for a in candidates("tanh", low, high))


@pytest.mark.parametrize(("low", "high"), [(0.0, 4.0), (-1.0, 4.0), (1.0, 200.0)])
def test_positive_functions_of_many_octaves_have_none(low: float, high: float) -> None:
    assert candidates("rsqrt", low, high) == ()


def test_errors_are_relative_where_a_function_grows() -> None:
    small, large = (candidates("reciprocal", low, 4 * low) for low in (0.01, 100.0))
    for a, b in ((min(c, key=lambda a: a.error), min(c, key=lambda a: -a.error)) for c in (small, large)):
        scale = 1 / a.domain[0]
        assert a.error < 1e-3 * scale
        assert b.error > 1e-3 * scale


def test_saturated_series_need_few_harmonics_on_any_range() -> None:
    wide = saturated_series("gelu_none", -900.0, 900.0, 1e-3)
    assert wide.domain == (-math.inf, math.inf)
    assert wide.rows[0] == (0.0,)
    assert wide.rows[-1] == (0.0, 1.0)
    assert wide.series is not None
    assert len(wide.series.harmonics) <= 4
    x = np.concatenate([np.linspace(-1000.0, 1000.0, 400_001), wide.thresholds])
    assert np.abs(wide.evaluate(x) - FUNCTIONS["gelu_none"].evaluate(x)).max() <= wide.error <= 1e-3
    lopsided = saturated_series("softplus", -2.0, 30.0, 1e-3)
    assert lopsided.gates == (1.0, 0.0)
    assert lopsided.domain[0] <= -2.0
    assert lopsided.domain[1] == math.inf


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (20.0, 30.0)])
def test_there_is_no_saturated_series_without_a_curve_and_a_tail(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="no curve between tails"):
        saturated_series("tanh", low, high, 1e-3)


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from(["gelu_none", "silu", "tanh", "softplus", "exp"]),
    st.floats(-30.0, 6.0),
    st.floats(0.0, 40.0),
)
def test_any_range_is_covered(function: str, low: float, width: float) -> None:
    high = min(low + width, 6.0) if function == "exp" else low + width
    for approximation in candidates(function, *widened(low, high, SAFETY), SAFETY, 1e-3):
        assert approximation.covers(low, high)


@pytest.mark.parametrize("function", ["gelu_none", "gelu_tanh", "silu"])
def test_what_saturates_runs_between_both_parties(function: str) -> None:
    low, high = CALIBRATED[function]
    x = np.linspace(low, high, 701)
    best = {
        (a.kind, a.degree): a
        for a in offered(function)
        if isinstance(a, Piecewise) and a.covers(-math.inf, math.inf)
    }
    assert len(best) >= 4
    for approximation in best.values():
        secure, _ = program(function, x, approximation).secure()
        off = np.abs(secure - FUNCTIONS[function].evaluate(x)).max()
        assert off <= approximation.error + 2 * FIXED_POINT
