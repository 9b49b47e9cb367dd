"""Masks become a 0/1 operand of softmax; the NaN guard goes only when that is sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend import Imported, import_model
from mpcc.compiler.frontend.check import run_local, session
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation
from tests.compiler.graphs import build, imported, ints, kinds, save, scalar, weight, with_secret_inputs

SIGNATURE = "(float[1,2,6,6] x, int64[1,6] mask) => (float[1,2,6,6] y)"
WIDEN = "w = Unsqueeze(mask, axes) "
SOFTMAX = "y = Softmax<axis=-1>(s)"
GUARDED = "p = Softmax<axis=-1>(s) n = IsNaN(p) y = Where(n, zero, p)"
CAUSAL = np.where(np.tril(np.ones((6, 6))), 0.0, -3.4028235e38).astype(np.float32)
CONSTANTS = {
    "axes": ints(1, 2),
    "zero": scalar(0.0),
    "one": scalar(1.0),
    "fill": scalar(-3.4028235e38),
    "ten": scalar(-10000.0),
    "billion": scalar(-1e9),
    "three": scalar(3.0),
    "infinite": scalar(-np.inf),
    "causal": CAUSAL,
    "lower": np.tril(np.ones((6, 6), bool)),
    "bias": weight(1, 2, 6, 6),
    "scale": scalar(0.5),
}
CLIENT = {
    "bert, 1 - m": WIDEN + "f = Cast<to=1>(w) i = Sub(one, f) a = Mul(i, fill) s = Add(x, a) ",
    "old bert, -1e4": WIDEN + "f = Cast<to=1>(w) i = Sub(one, f) a = Mul(i, ten) s = Add(x, a) ",
    "where additive": WIDEN + "b = Cast<to=9>(w) a = Where(b, zero, infinite) s = Add(x, a) ",
    "where on scores": WIDEN + "b = Cast<to=9>(w) s = Where(b, x, fill) ",
    "masked fill": WIDEN + "b = Cast<to=9>(w) i = Not(b) s = Where(i, fill, x) ",
    "small masked fill": WIDEN + "b = Cast<to=9>(w) s = Where(b, x, ten) ",
    "expanded": WIDEN + "b = Cast<to=9>(w) e = Expand(b, full) a = Where(e, zero, fill) s = Add(a, x) ",
    "clamped": WIDEN + "b = Cast<to=9>(w) a = Where(b, zero, fill) t = Add(x, a) s = Max(t, fill) ",
    "scaled after": WIDEN + "b = Cast<to=9>(w) a = Where(b, zero, fill) t = Add(x, a) s = Mul(t, scale) ",
    "bias after": WIDEN + "b = Cast<to=9>(w) a = Where(b, zero, ten) t = Add(x, a) s = Add(t, bias) ",
    "twice the same": WIDEN + "b = Cast<to=9>(w) t = Where(b, x, fill) s = Where(b, t, fill) ",
}
# What a row with every position masked means, where ONNX gives it a meaning that can be kept; see fills.py.
EMPTY = {
    "where additive": "refuse",
    "old bert, -1e4": "scores",
    "bias after": "scores",
}
# The scores decide, or the number of masks at each position does, or a clamp at the end of the floats.
UNSURE = {
    "infinite, clamped": WIDEN + "b = Cast<to=9>(w) a = Where(b, zero, infinite) t = Add(x, a) "
    "s = Max(t, fill) ",
    "partly absorbed": WIDEN + "f = Cast<to=1>(w) i = Sub(one, f) a = Mul(i, billion) s = Add(x, a) ",
    "added twice": WIDEN + "b = Cast<to=9>(w) a = Where(b, zero, fill) t = Add(x, causal) s = Add(t, a) ",
    "two fills": WIDEN + "b = Cast<to=9>(w) t = Where(lower, x, ten) s = Where(b, t, fill) ",
    "bias of a fill": WIDEN + "b = Cast<to=9>(w) t = Where(b, x, ten) s = Add(t, bias) ",
    "overflow": WIDEN + "b = Cast<to=9>(w) a = Where(b, zero, fill) t = Add(x, a) s = Mul(t, three) ",
    "small and clamped": WIDEN + "b = Cast<to=9>(w) a = Where(b, zero, ten) t = Add(x, a) s = Max(t, ten) ",
    "added up by the client": WIDEN + "b = Cast<to=9>(w) f = Cast<to=1>(w) i = Sub(one, f) "
    "c = Where(b, zero, ten) d = Mul(i, fill) a = Add(c, d) s = Add(x, a) ",
}


def model(body: str, signature: str = SIGNATURE) -> onnx.ModelProto:
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    constants = {**CONSTANTS, "full": ints(1, 1, 6, 6)}
    return build(signature, body, **{n: a for n, a in constants.items() if n in words})


def softmax(result: Imported) -> Operation:
    (operation,) = [o for o in result.program.operations if o.kind == "softmax"]
    return operation


@pytest.mark.parametrize("form", CLIENT)
def test_client_mask_is_one_private_row(tmp_path: Path, form: str) -> None:
    result = imported(tmp_path, model(CLIENT[form] + SOFTMAX))
    (keep,) = [o for o in result.local_outputs if o.check != "none"]
    meaning = EMPTY.get(form, "uniform")
    assert (keep.shape, keep.check) == ((1, 1, 1, 6), "keep_rows" if meaning == "refuse" else "keep")
    assert softmax(result).attributes["empty_rows"] == meaning
    assert set(kinds(result)) <= {"softmax", "mul", "add"}
    assert result.inputs[1].max == 1


@pytest.mark.parametrize("guard", [SOFTMAX, GUARDED])
@pytest.mark.parametrize("form", CLIENT)
def test_a_fully_masked_row_is_what_onnxruntime_makes_of_it(tmp_path: Path, form: str, guard: str) -> None:
    path = save(tmp_path, with_secret_inputs(model(CLIENT[form] + guard)))
    result = import_model(path, {}, {}, {})
    x = np.random.default_rng(0).standard_normal((1, 2, 6, 6)).astype(np.float32) * 6
    inputs: dict[str, np.ndarray] = {"x_client": x, "mask": np.zeros((1, 6), np.int64)}
    (expected,) = session(str(path)).run(None, inputs)
    meaning = softmax(result).attributes["empty_rows"]
    assert np.isnan(expected).all() == (meaning == "refuse")
    if meaning != "refuse":
        values = evaluate(result.program, run_local(result, inputs), keep_all=False)
        # adding -1e4 rounds scores to 2^-10
        tolerance = 5e-4 if meaning == "scores" else 1e-7
        np.testing.assert_allclose(values[result.program.outputs["y"]], expected, atol=tolerance)


@pytest.mark.parametrize("form", UNSURE)
def test_a_fully_masked_row_is_refused_where_its_meaning_depends_on_more(tmp_path: Path, form: str) -> None:
    result = imported(tmp_path, model(UNSURE[form] + SOFTMAX))
    assert softmax(result).attributes["empty_rows"] == "refuse"
    assert [o.check for o in result.local_outputs if o.check != "none"] == ["keep_rows"]


def test_causal_and_client_masks_are_combined_by_the_client(tmp_path: Path) -> None:
    body = WIDEN + "b = Cast<to=9>(w) a = Where(b, zero, fill) t = Add(x, causal) s = Add(t, a) " + SOFTMAX
    result = imported(tmp_path, model(body))
    (keep,) = [o for o in result.local_outputs if o.check != "none"]
    assert (keep.shape, keep.check) == ((1, 1, 6, 6), "keep_rows")
    assert kinds(result) == {"softmax": 1}


@pytest.mark.parametrize(
    "body", ["s = Add(x, causal) ", "s = Where(lower, x, fill) ", "s = Where(lower, x, ten) "]
)
def test_constant_mask_is_public(tmp_path: Path, body: str) -> None:
    result = imported(tmp_path, model(body + SOFTMAX, "(float[1,2,6,6] x) => (float[1,2,6,6] y)"))
    keep = result.program.producers()[softmax(result).operands[1]]
    assert keep.attributes["visibility"] == "public"
    array = result.program.constants[str(keep.attributes["name"])]
    np.testing.assert_array_equal(array.reshape(6, 6), np.tril(np.ones((6, 6))))


def test_bias_beside_the_mask_stays_an_addition(tmp_path: Path) -> None:
    """T5: scores + (position bias + mask)."""
    body = WIDEN + "b = Cast<to=9>(w) a = Where(b, zero, fill) t = Add(bias, a) s = Add(x, t) " + SOFTMAX
    result = imported(tmp_path, model(body))
    assert kinds(result) == {"softmax": 1, "add": 1}
    (addition,) = [o for o in result.program.operations if o.kind == "add" and "Add_4" in o.onnx_nodes]
    bias = result.program.producers()[addition.operands[1]]
    assert bias.attributes["visibility"] == "party0"
    np.testing.assert_array_equal(result.program.constants[str(bias.attributes["name"])], CONSTANTS["bias"])


def test_mask_folded_into_a_bias_is_taken_out_again(tmp_path: Path) -> None:
    body = "t = Add(bias, causal) s = Add(x, t) " + SOFTMAX
    result = imported(tmp_path, model(body, "(float[1,2,6,6] x) => (float[1,2,6,6] y)"))
    assert kinds(result) == {"softmax": 1, "add": 1}
    assert all(np.abs(a).max() < 100 for a in result.program.constants.values())


def test_mask_before_a_view(tmp_path: Path) -> None:
    """OPT reshapes the masked scores."""
    body = "t = Add(x, causal) s = Reshape(t, flat) p = Softmax<axis=-1>(s) y = Reshape(p, back)"
    graph = build(
        "(float[1,2,6,6] x) => (float[1,2,6,6] y)",
        body,
        causal=CAUSAL,
        flat=ints(2, 6, 6),
        back=ints(1, 2, 6, 6),
    )
    assert kinds(imported(tmp_path, graph)) == {"reshape": 2, "softmax": 1}


def test_guard_on_a_finite_fill_never_sees_nan(tmp_path: Path) -> None:
    """Rows of -3.4e38 are uniform for ONNX, not zero."""
    result = imported(tmp_path, model(CLIENT["where on scores"] + GUARDED))
    assert softmax(result).attributes["empty_rows"] == "uniform"
    assert kinds(result) == {"softmax": 1}


def test_guard_goes_and_means_zero_rows(tmp_path: Path) -> None:
    path = save(tmp_path, with_secret_inputs(model(CLIENT["where additive"] + GUARDED)))
    result = import_model(path, {}, {}, {})
    assert softmax(result).attributes["empty_rows"] == "zero"
    assert result.local_outputs[-1].check == "keep"
    x = np.random.default_rng(0).standard_normal((1, 2, 6, 6)).astype(np.float32)
    inputs: dict[str, np.ndarray] = {"x_client": x, "mask": np.zeros((1, 6), np.int64)}
    (expected,) = session(str(path)).run(None, inputs)
    values = evaluate(result.program, run_local(result, inputs), keep_all=False)
    np.testing.assert_array_equal(values[result.program.outputs["y"]], expected)
    assert not expected.any()


@pytest.mark.parametrize(
    "guard",
    [
        "p = Softmax<axis=-1>(s) n = IsNaN(p) y = Where(n, one, p)",  # another replacement
        "p = Softmax<axis=-1>(s) n = IsNaN(x) y = Where(n, zero, p)",  # another test
        "p = Softmax<axis=-1>(s) n = IsNaN(p) q = Where(n, zero, p) y = Add(p, q)",  # NaN is seen elsewhere
    ],
)
def test_guard_stays_when_removing_it_is_not_sound(tmp_path: Path, guard: str) -> None:
    with pytest.raises(MpccError) as caught:
        import_model(save(tmp_path, with_secret_inputs(model(CLIENT["where additive"] + guard))), {}, {}, {})
    assert "IsNaN" in str(caught.value)


def test_constant_mask_with_an_empty_row_is_refused(tmp_path: Path) -> None:
    mask = np.zeros((6, 6), np.float32)
    mask[2] = -np.inf
    graph = build("(float[1,2,6,6] x) => (float[1,2,6,6] y)", "s = Add(x, m) " + SOFTMAX, m=mask)
    with pytest.raises(MpccError) as caught:
        import_model(save(tmp_path, with_secret_inputs(graph)), {}, {}, {})
    assert caught.value.code == "MPC-F030"


@pytest.mark.parametrize(
    ("fill", "meaning"), [(-3.4028235e38, "uniform"), (-(2.0**34), "uniform"), (-1e4, "scores")]
)
def test_constant_mask_with_an_empty_row_of_a_finite_fill(tmp_path: Path, fill: float, meaning: str) -> None:
    mask = np.zeros((6, 6), np.float32)
    mask[2], mask[4, 3:] = fill, fill
    graph = build("(float[1,2,6,6] x) => (float[1,2,6,6] y)", "s = Add(x, m) " + SOFTMAX, m=mask)
    result = imported(tmp_path, graph, 5e-4 if meaning == "scores" else 1e-6)
    assert softmax(result).attributes["empty_rows"] == meaning


def test_softmax_on_another_axis(tmp_path: Path) -> None:
    graph = build("(float[2,3,4] x) => (float[2,3,4] y)", "y = Softmax<axis=1>(x)")
    assert kinds(imported(tmp_path, graph)) == {"transpose": 2, "softmax": 1}


def test_masked_mean_pooling_divides_by_a_local_reciprocal(tmp_path: Path) -> None:
    body = (
        "u = Unsqueeze(mask, last) e = Expand(u, full) f = Cast<to=1>(e) m = Mul(x, f) "
        "s = ReduceSum<keepdims=0>(m, one) c = ReduceSum<keepdims=0>(f, one) k = Clip(c, tiny) y = Div(s, k)"
    )
    graph = build(
        "(float[1,5,8] x, int64[1,5] mask) => (float[1,8] y)",
        body,
        last=ints(-1),
        one=ints(1),
        full=ints(1, 5, 8),
        tiny=scalar(1e-9),
    )
    result = imported(tmp_path, graph)
    assert kinds(result) == {"mul": 2, "reduce_sum": 1}
    assert sorted(o.shape for o in result.local_outputs) == [(1, 1), (1, 5, 1), (1, 5, 8)]
