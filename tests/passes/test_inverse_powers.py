"""x^-1, x^-1/2, x^1/2: convergence is as proven, stated bounds hold in floats and between both parties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Builder, Value
from mpcc.passes.approximations.candidates import candidates
from mpcc.passes.approximations.catalogue import find
from mpcc.passes.approximations.convergence import classical, deflation, iterations, multiplier_power
from mpcc.passes.approximations.goldschmidt import GoldschmidtPower
from mpcc.passes.approximations.inverse import (
    SEGMENTS,
    WIDE_RECIPROCAL,
    Goldschmidt,
    InversePower,
    SquaredPower,
    instance,
)
from mpcc.passes.approximations.powers import segmented_power
from mpcc.passes.lower import Formats
from tests.passes.inverse_powers import compute
from tests.passes.tensor_programs import Make, constant, lowered

EXPONENTS = (-1.0, -0.5, 0.5)
NAMES = (
    "segments",
    "segments-coarse",
    "segments-fine",
    "goldschmidt",
    "goldschmidt-rescaled",
    "goldschmidt-lookup",
    "goldschmidt-fine",
)
START_TICKS = 3  # comparisons and the opening of their bits


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(21)


def recipe(name: str) -> InversePower:
    found = find("power", name)
    assert isinstance(found, InversePower)
    return found


def with_eta(eta: float | None, error: float = 1e-4) -> Goldschmidt:
    return Goldschmidt(
        name="g", function="power", domain=(0.0, np.inf), error=error, source="test", steps=0, eta=eta
    )


def iterated(exponent: float, x: np.ndarray, eta: float, count: int) -> np.ndarray:
    """x^exponent by the iteration as papers have it, in floating point."""
    q, k = eta * x, multiplier_power(exponent)
    r = eta**-exponent * (q if exponent > 0 else np.ones_like(x))
    constant_term, slope = classical(exponent)
    for _ in range(count):
        m = constant_term + slope * q
        q, r = q * m**k, r * m
    return np.asarray(r)


def relative(y: np.ndarray, x: np.ndarray, exponent: float) -> float:
    return float(np.abs(y / x**exponent - 1.0).max())


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(EXPONENTS),
    st.floats(1e-4, 1e4),
    st.floats(0.1, 14.0),
    st.floats(1e-7, 1e-2),
    st.none() | st.floats(0.05, 0.999),
)
def test_convergence_is_as_measured(
    exponent: float, low: float, octaves: float, error: float, part: float | None
) -> None:
    """The number of iterations is enough, and one less is not, for the best eta and for stated ones."""
    high = low * 2.0**octaves
    limit = (multiplier_power(exponent) + 1.0) / high
    eta = deflation(exponent, low, high) if part is None else part * limit
    count = iterations(exponent, low, high, eta, error)
    x = np.geomspace(low, high, 4001)
    assert relative(iterated(exponent, x, eta, count), x, exponent) <= error * (1 + 1e-6) + 1e-11
    if count > 1:
        assert relative(iterated(exponent, x, eta, count - 1), x, exponent) >= error * (1 - 1e-6) - 1e-11


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("octaves", [0.5, 2.0, 4.0])
def test_the_deflation_is_the_best_and_treats_both_ends_alike(exponent: float, octaves: float) -> None:
    ends = np.array([0.3, 0.3 * 2.0**octaves])
    eta = deflation(exponent, ends[0], ends[1])

    def left(eta: float) -> np.ndarray:
        return np.abs(iterated(exponent, ends, eta, 2) / ends**exponent - 1.0)

    best = left(eta)
    if eta * ends[1] < 0.87 * (multiplier_power(exponent) + 1.0):
        assert best[0] == pytest.approx(best[1], rel=1e-6)
    for other in (0.9 * eta, 0.99 * eta, 1.01 * eta):
        assert left(other).max() > best.max() * (1 - 1e-9) or eta * ends[1] > 0.87


@pytest.mark.parametrize(("exponent", "limit"), [(-1.0, 2.0), (-0.5, 3.0), (0.5, 3.0)])
def test_what_does_not_converge_is_refused(exponent: float, limit: float) -> None:
    for eta in (limit / 8.0, 1.5 * limit / 8.0, 0.0, -1.0):
        with pytest.raises(MpccError, match=rf"eta \* range = .* leaves \(0, {limit:g}\)") as refused:
            iterations(exponent, 0.5, 8.0, eta, 1e-4)
        assert refused.value.code == "MPC-P019"
    assert iterations(exponent, 0.5, 8.0, 0.999 * limit / 8.0, 1e-4) > 5
    with pytest.raises(MpccError, match="more than 60 steps") as refused:
        iterations(exponent, 1e-19, 8.0, 0.1, 1e-4)
    assert refused.value.code == "MPC-P019"


def test_a_stated_eta_that_does_not_fit_is_refused_where_the_node_is(generator: np.random.Generator) -> None:
    x = generator.uniform(0.5, 4.0, (4, 8))

    def make(b: Builder, x: Value) -> Value:
        return b.emit("rsqrt", b.emit("square", x), onnx_nodes=("norm/Reciprocal",))

    with pytest.raises(MpccError, match=r"leaves \(0, 3\)") as refused:
        lowered(make, x, using=with_eta(1.0))
    assert (refused.value.code, refused.value.where) == ("MPC-P019", "norm/Reciprocal")
    case = lowered(make, x, using=with_eta(1 / 40))
    assert np.abs(case.secure()[0] - case.expected).max() < 5e-4


def test_a_range_too_wide_for_the_formats_names_the_recipe_that_helps() -> None:
    with pytest.raises(MpccError, match=r"relative error|no format") as refused:
        instance(recipe("goldschmidt"), -0.5, 1.0, 2.0**40)
    assert refused.value.code == "MPC-P016"
    assert "thresholds" in refused.value.remedy
    assert instance(recipe("goldschmidt-lookup"), -0.5, 1.0, 2.0**24).error < 1e-4
    with pytest.raises(MpccError) as refused:  # the argument times eta has no ring
        compute(np.ones(1), 0.5, recipe("goldschmidt"), 1.0, 2.0**17)
    assert refused.value.code == "MPC-P016"
    for exponent in EXPONENTS:
        with pytest.raises(MpccError) as refused:
            segmented_power("s", "test", exponent, 1e-20, 1e20, 8)
        assert refused.value.code == "MPC-P016"


@pytest.mark.parametrize("name", NAMES)
def test_a_power_of_values_that_reach_zero_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        instance(recipe(name), -1.0, 0.0, 1.0)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(NAMES), st.sampled_from(EXPONENTS), st.floats(1e-4, 1e3), st.floats(0.2, 16.0))
def test_instances_hold_their_bound(name: str, exponent: float, low: float, octaves: float) -> None:
    """In floating point, with integer coefficients; an iteration's bound is within what its recipe states."""
    used, high = recipe(name), low * 2.0**octaves
    power = instance(used, exponent, low, high)
    x = np.geomspace(low, high, 4001)
    assert relative(power.evaluate(x), x, exponent) <= power.error
    if isinstance(power, GoldschmidtPower):
        assert power.error <= used.error
        if used.name == "goldschmidt":
            exact = iterations(exponent, low, high, power.real_eta, used.error)
            assert exact <= len(power.iterations) <= exact + 3
    else:
        assert power.error <= 4 * used.error + 5e-4


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("octaves", [1.0, 4.0, 10.0, 13.6])
@pytest.mark.parametrize("name", NAMES)
def test_both_parties_stay_within_the_bound(name: str, octaves: float, exponent: float) -> None:
    """All over the range and at its ends, where the iterations converge last; a round an iteration."""
    low, high = 0.0137, 0.0137 * 2.0**octaves
    x = np.concatenate([np.geomspace(low, high, 60), np.full(20, low), np.full(20, high)])
    done = compute(x, exponent, recipe(name), low, high, 27.7)
    assert max(done.secure.max(), done.simulated.max()) <= done.power.error
    if isinstance(done.power, GoldschmidtPower):
        start = START_TICKS if done.power.octaves else 0
        assert done.run.rounds == start + len(done.power.iterations) + 1
    else:
        assert done.run.rounds == START_TICKS + 2


