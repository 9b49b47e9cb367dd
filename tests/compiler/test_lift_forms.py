"""Forms of operations that ONNX's node tests have: the same meaning, types and shapes as in onnxruntime."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from mpcc.compiler.both_parties import run_both
from mpcc.compiler.choose.gains import with_noise
from mpcc.compiler.driver import Request, compile_model
from mpcc.compiler.frontend import import_model
from mpcc.compiler.frontend.check import run_local, session
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.events import JsonEvents
from mpcc.runtime.transport.stream import DEFAULT_TIMEOUT
from tests.compiler.graphs import build, imported, ints, save, scalar, weight, with_secret_inputs
from tests.support import secure_run

FORMS = {
    "Max of two": ("2,3,4", "r = Relu(x) n = Neg(r) y = Max(x, n)", {}),
    "Min of three": ("2,3,4", "r = Relu(x) y = Min(r, c, x)", {"c": scalar(0.5)}),
    "Max with a vector": ("2,3,4", "y = Max(c, x)", {"c": weight(4)}),
    "Max with a number of rank 4": (
        "1,2,3,4",
        "y = Max(x, c)",
        {"c": np.full((1, 1, 1, 1), 0.5, np.float32)},
    ),
    "Einsum sum": ("4,2", 'y = Einsum<equation="abc->ca">(x)', {}),
    "Einsum in alphabetical order": ("3,4,2", 'y = Einsum<equation="cab">(x)', {}),
    "Einsum of everything": ("1", 's = Einsum<equation="abc,abc">(x, x) y = Reshape(s, a)', {"a": ints(1)}),
    "Pad with a number": ("2,6,4", "y = Pad(x, a, c)", {"a": ints(0, 1, 0, 0, 2, 0), "c": scalar(1.5)}),
    "Concat with nothing": (
        "2,3,4",
        "e = Slice(x, b, b, a) y = Concat<axis=2>(x, e)",
        {"a": ints(2), "b": ints(0)},
    ),
    "moments of a norm": (
        "2,3,1",
        "n, m, i = LayerNormalization(x, w) y = Add(m, i)",
        {"w": weight(4)},
    ),
    "moments over two axes": (
        "2,1,1",
        "n, m, i = LayerNormalization<axis=1>(x, w) y = Sub(m, i)",
        {"w": weight(3, 4)},
    ),
    "CastLike of a constant": ("2,3,4", "c = CastLike(a, x) y = Add(x, c)", {"a": ints(3)}),
}


@pytest.mark.parametrize("opset", [17, 18])
@pytest.mark.parametrize("form", FORMS)
def test_form(tmp_path: Path, form: str, opset: int) -> None:
    dims, body, constants = FORMS[form]
    imported(tmp_path, build(f"(float[2,3,4] x) => (float[{dims}] y)", body, opset, **constants))


def test_an_output_has_the_type_of_a_cast_between_floats(tmp_path: Path) -> None:
    model = build("(float[2,4] x) => (float16[2,4] y)", "r = Relu(x) y = Cast<to=10>(r)")
    result = import_model(save(tmp_path, with_secret_inputs(model)), {}, {}, {})
    assert [o.dtype for o in result.outputs] == ["float16"]


def test_what_the_client_computes_keeps_its_casts(tmp_path: Path) -> None:
    body = (
        "inverse = Where(keep, zero, low) half = Cast<to=10>(inverse) most = ReduceMax<axes=[-1]>(half) "
        "low_half = Cast<to=10>(low) none = Equal(most, low_half) p = Mul(x, w) y = Where(none, x, p)"
    )
    constants = {"zero": scalar(0.0), "low": scalar(-5.0), "w": weight(4)}
    model = build("(float[2,4] x, bool[2,4] keep) => (float[2,4] y)", body, 17, **constants)
    result = import_model(save(tmp_path, with_secret_inputs(model)), {}, {}, {})
    run_local(result, {"x_client": weight(2, 4), "keep": np.ones((2, 4), bool)})


@pytest.mark.parametrize(
    ("signature", "body", "code"),
    [
        ("(string[2] x) => (string[2] y)", "y = Identity(x)", "MPC-F011"),
        ("(bfloat16[2] x) => (bfloat16[2] y)", "y = Relu(x)", "MPC-F011"),
        ("(seq(float[2]) x) => (float[2] y)", "i = Constant<value_int=0>() y = SequenceAt(x, i)", "MPC-F011"),
        ("(float[2] x) => (float[0] y)", "e = Constant<value_ints=[2]>() y = Slice(x, e, e)", "MPC-F011"),
        ("(int16[2] x) => (int16[2] y)", "y = Max(x, x)", "MPC-F051"),
    ],
)
def test_types_that_programs_do_not_have(tmp_path: Path, signature: str, body: str, code: str) -> None:
    request = Request(save(tmp_path, build(signature, body)), tmp_path / "program")
    with pytest.raises(MpccError) as error:
        compile_model(request, lambda line: None)
    assert error.value.code == code


def test_scalars_and_truth_values_are_outputs(tmp_path: Path) -> None:
    model = with_secret_inputs(
        build(
            "(float[2,4] x, bool[2,4] keep) => (float mean, bool[2,4] left)",
            "mean = ReduceMean<keepdims=0>(x) left = Not(keep)",
        )
    )
    keep = np.array([[True, False, True, True], [False, True, True, True]])
    inputs = {"x_client": weight(2, 4), "keep": keep}
    compile_model(Request(save(tmp_path, model), tmp_path / "program", samples=[inputs]), lambda line: None)
    outputs = secure_run(tmp_path / "program", inputs).outputs
    (hidden,) = (onnx.numpy_helper.to_array(t) for t in model.graph.initializer)
    assert outputs["mean"].shape == ()
    assert outputs["mean"] == pytest.approx((weight(2, 4) + hidden).mean(), abs=2.0**-12)
    assert outputs["left"].dtype == bool
    assert np.array_equal(outputs["left"], ~keep)


@pytest.mark.parametrize("kind", ["float", "float16"])
def test_noise_is_added_to_several_outputs_of_a_node_in_their_type(tmp_path: Path, kind: str) -> None:
    signature = f"({kind}[4] x) => ({kind}[2] a, {kind}[2] b)"
    path = save(tmp_path, build(signature, "a, b = Split<axis=0, num_outputs=2>(x)", 18))
    run = session(with_noise(path, ["a", "b"]).SerializeToString()).run
    x = np.arange(4, dtype={"float": np.float32, "float16": np.float16}[kind])
    a, b = run(["a", "b"], {"x": x, "b/noise": np.full(2, 0.5, np.float32)})
    assert [*a, *b] == [0.0, 1.0, 2.5, 3.5]


def test_a_party_does_not_wait_for_one_that_refuses_its_inputs(tmp_path: Path) -> None:
    body = "s = MatMul(x, x) m = Where(keep, s, low) p = Softmax(m) y = MatMul(p, x)"
    model = build("(float[4,4] x, bool[4,4] keep) => (float[4,4] y)", body, low=scalar(-np.inf))
    keep = np.tril(np.ones((4, 4), bool))
    inputs = {"x_client": weight(4, 4), "keep": keep}
    path = save(tmp_path, with_secret_inputs(model))
    compile_model(Request(path, tmp_path / "program", samples=[inputs]), lambda line: None)
    start = time.monotonic()
    with pytest.raises(MpccError) as error:
        run_both(tmp_path / "program", {**inputs, "keep": keep & False}, set(), JsonEvents())
    assert error.value.code == "MPC-R044"
    assert time.monotonic() - start < DEFAULT_TIMEOUT
