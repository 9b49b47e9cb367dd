"""Plain operations keep their meaning; unsupported ones are reported all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.frontend import import_model
from mpcc.ir.diagnostics import MpccError, MpccErrors
from tests.compiler.graphs import build, imported, ints, kinds, save, scalar, weight, with_secret_inputs

VIEWS = {
    "Reshape": ("2,12", "y = Reshape(x, a)", {"a": ints(2, -1)}),
    "Reshape keeping a zero": ("2,12", "y = Reshape(x, a)", {"a": ints(0, -1)}),
    "Flatten": ("2,12", "y = Flatten<axis=1>(x)", {}),
    "Squeeze": ("2,12", "u = Unsqueeze(x, a) s = Squeeze(u, a) y = Flatten<axis=1>(s)", {"a": ints(1)}),
    "Transpose": ("4,3,2", "y = Transpose(x)", {}),
    "Expand": ("5,2,3,4", "y = Expand(x, a)", {"a": ints(5, 1, 3, 1)}),
    "Tile": ("4,3,8", "y = Tile(x, a)", {"a": ints(2, 1, 2)}),
    "Concat": ("2,3,8", "r = Relu(x) y = Concat<axis=-1>(x, r)", {}),
    "Slice": (
        "2,2,2",
        "y = Slice(x, a, b, c, d)",
        {"a": ints(1, -1), "b": ints(3, 0), "c": ints(1, 2), "d": ints(1, -2)},
    ),
    "Slice to the end": ("2,1,4", "y = Slice(x, a, b, c)", {"a": ints(2), "b": ints(2**62), "c": ints(1)}),
    "Slice backwards": (
        "2,3,4",
        "y = Slice(x, a, b, c, a)",
        {"a": ints(-1), "b": ints(-(2**62)), "c": ints(1)},
    ),
    "Split": ("2,3,1", "p, y = Split<axis=2>(x, a)", {"a": ints(3, 1)}),
    "Gather one": ("2,4", "y = Gather<axis=1>(x, a)", {"a": np.array(-1)}),
    "Gather several": ("2,2,2,4", "y = Gather<axis=1>(x, a)", {"a": np.array([[0, 2], [1, 1]])}),
    "GatherElements": (
        "2,1,4",
        "y = GatherElements<axis=1>(x, a)",
        {"a": np.array([[[0, 1, 2, 0]], [[2, 2, 1, 0]]])},
    ),
    "GatherND": ("2,4", "y = GatherND(x, a)", {"a": np.array([[0, 1], [1, 2]])}),
    "Pad": ("2,6,4", "y = Pad(x, a)", {"a": ints(0, 1, 0, 0, 2, 0)}),
    "Trilu": ("2,3,4", "m = Trilu<upper=0>(o) y = Mul(x, m)", {"o": np.ones((3, 4), np.float32)}),
}


@pytest.mark.parametrize("case", VIEWS)
def test_views(tmp_path: Path, case: str) -> None:
    dims, body, constants = VIEWS[case]
    result = imported(tmp_path, build(f"(float[2,3,4] x) => (float[{dims}] y)", body, **constants))
    moved = {"reshape", "transpose", "expand", "slice", "take", "concat"}
    assert set(kinds(result)) <= moved | {"relu", "mul"}


ARITHMETIC = {
    "reductions": "s = ReduceSum<keepdims=0>(x, axis) m = ReduceMean<axes=[1], keepdims=0>(x) y = Add(s, m)",
    "norm 2": "n = ReduceL2<axes=[1], keepdims=0>(x) "
    "q = ReduceSumSquare<axes=[1], keepdims=0>(x) y = Add(n, q)",
    "all axes": "s = ReduceMean<keepdims=0>(x) r = ReduceSum<keepdims=0>(x, axis) y = Add(s, r)",
    "powers": "c = Pow(x, three) f = Pow(x, four) s = Add(c, f) y = ReduceSum<keepdims=0>(s, axis)",
    "roots": "q = Pow(x, two) e = Add(q, one) r = Pow(e, half) i = Pow(e, minus) s = Mul(r, i) "
    "y = ReduceSum<keepdims=0>(s, axis)",
    "clip": "c = Clip(x, minus, half) y = ReduceSum<keepdims=0>(c, axis)",
    "max and min": "a = Max(x, half) b = Min(a, one) c = Abs(b) y = ReduceSum<keepdims=0>(c, axis)",
    "relu by clip": "c = Clip(x, zero) y = ReduceSum<keepdims=0>(c, axis)",
    "leaky relu": "c = LeakyRelu<alpha=0.2>(x) y = ReduceSum<keepdims=0>(c, axis)",
    "sum and mean": "a = Sum(x, x, half) b = Mean(x, a) y = ReduceSum<keepdims=0>(b, axis)",
    "exp and quotient": "e = Exp(x) d = Add(e, one) q = Div(x, d) i = Div(one, d) s = Sub(q, i) "
    "y = ReduceSum<keepdims=0>(s, axis)",
    "where": "n = Relu(x) s = Where(pick, x, n) y = ReduceSum<keepdims=0>(s, axis)",
    "where zero": "s = Where(pick, x, zero) y = ReduceSum<keepdims=0>(s, axis)",
}
CONSTANTS = {
    "axis": ints(1),
    **{
        n: scalar(v)
        for n, v in {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "half": 0.5, "minus": -0.5}.items()
    },
    "pick": np.array([True, False, True, False]),
}


@pytest.mark.parametrize("case", ARITHMETIC)
def test_arithmetic(tmp_path: Path, case: str) -> None:
    body = ARITHMETIC[case]
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    constants = {n: a for n, a in CONSTANTS.items() if n in words}
    imported(tmp_path, build("(float[3,4] x) => (float[3] y)", body, **constants), tolerance=1e-4)


def test_product_with_itself_is_a_square(tmp_path: Path) -> None:
    assert kinds(imported(tmp_path, build("(float[3,4] x) => (float[3,4] y)", "y = Mul(x, x)"))) == {
        "square": 1
    }


def test_batch_normalization(tmp_path: Path) -> None:
    constants = {n: np.abs(weight(3, seed=i)) for i, n in enumerate("gbmv")}
    model = build(
        "(float[2,3,4] x) => (float[2,3,4] y)", "y = BatchNormalization(x, g, b, m, v)", **constants
    )
    assert kinds(imported(tmp_path, model)) == {"mul": 1, "add": 1}


@pytest.mark.parametrize("axis", [0, 1])
def test_selection_at_the_clients_position(tmp_path: Path, axis: int) -> None:
    """The last token's row of a secret tensor: a product with the client's one-hot row."""
    model = build("(float[4,5,3] x, int64[2] p) => (float[?,?,?] y)", f"y = Gather<axis={axis}>(x, p)")
    found = kinds(imported(tmp_path, model))
    assert found["matmul"] == 1


def test_mish_is_a_product_with_two_functions(tmp_path: Path) -> None:
    found = kinds(imported(tmp_path, build("(float[2,4] x) => (float[2,4] y)", "y = Mish(x)", 18)))
    assert found == {"softplus": 1, "tanh": 1, "mul": 1}


def test_an_exponential_on_its_own(tmp_path: Path) -> None:
    assert kinds(imported(tmp_path, build("(float[2,4] x) => (float[2,4] y)", "y = Exp(x)"))) == {"exp": 1}


def test_one_row_table_needs_no_lookup(tmp_path: Path) -> None:
    model = build(
        "(int64[1,6] ids) => (float[1,6,4] y)",
        "e = Gather(t, ids) y = Add(e, w)",
        t=weight(1, 4),
        w=weight(6, 4),
    )
    result = imported(tmp_path, model)
    assert kinds(result) == {}
    assert result.local_outputs == ()


def test_constant_branch_is_inlined(tmp_path: Path) -> None:
    body = (
        "y = If<then_branch = t () => (float[2,4] a) { a = Relu(x) }, "
        "else_branch = e () => (float[2,4] b) { b = Neg(x) }>(c)"
    )
    result = imported(tmp_path, build("(float[2,4] x) => (float[2,4] y)", body, c=np.array(True)))
    assert kinds(result) == {"relu": 1}


UNSUPPORTED = {
    "LogSoftmax": "y = LogSoftmax(x)",
    "Elu": "y = Elu(x)",
    "Log": "y = Log(x)",
    "Cos": "y = Cos(x)",
    "CumSum": "y = CumSum(x, axis)",
    "Pow": "y = Pow(x, odd)",
    "TopK": "y, i = TopK(x, four)",
    "Where": "c = Greater(x, odd) y = Where(c, x, x)",
    "Mul": "g = Add(x, x) e = Cast<to=7>(g) h = Mul(e, n) y = Cast<to=1>(h)",
}


@pytest.mark.parametrize("operation", UNSUPPORTED)
def test_unsupported_operation(tmp_path: Path, operation: str) -> None:
    constants = {"axis": np.array(1), "odd": scalar(2.5), "four": ints(4)}
    body = UNSUPPORTED[operation]
    present = {n: a for n, a in constants.items() if f" {n})" in body}
    signature = "(float[2,4] x, int64[2,4] n) => (float[2,4] y)"
    with pytest.raises(MpccError) as caught:
        import_model(save(tmp_path, with_secret_inputs(build(signature, body, **present))), {}, {}, {})
    error = caught.value
    assert isinstance(error, MpccErrors)
    assert all(e.code.startswith("MPC-F02") and e.where and e.remedy for e in error.errors)


def test_all_unsupported_operations_at_once(tmp_path: Path) -> None:
    body = (
        "a = Elu(x) b = Relu(a) c = LogSoftmax(b) d = Cos(x) e = Selu(x) f = Add(d, e) "
        "g = Add(c, f) y = NonZero(g)"
    )
    model = with_secret_inputs(build("(float[2,4] x) => (int64[2,n] y)", body, 18))
    with pytest.raises(MpccErrors) as caught:
        import_model(save(tmp_path, model), {}, {}, {})
    found = {e.where for e in caught.value.errors}
    assert {"Elu_0", "Cos_3", "Selu_4", "NonZero_7"} <= {str(w) for w in found}


def test_large_fill_outside_of_a_softmax(tmp_path: Path) -> None:
    model = build("(float[2,4] x, bool[2,4] c) => (float[2,4] y)", "y = Where(c, x, f)", f=scalar(-1e9))
    with pytest.raises(MpccError) as caught:
        import_model(save(tmp_path, with_secret_inputs(model)), {}, {}, {})
    assert caught.value.code == "MPC-F031"
