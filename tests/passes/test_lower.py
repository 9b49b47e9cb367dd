"""Every lowering against the tensor operation's meaning, run between both parties, with the cost as
predicted.
"""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_program
from mpcc.ir.program import Builder, Value
from tests.passes.tensor_programs import Make, client, constant, lowered

GENERATOR = np.random.default_rng(3)
X = GENERATOR.normal(size=(4, 32)) * 3 + 1
GAIN, BIAS = GENERATOR.normal(size=32) + 1, GENERATOR.normal(size=32)
SQUARE, NARROW = GENERATOR.normal(size=(32, 32)) / 6, GENERATOR.normal(size=(32, 24)) / 5

BATCH, BATCH_BIAS = GENERATOR.normal(size=(2, 32, 5)) / 5, GENERATOR.normal(size=(2, 1, 5))


def unary(kind: str, **attributes: str | float | bool | tuple[int, ...]) -> Make:
    return lambda builder, x: builder.emit(kind, x, onnx_nodes=(), hint=None, **attributes)


def by_expert(builder: Builder, x: Value) -> Value:
    """Four rows as two experts' two."""
    return builder.emit("reshape", x, shape=(2, 2, 32))


def attention(builder: Builder, x: Value) -> Value:
    q, k, v = (builder.emit("linear", x, constant(builder, SQUARE * s)) for s in (0.1, -0.8, 1.2))
    scores = builder.emit("matmul", q, builder.emit("transpose", k, permutation=(1, 0)))
    keep = constant(builder, np.tril(np.ones((4, 4))), "public")
    return builder.emit("matmul", builder.emit("softmax", scores, keep, empty_rows="refuse"), v)


def positive(builder: Builder, x: Value) -> Value:
    return builder.emit("reduce_sum", builder.emit("square", x), axes=(1,), keepdims=True)


CASES: dict[str, tuple[Make, float]] = {
    "gelu": (unary("gelu", approximate="none"), 6e-4),
    "gelu_tanh": (unary("gelu", approximate="tanh"), 6e-4),
    "silu": (unary("silu"), 6e-4),
    "tanh": (unary("tanh"), 6e-4),
    "sigmoid": (unary("sigmoid"), 6e-4),
    "erf": (unary("erf"), 6e-4),
    "relu": (unary("relu"), 3e-4),
    "square": (unary("square"), 2e-2),
    "negate": (unary("negate"), 1e-4),
    "reduce_sum": (unary("reduce_sum", axes=(1,), keepdims=False), 2e-3),
    "reduce_mean": (unary("reduce_mean", axes=(0,), keepdims=True), 4e-4),
    "rms_norm": (lambda b, x: b.emit("rms_norm", x, constant(b, GAIN), epsilon=1e-6), 5e-4),
    "layer_norm": (
        lambda b, x: b.emit("layer_norm", x, constant(b, GAIN), constant(b, BIAS), epsilon=1e-5),
        5e-4,
    ),
    "layer_norm_plain": (unary("layer_norm", epsilon=1e-5), 5e-4),
    "l2_normalize": (unary("l2_normalize", epsilon=1e-12), 1e-4),
    "linear": (lambda b, x: b.emit("linear", x, constant(b, NARROW), constant(b, BIAS[:24])), 5e-4),
    "norm_into_linear": (
        lambda b, x: b.emit(
            "linear",
            b.emit("layer_norm", x, constant(b, GAIN), constant(b, BIAS), epsilon=1e-5),
            constant(b, NARROW),
        ),
        5e-4,
    ),
    "batched_linear": (
        lambda b, x: b.emit("linear", by_expert(b, x), constant(b, BATCH), constant(b, BATCH_BIAS)),
        5e-4,
    ),
    "batched_linear_of_one_row": (
        lambda b, x: b.emit(
            "linear",
            b.emit("reshape", x, shape=(1, 2, 2, 1, 32)),
            constant(b, BATCH),
            constant(b, BATCH_BIAS),
        ),
        5e-4,
    ),
    "norm_into_batched_linear": (
        lambda b, x: b.emit(
            "linear",
            b.emit("layer_norm", by_expert(b, x), constant(b, GAIN), constant(b, BIAS), epsilon=1e-5),
            constant(b, BATCH),
            constant(b, BATCH_BIAS),
        ),
        5e-4,
    ),
    "mul_secret": (lambda b, x: b.emit("mul", x, b.emit("linear", x, constant(b, SQUARE))), 2e-2),
    "mul_public": (lambda b, x: b.emit("mul", x, constant(b, np.asarray([0.3]), "public")), 3e-4),
    "mul_power_of_two": (lambda b, x: b.emit("mul", x, constant(b, np.asarray(-0.125), "public")), 1e-4),
    "mul_weight": (lambda b, x: b.emit("mul", x, constant(b, GAIN)), 6e-4),
    "add_weight": (lambda b, x: b.emit("add", x, constant(b, BIAS)), 1e-4),
    "sub_public": (lambda b, x: b.emit("sub", x, constant(b, BIAS, "public")), 1e-4),
    "reciprocal": (lambda b, x: b.emit("reciprocal", positive(b, x)), 2e-5),
    "rsqrt": (lambda b, x: b.emit("rsqrt", positive(b, x)), 2e-5),
    "sqrt": (lambda b, x: b.emit("sqrt", positive(b, x)), 3e-3),
    "div": (lambda b, x: b.emit("div", x, positive(b, x)), 2e-4),
    "softmax": (unary("softmax", empty_rows="refuse"), 2e-4),
    "attention": (attention, 4e-3),  # a thousandth of the result's deviation
    "concat": (lambda b, x: b.emit("concat", x, constant(b, SQUARE[:2]), axis=0), 1e-4),
    "matmul_public": (lambda b, x: b.emit("matmul", x, constant(b, SQUARE, "public")), 5e-4),
}


