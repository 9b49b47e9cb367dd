"""Products with constant matrices become linears; biases, scales and convolutions are folded into them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.frontend import Imported
from tests.compiler.graphs import build, imported, ints, kinds, scalar, weight

VECTOR = weight(5, seed=3)


def weights_of(result: Imported) -> list[str]:
    constants = [o for o in result.program.operations if o.kind == "constant"]
    return [str(o.attributes["visibility"]) for o in constants]


@pytest.mark.parametrize(
    "body",
    [
        "m = MatMul(x, w) y = Add(m, b)",
        "m = MatMul(x, w) y = Add(b, m)",
        "t = Transpose<perm=[1,0]>(v) m = MatMul(x, t) y = Add(m, b)",  # a weight-only subgraph
        "m = MatMul(x, w) n = Neg(b) y = Sub(m, n)",
    ],
)
def test_product_and_bias(tmp_path: Path, body: str) -> None:
    constants = {"w": weight(4, 5), "v": weight(5, 4), "b": VECTOR}
    present = {n: a for n, a in constants.items() if f"{n})" in body or f"({n}," in body or f"({n})" in body}
    result = imported(tmp_path, build("(float[2,3,4] x) => (float[2,3,5] y)", body, **present))
    assert kinds(result) == {"linear": 1}
    assert set(weights_of(result)) == {"party0"}


@pytest.mark.parametrize(
    "attributes", ["", "<transB=1>", "<alpha=0.5, beta=2.0>", "<transA=1>", "<transB=1, alpha=3.0>"]
)
@pytest.mark.parametrize("bias", [(5,), (1, 5), (), (3, 5)])
def test_gemm(tmp_path: Path, attributes: str, bias: tuple[int, ...]) -> None:
    x = "4,3" if "transA" in attributes else "3,4"
    w = weight(5, 4) if "transB" in attributes else weight(4, 5)
    model = build(f"(float[{x}] x) => (float[3,5] y)", f"y = Gemm{attributes}(x, w, b)", w=w, b=weight(*bias))
    found = kinds(imported(tmp_path, model))
    assert found["linear"] == 1
    assert set(found) <= {"linear", "transpose", "add", "mul"}


def test_gemm_of_two_secrets(tmp_path: Path) -> None:
    model = build("(float[3,4] x, float[5,4] z) => (float[3,5] y)", "y = Gemm<transB=1, alpha=0.5>(x, z)")
    assert kinds(imported(tmp_path, model))["matmul"] == 1


def test_weight_on_the_left(tmp_path: Path) -> None:
    model = build("(float[2,4,3] x) => (float[2,5,3] y)", "y = MatMul(w, x)", w=weight(5, 4))
    assert kinds(imported(tmp_path, model)) == {"transpose": 2, "linear": 1}


def test_products_with_vectors(tmp_path: Path) -> None:
    model = build("(float[4] x, float[2,4,3] z) => (float[2,3] y)", "y = MatMul(x, z)")
    assert kinds(imported(tmp_path, model)) == {"reshape": 2, "matmul": 1}


@pytest.mark.parametrize(
    ("x", "kernel", "attributes"),
    [
        ("1,3,8,8", (5, 3, 4, 4), "kernel_shape=[4,4], strides=[4,4]"),
        ("2,3,7,6", (4, 3, 3, 3), "pads=[1,1,1,1]"),
        ("1,4,9,9", (6, 2, 3, 3), "group=2, strides=[2,2]"),
        ("1,2,9,9", (3, 2, 3, 3), "dilations=[2,2]"),
        ("1,2,9,8", (3, 2, 3, 2), 'auto_pad="SAME_UPPER", strides=[2,2]'),
        ("1,2,9,8", (3, 2, 3, 2), 'auto_pad="SAME_LOWER"'),
        ("2,3,10", (4, 3, 3), "pads=[2,0]"),
    ],
)
def test_convolution(tmp_path: Path, x: str, kernel: tuple[int, ...], attributes: str) -> None:
    dims = ",".join("?" for _ in x.split(","))
    body = f"c = Conv<{attributes}>(x, k, b) y = Relu(c)"
    model = build(f"(float[{x}] x) => (float[{dims}] y)", body, k=weight(*kernel), b=weight(kernel[0]))
    found = kinds(imported(tmp_path, model, tolerance=1e-4))
    assert found["linear"] == (2 if "group" in attributes else 1)
    assert set(found) <= {"linear", "relu", "reshape", "transpose", "take", "slice", "concat"}


def test_scale_folds_through_views_into_the_weight(tmp_path: Path) -> None:
    body = (
        "q = MatMul(x, w) r = Reshape(q, heads) t = Transpose<perm=[0,2,1,3]>(r) s = Mul(t, scale) "
        "k = MatMul(s, z) y = Relu(k)"
    )
    model = build(
        "(float[1,3,8] x, float[1,2,4,3] z) => (float[1,2,3,3] y)",
        body,
        w=weight(8, 8),
        heads=ints(1, 3, 2, 4),
        scale=scalar(0.5),
    )
    result = imported(tmp_path, model)
    assert kinds(result) == {"linear": 1, "reshape": 1, "transpose": 1, "matmul": 1, "relu": 1}
    (linear,) = [o for o in result.program.operations if o.kind == "linear"]
    assert linear.onnx_nodes == ("MatMul_0", "Mul_3")
    assert linear.result.name not in result.tensor_names  # it no longer equals the ONNX tensor


def test_scale_of_one_part_of_a_fused_product(tmp_path: Path) -> None:
    """GPT-2: only the query's columns take the factor."""
    body = "f = MatMul(x, w) q, k = Split<axis=-1>(f, parts) s = Mul(q, scale) y = Add(s, k)"
    model = build(
        "(float[3,4] x) => (float[3,5] y)", body, w=weight(4, 10), parts=ints(5, 5), scale=scalar(0.25)
    )
    assert kinds(imported(tmp_path, model)) == {"linear": 1, "slice": 2, "add": 1}


