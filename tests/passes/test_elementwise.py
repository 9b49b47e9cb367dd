"""Functions of one variable, however they are computed: in fixed point, between both parties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccErrors
from mpcc.ir.program import Builder, Value
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.catalogue import find
from mpcc.passes.approximations.functions import FUNCTIONS
from mpcc.passes.approximations.lookup import lookup
from mpcc.passes.approximations.minimax import fit_segments
from mpcc.passes.approximations.piecewise import Piecewise, Series
from mpcc.passes.approximations.series import fit_series
from tests.passes.tensor_programs import Lowered, Make, lowered

RADIUS = 6.0
X = np.concatenate([np.linspace(-RADIUS, RADIUS, 2001), [0.0]])
FIXED_POINT = 4.0 * 2.0**-13  # arguments, results and what is between are rounded to units of 2^-13 or finer
FAR = np.array([-1024.0, -1000.0, -300.0, -50.0, 50.0, 300.0, 1000.0, 1024.0])
OPERATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "gelu_none": ("gelu", {"approximate": "none"}),
    "gelu_tanh": ("gelu", {"approximate": "tanh"}),
    **{name: (name, {}) for name in ("silu", "softplus", "tanh", "sigmoid", "erf", "exp")},
}
EVERYWHERE = float("inf")


def unary(function: str) -> Make:
    kind, attributes = OPERATIONS[function]
    return lambda builder, x: builder.emit(kind, x, onnx_nodes=("Layer_0",), hint=None, **attributes)


def program(function: str, x: np.ndarray, using: Approximation | None = None, check: bool = False) -> Lowered:
    return lowered(unary(function), x, using=using, check=check)


def beyond(case: Lowered, x: np.ndarray) -> Lowered:
    """The same program on other inputs, of which the first ones count."""
    padded = np.resize(x, case.inputs["x"].shape)
    return replace(case, inputs={"x": padded})


def piecewise(**fields: object) -> Piecewise:
    given = {
        "name": "test",
        "function": "tanh",
        "domain": (-EVERYWHERE, EVERYWHERE),
        "error": 0.0,
        "source": "test",
    }
    return Piecewise(**{**given, **fields})  # type: ignore[arg-type]


FORMS: dict[str, Callable[[str], Approximation]] = {
    "series": lambda f: fit_series(f, -RADIUS, RADIUS, 1e-4),
    "quadratics": lambda f: fit_segments(f, -RADIUS, RADIUS, 2, 3e-4),
    "cubics": lambda f: fit_segments(f, -RADIUS, RADIUS, 3, 3e-4),
    "quintics": lambda f: fit_segments(f, -RADIUS, RADIUS, 5, 3e-4),
    "table": lambda f: lookup(f, -RADIUS, RADIUS, 8),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("function", [f for f in OPERATIONS if f != "exp"])
def test_what_computes_a_function_keeps_its_stated_error(function: str, form: str) -> None:
    approximation = FORMS[form](function)
    case = program(function, X, approximation)
    secure, run = case.secure()
    exact = FUNCTIONS[function].evaluate(X)
    assert np.abs(secure - exact).max() <= approximation.error + FIXED_POINT
    assert np.abs(case.simulated() - exact).max() <= approximation.error + FIXED_POINT
    if form != "table":  # whose entries are chosen by rounded arguments
        # at a threshold, the segments on either side differ by their errors
        assert np.abs(secure - case.simulated()).max() <= FIXED_POINT + 2 * approximation.error
    rounds = {"series": 3, "table": 3}.get(form, 5)
    assert run.rounds == rounds  # the last one reveals


@pytest.mark.parametrize("function", OPERATIONS)
def test_the_default_is_accurate(function: str) -> None:
    secure, _ = program(function, X).secure()
    exact = FUNCTIONS[function].evaluate(X)
    assert np.abs(secure - exact).max() <= max(1e-4 + FIXED_POINT, 2.0**-16 * np.abs(exact).max())


@pytest.mark.parametrize("function", [f for f in OPERATIONS if f != "exp"])
def test_a_range_too_wide_for_a_series_gets_segments(function: str) -> None:
    x = np.linspace(-400.0, 400.0, 801)
    case = program(function, x)
    secure, _ = case.secure()
    assert np.abs(secure - FUNCTIONS[function].evaluate(x)).max() <= 2e-4 + FIXED_POINT
    assert "segmented_polynomial" in {o.kind for o in case.program.operations}


SATURATING = [
    *(("gelu_none", name) for name in ("secmoe", "puma", "shaft", "secformer", "bumblebee", "bolt", "fit")),
    *(("silu", name) for name in ("shaft", "puma", "fit")),
    *((function, "fit") for function in ("gelu_tanh", "softplus", "tanh", "sigmoid", "erf")),
]


@pytest.mark.parametrize(("function", "name"), SATURATING)
def test_saturated_arguments_are_exact_and_in_range(function: str, name: str) -> None:
    radius = 14.0
    using = (
        fit_segments(function, -radius, radius, 3, 3e-4)
        if name == "fit"
        else find(OPERATIONS[function][0], name)
    )
    case = program(function, np.linspace(-radius, radius, 101), using, check=True)
    secure, run = beyond(case, FAR).secure()
    exact = FUNCTIONS[function].evaluate(FAR)
    assert np.abs(secure[: len(FAR)] - exact).max() < 1e-12
    assert not run.outputs[1]["mpcc.range_checks"].any()


def test_a_check_of_ranges_sees_arguments_beyond_what_saturates() -> None:
    case = program("tanh", X, fit_segments("tanh", -RADIUS, RADIUS, 3, 3e-4), check=True)
    _, run = beyond(case, np.array([3000.0, 0.0])).secure()
    assert run.outputs[1]["mpcc.range_checks"].all()


def test_a_published_period_is_scaled_to_a_power_of_two() -> None:
    series = Series(20.0, (1, 3), (1.0, 0.25), (0.25, 0.75))
    wave = piecewise(series=series, gates=(0.5,), domain=(-8.0, 8.0), rows=((0.25, -0.375),))
    secure, _ = program("tanh", X, wave).secure()
    assert np.abs(secure - wave.evaluate(X)).max() <= FIXED_POINT


def test_a_series_of_what_is_constant_has_no_slope_to_speak_of() -> None:
    x = np.linspace(8.0, 38.0, 301)
    secure, _ = program("erf", x, fit_series("erf", 8.0, 38.0, 1e-3)).secure()
    assert np.abs(secure - 1.0).max() <= FIXED_POINT


def test_steep_segments_have_a_fine_argument() -> None:
    x = np.linspace(-3.5, 4.75, 2001)
    using = fit_segments("exp", -3.5, 4.75, 5, 0.0125)
    secure, _ = program("exp", x, using).secure()
    assert np.abs(secure - np.exp(x)).max() <= using.error + 2.0**-13 * np.exp(4.75)


def test_a_series_times_its_argument() -> None:
    series = Series(16.0, (1, 2), (0.5, 0.25), (0.0, 0.125))
    wave = piecewise(series=series, gates=(-1.0,), domain=(-8.0, 8.0), times_argument=True)
    secure, _ = program("tanh", X, wave).secure()
    assert np.abs(secure - wave.evaluate(X)).max() <= FIXED_POINT


def test_polynomials_and_series_of_segments_add_up() -> None:
    series = Series(16.0, (1,), (0.5,), (0.25,))
    both = piecewise(
        thresholds=(-3.0, 0.0, 3.0),
        rows=((-1.0,), (0.0, 0.0, 0.125, 0.0625), (0.5, 0.25), (0.0, 1.0)),
        series=series,
        gates=(0.0, 1.0, -0.5, 0.0),
        times_argument=True,
    )
    x = X[(np.abs(X[:, None] - np.array(both.thresholds)) > 2.0**-10).all(axis=1)]  # it jumps there
    secure, _ = program("tanh", x, both).secure()
    assert np.abs(secure - both.evaluate(x)).max() <= 2 * FIXED_POINT


@pytest.mark.parametrize(
    "row",
    [
        (0.5, -0.25),
        (0.25, 0.0),
        (0.5, 0.25, 0.125),
        (0.0, 1.0, 0.0, -0.01),
        (0.1, 0.5, 0.2, 0.01, -0.003),
        (1.0, 0.0, -0.1, 0.0, 0.002),
    ],
)
def test_one_polynomial_everywhere(row: tuple[float, ...]) -> None:
    polynomial = piecewise(rows=(row,), changes_model=True)
    case = program("tanh", X, polynomial)
    secure, _ = case.secure()
    assert np.abs(secure - polynomial.evaluate(X)).max() <= 2 * FIXED_POINT
    assert "less_than" not in {o.kind for o in case.program.operations}


def test_steps_have_constants_alone() -> None:
    steps = piecewise(thresholds=(-2.0, 1.0), rows=((-1.0,), (0.25,), (2.0,)))
    x = np.array([-5.0, -2.125, -1.875, 0.0, 0.875, 1.125, 5.0])
    secure, _ = program("tanh", x, steps).secure()
    assert np.abs(secure - steps.evaluate(x)).max() == 0.0


@pytest.mark.parametrize(
    "interval", [(-3.0, 2.0), (-40.0, 5.0), (-9.0, -7.0), (20.0, 30.0), (-60.0, -58.0), (-1e-3, 1e-3)]
)
def test_an_exponential_is_accurate_relative_to_the_largest(interval: tuple[float, float]) -> None:
    x = np.linspace(*interval, 501)
    case = program("exp", x)
    secure, _ = case.secure()
    tolerance = max(2.0**-14 * np.exp(interval[1]), 2.0**-13)
    assert np.abs(secure - np.exp(x)).max() <= tolerance
    assert np.abs(case.simulated() - np.exp(x)).max() <= tolerance


def test_an_exponential_of_a_narrow_range_needs_no_clip() -> None:
    kinds = {o.kind for o in program("exp", np.linspace(-3.0, 2.0, 9)).program.operations}
    assert "less_than" not in kinds
    assert "less_than" in {o.kind for o in program("exp", np.linspace(-40.0, 2.0, 9)).program.operations}


def test_mish() -> None:
    def mish(builder: Builder, x: Value) -> Value:
        return builder.emit("mul", x, builder.emit("tanh", builder.emit("softplus", x)))

    secure, _ = lowered(mish, X).secure()
    assert np.abs(secure - X * np.tanh(np.logaddexp(0.0, X))).max() <= 3e-3


def test_layers_outside_of_a_domain_are_named_together() -> None:
    def two(builder: Builder, x: Value) -> Value:
        return builder.emit("tanh", x, onnx_nodes=("Layer_1/Tanh",), hint=None)

    narrow = fit_series("tanh", -2.0, 2.0, 1e-3)
    with pytest.raises(MpccErrors) as caught:
        lowered(two, X, using=narrow)
    (error,) = caught.value.errors
    assert (error.code, error.where) == ("MPC-P018", "Layer_1/Tanh")
    assert "[-6, 6]" in error.message
    assert f"[{narrow.domain[0]:.4g}, {narrow.domain[1]:.4g}]" in error.message
    assert "--approximate tanh=best" in error.remedy


def test_a_table_refuses_a_range_it_does_not_hold() -> None:
    with pytest.raises(MpccErrors) as caught:
        program("sigmoid", X, lookup("sigmoid", -4.0, 4.0, 7))
    assert caught.value.errors[0].code == "MPC-P018"