@pytest.mark.parametrize("name", CASES)
def test_lowering(name: str) -> None:
    make, tolerance = CASES[name]
    case = lowered(make, X)
    secure, _ = case.secure()
    simulated = case.simulated()
    assert secure.shape == case.expected.shape
    assert np.abs(secure - case.expected).max() <= tolerance
    assert np.abs(simulated - case.expected).max() <= tolerance


@pytest.mark.parametrize("name", ["attention", "layer_norm", "gelu", "div"])
def test_every_stage_prints_and_parses_back(name: str) -> None:
    case = lowered(CASES[name][0], X)
    for program in (case.tensor, *case.stages.values()):
        text = print_program(program)
        assert print_program(parse(text)) == text


def test_a_masked_position_gets_exactly_no_weight_and_an_empty_row_is_zero() -> None:
    x = GENERATOR.normal(size=(3, 8)) * 4
    keep = np.array([[1, 1, 1, 0, 0, 1, 0, 1], [1] * 8, [0] * 8], dtype=np.float64)
    case = lowered(
        lambda b, x: b.emit("softmax", x, client(b, "keep", keep), empty_rows="zero"), x, {"keep": keep}
    )
    secure, _ = case.secure()
    assert (secure[keep == 0] == 0).all()
    assert np.abs(secure - case.expected).max() < 2e-4


def test_the_maximum_of_a_row_costs_two_ticks_whatever_its_length() -> None:
    rounds = {
        length: lowered(unary("softmax", empty_rows="refuse"), GENERATOR.normal(size=(2, length)) * 3)
        .secure()[1]
        .rounds
        for length in (4, 64)
    }
    assert rounds[4] == rounds[64]


def test_one_opening_serves_query_key_and_value() -> None:
    kinds = [o.kind for o in lowered(attention, X).program.operations]
    assert kinds.count("serve") == 1
    assert kinds.count("linear") == 3


def test_a_missing_range_names_the_value() -> None:
    from mpcc.ir.program import Stage
    from mpcc.passes.lower import lower

    builder = Builder("test", Stage.TENSOR)
    x = builder.emit("input", name="x", visibility="party1", dtype="float", shape=(2, 2))
    builder.program.outputs = {"y": builder.emit("relu", x)}
    with pytest.raises(MpccError) as caught:
        lower(builder.program, {}, {}, {})
    assert caught.value.code == "MPC-P010"


def test_a_root_of_values_that_reach_zero_is_refused() -> None:
    with pytest.raises(MpccError) as caught:
        lowered(unary("sqrt"), np.abs(X) * 0.0)
    assert caught.value.code == "MPC-P012"