def test_rescaling_halves_the_iterations_and_a_table_nearly_ends_them() -> None:
    counts = {}
    for name in ("goldschmidt", "goldschmidt-rescaled", "goldschmidt-lookup", "goldschmidt-fine"):
        powers = [instance(recipe(name), exponent, 1.0, 2.0**13.5) for exponent in (-1.0, -0.5)]
        counts[name] = [len(power.iterations) for power in powers if isinstance(power, GoldschmidtPower)]
    assert counts["goldschmidt"] == [16, 14]
    assert counts["goldschmidt-rescaled"] == [11, 9]
    assert counts["goldschmidt-lookup"] == [4, 3]
    assert counts["goldschmidt-fine"] == [2, 2]


@pytest.mark.parametrize("name", ["segments", "goldschmidt", "goldschmidt-fine"])
def test_wide_reciprocals_are_squares_of_roots(name: str) -> None:
    low, high = 0.02, 0.02 * 2.0**15
    x = np.concatenate([np.geomspace(low, high, 60), [low] * 10, [high] * 10])
    done = compute(x, -1.0, recipe(name), low, high)
    assert isinstance(done.power, SquaredPower)
    assert max(done.secure.max(), done.simulated.max()) <= done.power.error < 3e-4
    assert not isinstance(instance(recipe(name), -1.0, low, 0.99 * low * WIDE_RECIPROCAL), SquaredPower)


