"""Every spelling of a norm becomes one operation that equals onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.compiler.graphs import build, imported, ints, kinds, scalar, weight

SIGNATURE = "(float[2,3,8] x) => (float[2,3,8] y)"
CENTRE = "m = ReduceMean<axes=[-1]>(x) c = Sub(x, m) "
VARIANCE = {
    "pow": "q = Pow(c, two) v = ReduceMean<axes=[-1]>(q) ",
    "product": "q = Mul(c, c) v = ReduceMean<axes=[-1]>(q) ",
    "own centre": "d = Sub(x, m) q = Pow(d, two) v = ReduceMean<axes=[-1]>(q) ",
    "sum": "q = Pow(c, two) s = ReduceSum(q, last) v = Div(s, width) ",
}
INVERSE = {
    "div": "e = Add(v, eps) r = Sqrt(e) n = Div(c, r) ",
    "reciprocal": "e = Add(eps, v) r = Sqrt(e) i = Reciprocal(r) n = Mul(i, c) ",
    "one over": "e = Add(v, eps) r = Sqrt(e) i = Div(one, r) n = Mul(c, i) ",
    "power": "e = Add(v, eps) i = Pow(e, minus) n = Mul(c, i) ",
    "root of reciprocal": "e = Add(v, eps) r = Reciprocal(e) i = Sqrt(r) n = Mul(c, i) ",
}
AFFINE = {
    "gain and bias": "g = Mul(n, gain) y = Add(g, bias)",
    "gain first": "g = Mul(gain, n) y = Add(bias, g)",
    "gain": "y = Mul(n, gain)",
    "none": "y = Identity(n)",
}
CONSTANTS = {
    "two": scalar(2),
    "eps": scalar(1e-5),
    "one": scalar(1),
    "minus": scalar(-0.5),
    "width": scalar(8),
    "last": ints(-1),
    "gain": weight(8),
    "bias": weight(8, seed=1),
}


def used(body: str) -> dict[str, np.ndarray]:
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {name: array for name, array in CONSTANTS.items() if name in words}


@pytest.mark.parametrize("variance", VARIANCE)
@pytest.mark.parametrize("inverse", INVERSE)
def test_layer_norm_spelled_out(tmp_path: Path, variance: str, inverse: str) -> None:
    for affine in AFFINE.values():
        body = CENTRE + VARIANCE[variance] + INVERSE[inverse] + affine
        result = imported(tmp_path, build(SIGNATURE, body, **used(body)))
        assert kinds(result) == {"layer_norm": 1}


@pytest.mark.parametrize("inverse", INVERSE)
@pytest.mark.parametrize("square", ["q = Pow(x, two) ", "q = Mul(x, x) "])
def test_rms_norm_spelled_out(tmp_path: Path, inverse: str, square: str) -> None:
    tail = INVERSE[inverse].replace("c,", "x,").replace(", c)", ", x)")
    body = square + "v = ReduceMean<axes=[-1]>(q) " + tail + "y = Mul(gain, n)"
    result = imported(tmp_path, build(SIGNATURE, body, **used(body)))
    assert kinds(result) == {"rms_norm": 1}
    assert [c.reason for c in result.public_scalars if c.name == "eps"] == ["epsilon of a norm"]


@pytest.mark.parametrize("axis", [-1, 1])
def test_layer_normalization_node(tmp_path: Path, axis: int) -> None:
    shape = (8,) if axis == -1 else (3, 8)
    body = f"y = LayerNormalization<axis={axis}, epsilon=0.001>(x, gain, bias)"
    model = build(SIGNATURE, body, gain=weight(*shape), bias=weight(*shape, seed=2))
    found = kinds(imported(tmp_path, model))
    assert found["layer_norm"] == 1
    assert set(found) <= {"layer_norm", "reshape"}


def test_rms_normalization_node(tmp_path: Path) -> None:
    model = build(SIGNATURE, "y = RMSNormalization<axis=-1, epsilon=0.001>(x, gain)", 23, gain=weight(8))
    assert kinds(imported(tmp_path, model)) == {"rms_norm": 1}


def test_axes_as_an_input(tmp_path: Path) -> None:
    body = (
        "m = ReduceMean(x, last) c = Sub(x, m) q = Mul(c, c) v = ReduceMean(q, last) "
        + INVERSE["div"]
        + AFFINE["gain"]
    )
    assert kinds(imported(tmp_path, build(SIGNATURE, body, 18, **used(body)))) == {"layer_norm": 1}


def test_parallel_branches_share_no_core(tmp_path: Path) -> None:
    body = CENTRE + VARIANCE["pow"] + INVERSE["div"]
    body += "a = Mul(n, gain) b = Mul(n, bias) s = Add(b, gain) y = Add(a, s)"
    assert kinds(imported(tmp_path, build(SIGNATURE, body, **used(body))))["layer_norm"] == 2


L2 = {
    "clip": "n = ReduceL2<axes=[-1]>(x) k = Clip(n, tiny) y = Div(x, k)",
    "expanded": "n = ReduceL2<axes=[-1]>(x) k = Clip(n, tiny) s = Shape(x) e = Expand(k, s) y = Div(x, e)",
    "max": "n = ReduceL2<axes=[-1]>(x) k = Max(n, tiny) y = Div(x, k)",
    "plain": "n = ReduceL2<axes=[-1]>(x) y = Div(x, n)",
    "root": "q = Pow(x, two) s = ReduceSum(q, last) n = Sqrt(s) y = Div(x, n)",
    "clipped root": "q = Mul(x, x) s = ReduceSum(q, last) n = Sqrt(s) k = Clip(n, tiny) y = Div(x, k)",
    "inverse": "q = Mul(x, x) s = ReduceSum(q, last) n = Sqrt(s) i = Reciprocal(n) y = Mul(x, i)",
    "node": "y = LpNormalization<axis=-1, p=2>(x)",
}


@pytest.mark.parametrize("form", L2)
def test_l2_normalization(tmp_path: Path, form: str) -> None:
    constants = {"tiny": scalar(1e-12), "two": scalar(2), "last": ints(-1)}
    present = {name: array for name, array in constants.items() if name in L2[form]}
    assert kinds(imported(tmp_path, build(SIGNATURE, L2[form], **present))) == {"l2_normalize": 1}


def test_l2_normalization_of_another_axis(tmp_path: Path) -> None:
    model = build(SIGNATURE, "n = ReduceL2<axes=[1]>(x) y = Div(x, n)")
    assert kinds(imported(tmp_path, model)) == {"l2_normalize": 1, "transpose": 2}


def test_epsilon_under_the_root_of_a_sum(tmp_path: Path) -> None:
    """x / sqrt(sum + eps) is an RMS norm by another scale."""
    body = "q = Mul(x, x) s = ReduceSum(q, last) e = Add(s, eps) n = Sqrt(e) y = Div(x, n)"
    assert kinds(imported(tmp_path, build(SIGNATURE, body, last=ints(-1), eps=scalar(0.01)))) == {
        "rms_norm": 1,
        "mul": 1,
    }


def test_what_is_no_norm_stays_spelled_out_with_a_warning(tmp_path: Path) -> None:
    """The deviation plus epsilon, outside of the root, is another function."""
    body = CENTRE + VARIANCE["pow"] + "r = Sqrt(v) e = Add(r, eps) y = Div(c, e)"
    result = imported(tmp_path, build(SIGNATURE, body, two=scalar(2), eps=scalar(1e-3)))
    assert kinds(result)["layer_norm"] == 0
    assert kinds(result)["sqrt"] == 1
    assert "not part of a norm" in result.recognised.warnings[0]
