"""Corners of the lowerings: pending factors, masks, constants anywhere, wide ranges, odd outputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mpcc.compiler.backend.split import split
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Builder, Program, Stage, Value
from mpcc.ir.types import Range
from mpcc.passes.lower import Formats
from mpcc.passes.pipeline import Lower, pipeline, run
from mpcc.runtime.correlations import plan
from mpcc.runtime.sources import Sources
from tests.passes.tensor_programs import Make, client, constant, lowered
from tests.runtime.protocols.harness import run_program

GENERATOR = np.random.default_rng(8)
X = GENERATOR.normal(size=(4, 8)) * 2
SQUARE = GENERATOR.normal(size=(8, 8)) / 3
BOTH = ("public", "party0")
Use = Callable[[Builder, Value], Value]


def error_of(make: Make, x: np.ndarray, others: dict[str, np.ndarray] | None = None) -> float:
    """The larger error of secure run and simulation, relative to the largest result if that is above 1."""
    case = lowered(make, x, others)
    secure, _ = case.secure()
    assert secure.shape == case.expected.shape
    difference = max(np.abs(result - case.expected).max() for result in (secure, case.simulated()))
    return float(difference) / max(1.0, float(np.abs(case.expected).max()))


def _softmax(b: Builder, x: Value) -> Value:
    return b.emit("softmax", x, empty_rows="refuse")


def _layer_norm(b: Builder, x: Value) -> Value:
    return b.emit("layer_norm", x, constant(b, SQUARE[0] + 1), constant(b, SQUARE[1]), epsilon=1e-5)


USES: dict[str, Use] = {
    "output": lambda b, y: y,
    "reshape": lambda b, y: b.emit("reshape", y, shape=(2, 16)),
    "transpose": lambda b, y: b.emit("transpose", y, permutation=(1, 0)),
    "slice": lambda b, y: b.emit("slice", y, starts=(3, 7), stops=(-1, -1), steps=(-1, -2)),
    "take": lambda b, y: b.emit("take", y, axis=0, indices=(2, 2, 0)),
    "expand": lambda b, y: b.emit("expand", y, shape=(2, 4, 8)),
    "add itself": lambda b, y: b.emit("add", y, y),
    "sub constant": lambda b, y: b.emit("sub", constant(b, SQUARE[:4]), y),
    "concat": lambda b, y: b.emit("concat", y, constant(b, SQUARE[:4], "public"), y, axis=1),
    "reduce": lambda b, y: b.emit("reduce_mean", y, axes=(0,), keepdims=False),
    "square": lambda b, y: b.emit("square", y),
    "mul weight": lambda b, y: b.emit("mul", constant(b, SQUARE[0]), y),
    "negate": lambda b, y: b.emit("negate", y),
    "gelu": lambda b, y: b.emit("gelu", y, approximate="none"),
    "linear": lambda b, y: b.emit("linear", y, constant(b, SQUARE)),
    "right of a product": lambda b, y: b.emit("matmul", constant(b, SQUARE[:3, :4]), y),
    "both sides of a product": lambda b, y: b.emit("matmul", y, b.emit("transpose", y, permutation=(1, 0))),
    "again": lambda b, y: _softmax(b, y),
    "norm": lambda b, y: b.emit("l2_normalize", y, epsilon=1e-12),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("pending", [_softmax, _layer_norm])
def test_pending_factors_are_applied_on_every_path(pending: Use, use: str) -> None:
    assert error_of(lambda b, x: USES[use](b, pending(b, x)), X) < 1e-3


@pytest.mark.parametrize("who", ["public", "party0", "client"])
@pytest.mark.parametrize("masked", [0.0, 30.0, -30.0])
def test_a_masked_score_weighs_nothing_however_high_it_is(who: str, masked: float) -> None:
    """Scores all alike, or masked ones far above or below: none may reach the maximum or keep a weight."""
    keep = np.tile(np.array([1.0, 1.0, 0.0, 1.0, 0.0]), (3, 1))
    scores = np.where(keep, 0.25, masked) * np.array([[1.0], [0.5], [1.0]])
    others = {"keep": keep} if who == "client" else {}

    def make(b: Builder, x: Value) -> Value:
        given = client(b, "keep", keep) if who == "client" else constant(b, keep, who)
        return b.emit("softmax", x, given, empty_rows="refuse")

    case = lowered(make, scores, others)
    for result in (case.secure()[0], case.simulated()):
        assert (result[keep == 0] == 0).all()
        assert np.abs(result - case.expected).max() < 2e-4


def test_a_mask_of_party_0_stays_with_party_0() -> None:
    keep = np.array([[1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]])
    case = lowered(lambda b, x: b.emit("softmax", x, constant(b, keep), empty_rows="refuse"), X)
    public = [str(o.attributes["name"]) for o in case.program.operations if o.kind == "constant"]
    assert all(case.program.constants[name].size == 1 for name in public)


@pytest.mark.parametrize("scale", [3.0, 30.0])
def test_attention_over_a_wide_range_of_scores(scale: float) -> None:
    def make(b: Builder, x: Value) -> Value:
        scores = b.emit("matmul", x, b.emit("transpose", x, permutation=(1, 0)))
        return b.emit("matmul", _softmax(b, scores), x)

    assert error_of(make, X / np.abs(X).max() * scale / 2) < 1e-3


@pytest.mark.parametrize("who", BOTH)
@pytest.mark.parametrize(
    "kind", ["divisor", "dividend", "left matmul", "right matmul", "view", "view of view"]
)
def test_constants_stand_anywhere(kind: str, who: str) -> None:
    array = np.array([-0.7, 1.5, 3.0, -2.0, 0.4, 1.0, 8.0, 0.9])

    def make(b: Builder, x: Value) -> Value:
        c = constant(b, array, who)
        if kind == "divisor":
            return b.emit("div", x, c)
        if kind == "dividend":
            return b.emit("div", c, b.emit("add", b.emit("square", x), constant(b, np.asarray(0.5), who)))
        if kind == "left matmul":
            return b.emit("matmul", constant(b, SQUARE[:3, :4], who), x)
        if kind == "right matmul":
            pair = constant(b, np.stack([SQUARE, -SQUARE]), who)
            return b.emit("matmul", b.emit("reshape", x, shape=(2, 2, 8)), pair)
        row = b.emit("reshape", c, shape=(1, 8))
        return b.emit("mul", x, row if kind == "view" else b.emit("expand", row, shape=(4, 8)))

    assert error_of(make, X) < 2e-4


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("factor", [0.5, -4.0, 0.3, 0.0])
@pytest.mark.parametrize("who", BOTH)
def test_a_single_factor_of_any_rank(shape: tuple[int, ...], factor: float, who: str) -> None:
    assert error_of(lambda b, x: b.emit("mul", constant(b, np.full(shape, factor), who), x), X[0]) < 3e-4


def test_roots_and_reciprocals_are_accurate_in_proportion() -> None:
    x = np.geomspace(0.1, 150.0, 64).reshape(4, 16)
    powers: dict[str, tuple[Make, float]] = {
        "sqrt": (lambda b, y: b.emit("sqrt", b.emit("square", y)), 1.0),
        "rsqrt": (lambda b, y: b.emit("rsqrt", b.emit("square", y)), -1.0),
        "reciprocal": (lambda b, y: b.emit("reciprocal", b.emit("square", y)), -2.0),
        "one in itself": (lambda b, y: b.emit("div", b.emit("square", y), b.emit("square", y)), 0.0),
    }
    for make, exponent in powers.values():  # of values over 24 octaves, with the safety factor
        secure, _ = lowered(make, x).secure()
        assert (
            np.abs(secure - x**exponent) <= 3e-3 * x**exponent + 2.0**-16
        ).all()  # x has 13 bits, outputs 17


def test_a_mean_of_values_with_many_fraction_bits() -> None:
    def make(b: Builder, x: Value) -> Value:
        return b.emit("reduce_mean", b.emit("reciprocal", b.emit("square", x)), axes=(0, 1), keepdims=False)

    assert error_of(make, np.abs(X) + 1) < 1e-3


@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm", "l2_normalize"])
def test_rows_of_zeros_are_normalised_to_zeros(kind: str) -> None:
    x = np.concatenate([X, np.zeros((2, 8))])
    case = lowered(lambda b, y: b.emit(kind, y, epsilon=1e-12), x)
    secure, _ = case.secure()
    assert (secure[4:] == 0).all()
    assert np.abs(secure - case.expected).max() < 5e-4


def test_a_power_over_too_many_magnitudes_is_refused() -> None:
    with pytest.raises(MpccError) as caught:
        lowered(lambda b, x: b.emit("rsqrt", b.emit("square", x)), np.geomspace(1e-4, 1e6, 8))
    assert caught.value.code in ("MPC-P016", "MPC-P017", "MPC-P020")


def test_outputs_may_repeat_each_other_and_inputs() -> None:
    builder = Builder("test", Stage.TENSOR)
    x, unused = client(builder, "x", X), client(builder, "unused", X)
    y = builder.emit("add", x, constant(builder, SQUARE[:4]))
    weight, own = constant(builder, SQUARE[:2]), builder.emit("negate", y)
    builder.program.outputs = {"first": y, "second": y, "input": x, "weight": weight, "own": own}
    ranges = {v.name: Range(-20.0, 20.0) for v in (x, unused, y, weight, own)}
    stages: dict[str, Program] = {}
    run(pipeline(Lower(ranges, {}, {}, Formats())), builder.program, stages.__setitem__)
    program = stages["assign-rings"]
    result = run_program(program, Sources({"x": X}, program.constants, program.constants)).outputs
    assert result[0] == {}
    shifted = X + SQUARE[:4]
    expected = {"first": shifted, "second": shifted, "input": X, "weight": SQUARE[:2], "own": -shifted}
    for name, wanted in expected.items():
        fraction = program.outputs[name].type.fraction  # type: ignore[union-attr]
        assert np.abs(result[1][name] * 2.0**-fraction - wanted).max() < 1e-4


def test_colliding_streams_are_refused_when_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    linked = plan.link(split(lowered(_softmax, X).program)[0])
    plan.to_json(linked)
    monkeypatch.setattr(plan, "stream", lambda value, slot: len(slot))
    with pytest.raises(MpccError) as caught:
        plan.to_json(linked)
    assert caught.value.code == "MPC-S014"


def test_arguments_of_powers_that_are_lost_in_their_rounding_are_refused() -> None:
    with pytest.raises(MpccError) as caught:
        lowered(lambda b, v: b.emit("reciprocal", v, hint="y"), np.linspace(1e-6, 2e-6, 8))
    assert caught.value.code == "MPC-P016"
    assert "epsilon" in str(caught.value)