def test_scale_does_not_fold_where_the_value_has_another_use(tmp_path: Path) -> None:
    body = "q = MatMul(x, w) s = Mul(q, scale) r = Relu(q) y = Add(s, r)"
    model = build("(float[3,4] x) => (float[3,5] y)", body, w=weight(4, 5), scale=scalar(0.3))
    assert kinds(imported(tmp_path, model))["mul"] == 1


def test_scale_folds_into_the_next_linear(tmp_path: Path) -> None:
    body = "r = Relu(x) s = Mul(r, scale) y = MatMul(s, w)"
    model = build("(float[3,4] x) => (float[3,5] y)", body, w=weight(4, 5), scale=scalar(0.3))
    assert kinds(imported(tmp_path, model)) == {"relu": 1, "linear": 1}


def test_layer_scale_folds_into_the_linear(tmp_path: Path) -> None:
    body = "m = MatMul(x, w) a = Add(m, b) y = Mul(a, g)"
    model = build("(float[3,4] x) => (float[3,5] y)", body, w=weight(4, 5), b=VECTOR, g=weight(5, seed=5))
    assert kinds(imported(tmp_path, model)) == {"linear": 1}


def test_tied_weights(tmp_path: Path) -> None:
    """One tensor as embedding table and, transposed, as output matrix."""
    body = "e = Gather(table, ids) t = Transpose<perm=[1,0]>(table) y = MatMul(e, t)"
    model = build("(int64[1,6] ids) => (float[1,6,9] y)", body, table=weight(9, 4))
    result = imported(tmp_path, model)
    assert kinds(result) == {"embedding": 1, "linear": 1}
    assert result.inputs[0].max == 8


def test_quantised_weights_are_party0s(tmp_path: Path) -> None:
    body = "d = DequantizeLinear(q, s) y = MatMul(x, d)"
    quantised = np.arange(-10, 10, dtype=np.int8).reshape(4, 5)
    model = build("(float[3,4] x) => (float[3,5] y)", body, q=quantised, s=scalar(0.1))
    result = imported(tmp_path, model, tolerance=0.05)  # onnxruntime quantises x as well
    assert kinds(result) == {"linear": 1}
    assert set(weights_of(result)) == {"party0"}


@pytest.mark.parametrize(
    ("equation", "left", "right", "result"),
    [
        ("bhqd,bhkd->bhqk", "2,3,4,5", "2,3,6,5", "2,3,4,6"),
        ("bhqk,bkhd->bqhd", "2,3,4,6", "2,6,3,5", "2,4,3,5"),
        ("ij,kj->ik", "3,4", "5,4", "3,5"),
        ("bij,jk->bik", "2,3,4", "4,5", "2,3,5"),
    ],
)
def test_einsum(tmp_path: Path, equation: str, left: str, right: str, result: str) -> None:
    signature = f"(float[{left}] x, float[{right}] z) => (float[{result}] y)"
    found = kinds(imported(tmp_path, build(signature, f'y = Einsum<equation="{equation}">(x, z)')))
    assert found["matmul"] == 1


def test_einsum_with_a_weight_is_a_linear(tmp_path: Path) -> None:
    body = 'y = Einsum<equation="bsd,dhe->bshe">(x, w)'
    found = kinds(
        imported(tmp_path, build("(float[1,3,4] x) => (float[1,3,2,5] y)", body, w=weight(4, 2, 5)))
    )
    assert found["linear"] == 1
    assert found["matmul"] == 0