def positive(b: Builder, x: Value) -> Value:
    return b.emit("add", b.emit("square", x), constant(b, np.asarray(0.5), "public"))


OPERATIONS: dict[str, tuple[Make, float]] = {
    "layer_norm": (lambda b, x: b.emit("layer_norm", x, epsilon=1e-5), 5e-4),
    "rms_norm": (lambda b, x: b.emit("rms_norm", x, constant(b, np.ones(16)), epsilon=1e-6), 5e-4),
    "l2_normalize": (lambda b, x: b.emit("l2_normalize", x, epsilon=1e-12), 3e-4),
    "reciprocal": (lambda b, x: b.emit("reciprocal", positive(b, x)), 5e-4),
    "rsqrt": (lambda b, x: b.emit("rsqrt", positive(b, x)), 5e-4),
    "sqrt": (lambda b, x: b.emit("sqrt", positive(b, x)), 1e-3),
    "div": (lambda b, x: b.emit("div", x, positive(b, x)), 5e-4),
    "div_constant": (lambda b, x: b.emit("div", constant(b, np.arange(1.0, 17.0)), positive(b, x)), 4e-3),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", ["goldschmidt", "goldschmidt-rescaled", "goldschmidt-lookup"])
def test_operations_follow_the_plan(operation: str, name: str, generator: np.random.Generator) -> None:
    make, tolerance = OPERATIONS[operation]
    x = generator.normal(size=(12, 16)) * 1.5
    case = lowered(make, x, using=recipe(name))
    assert np.abs(case.secure()[0] - case.expected).max() < tolerance
    assert np.abs(case.simulated() - case.expected).max() < tolerance
    assert case.program.operations != lowered(make, x).program.operations


@pytest.mark.parametrize("name", ["segments", "goldschmidt-lookup", "goldschmidt"])
def test_layer_norm_of_rows_of_all_sizes(name: str, generator: np.random.Generator) -> None:
    """The bar of LayerNorm: standard deviations of 0.1 to 20 in one tensor, constant rows among them."""
    scale = np.geomspace(0.1, 20.0, 128)[:, None]
    x = (generator.normal(size=(128, 768)) + generator.normal(size=(128, 1))) * scale
    x[5], x[77] = 3.0, 0.0
    case = lowered(lambda b, x: b.emit("layer_norm", x, epsilon=1e-5), x, using=recipe(name))
    secure, run = case.secure()
    assert np.abs(secure - case.expected).max() < 2.5e-4
    assert (secure[[5, 77]] == 0.0).all()
    assert sum(run.sent) < 1.1e6
    # a reveal, and for x and the inverse deviation an opening each
    assert run.rounds == {"segments": 7, "goldschmidt-lookup": 9, "goldschmidt": 23}[name]


def test_a_constant_row_is_finite_and_right_where_calibration_saw_none(
    generator: np.random.Generator,
) -> None:
    scale = np.geomspace(0.5, 8.0, 16)[:, None]
    x = generator.normal(size=(16, 32)) * scale
    for used in (SEGMENTS, recipe("goldschmidt-lookup"), recipe("goldschmidt-rescaled")):
        case = lowered(lambda b, x: b.emit("layer_norm", x, epsilon=1e-5), x, formats=Formats(), using=used)
        case.inputs["x"] = x.copy()
        case.inputs["x"][3] = -2.5
        case.inputs["x"][4] = 0.0
        for y in (case.secure()[0], case.simulated()):
            assert (y[3:5] == 0.0).all()
            others = np.delete(np.abs(y - case.expected), [3, 4], axis=0)
            assert others.max() < 5e-4


def test_recipes_without_a_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match="error of 0"):
        with_eta(None, error=0.0)
    with pytest.raises(ValueError, match="eta must be positive"):
        with_eta(-1.0)
    with pytest.raises(TypeError, match="instance"):
        SEGMENTS.evaluate(np.ones(1))
    with pytest.raises(ValueError, match="no iteration"):
        multiplier_power(2.0)


@pytest.mark.parametrize("kind", ["reciprocal", "rsqrt", "sqrt"])
def test_over_few_magnitudes_a_series_or_plain_segments_do(kind: str) -> None:
    x = np.linspace(1.0, 8.0, 2048).reshape(2, 1024)
    offered = [a for a in candidates(kind, 0.5, 16.0) if a.error <= 1e-3]
    for family in ("series", "segments"):
        approximation = next(a for a in offered if a.name.startswith(family))
        program = lowered(lambda b, v: b.emit(kind, v, hint="y"), x, using=approximation)
        y, _ = program.secure()
        assert np.abs(y - program.expected).max() <= approximation.error + 2.5e-4
