"""GELU, SiLU and softplus in their spellings; look-alikes stay what they are."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from mpcc.compiler.frontend import import_model
from mpcc.ir.diagnostics import MpccErrors
from tests.compiler.graphs import build, imported, kinds, save, scalar, with_secret_inputs

SIGNATURE = "(float[2,16] x) => (float[2,16] y)"
CONSTANTS = {
    "half": scalar(0.5),
    "one": scalar(1.0),
    "root2": scalar(2**0.5),
    "inverse": scalar(0.5**0.5),
    "two": scalar(2.0),
    "three": scalar(3.0),
    "k": scalar(0.044715),
    "c": scalar(0.7978845608),
    "quick": scalar(1.702),
    "far": scalar(20.0),
    "near": scalar(5.0),
}
ERF = {
    "div, product last": "a = Div(x, root2) e = Erf(a) b = Add(e, one) m = Mul(x, b) y = Mul(m, half)",
    "half first": "h = Mul(half, x) a = Mul(x, inverse) e = Erf(a) b = Add(one, e) y = Mul(h, b)",
    "distribution function": "a = Mul(x, inverse) e = Erf(a) b = Add(e, one) d = Mul(b, half) y = Mul(d, x)",
    "halved inside": "a = Div(x, root2) e = Erf(a) f = Mul(e, half) d = Add(f, half) y = Mul(x, d)",
}
CUBE = {
    "power": "p = Pow(x, three) ",
    "products": "s = Mul(x, x) p = Mul(s, x) ",
    "square": "s = Pow(x, two) p = Mul(x, s) ",
}
TANH = {
    "usual": "q = Mul(p, k) r = Add(x, q) u = Mul(r, c) t = Tanh(u) "
    "b = Add(t, one) h = Mul(x, half) y = Mul(h, b)",
    "swapped": "q = Mul(k, p) r = Add(q, x) u = Mul(c, r) t = Tanh(u) "
    "b = Add(one, t) h = Mul(b, half) y = Mul(h, x)",
}


def model(body: str, opset: int = 17) -> onnx.ModelProto:
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return build(SIGNATURE, body, opset, **{n: a for n, a in CONSTANTS.items() if n in words})


@pytest.mark.parametrize("form", ERF)
def test_gelu_by_erf(tmp_path: Path, form: str) -> None:
    result = imported(tmp_path, model(ERF[form]))
    (gelu,) = [o for o in result.program.operations if o.kind == "gelu"]
    assert gelu.attributes == {"approximate": "none"}
    assert kinds(result) == {"gelu": 1}
    assert len(gelu.onnx_nodes) == 5


@pytest.mark.parametrize("cube", CUBE)
@pytest.mark.parametrize("form", TANH)
def test_gelu_by_tanh(tmp_path: Path, cube: str, form: str) -> None:
    result = imported(tmp_path, model(CUBE[cube] + TANH[form]))
    (gelu,) = [o for o in result.program.operations if o.kind == "gelu"]
    assert gelu.attributes == {"approximate": "tanh"}
    assert kinds(result) == {"gelu": 1}


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_node(tmp_path: Path, approximate: str) -> None:
    result = imported(tmp_path, model(f'y = Gelu<approximate="{approximate}">(x)', 20))
    assert kinds(result) == {"gelu": 1}


def test_gated_gelu_ends_where_the_gate_begins(tmp_path: Path) -> None:
    body = ERF["half first"].replace("y = ", "g = ") + " y = Mul(g, z)"
    graph = build("(float[2,16] x, float[2,16] z) => (float[2,16] y)", body, **{
        n: CONSTANTS[n] for n in ("half", "inverse", "one")
    })  # fmt: skip
    assert kinds(imported(tmp_path, graph)) == {"gelu": 1, "mul": 1}


@pytest.mark.parametrize("body", ["s = Sigmoid(x) y = Mul(x, s)", "s = Sigmoid(x) y = Mul(s, x)"])
def test_silu(tmp_path: Path, body: str) -> None:
    assert kinds(imported(tmp_path, model(body))) == {"silu": 1}


def test_quick_gelu(tmp_path: Path) -> None:
    result = imported(tmp_path, model("a = Mul(x, quick) s = Sigmoid(a) y = Mul(x, s)"))
    assert kinds(result) == {"silu": 1, "mul": 2}


def test_swish_node(tmp_path: Path) -> None:
    assert kinds(imported(tmp_path, model("y = Swish<alpha=1.0>(x)", 24))) == {"silu": 1}


SOFTPLUS = {
    "node": ("y = Softplus(x)", 0),
    "logarithm": ("e = Exp(x) s = Add(one, e) y = Log(s)", 0),
    "guarded": ("s = Softplus(x) g = Greater(x, far) y = Where(g, x, s)", 0),
    "guarded logarithm": ("e = Exp(x) s = Add(e, one) l = Log(s) g = Greater(x, far) y = Where(g, x, l)", 0),
    "scaled": ("a = Mul(x, two) s = Softplus(a) d = Div(s, two) g = Greater(a, far) y = Where(g, x, d)", 2),
    "log-sigmoid": ("s = Sigmoid(x) y = Log(s)", 2),
}


@pytest.mark.parametrize("form", SOFTPLUS)
def test_softplus(tmp_path: Path, form: str) -> None:
    body, products = SOFTPLUS[form]
    expected = {"softplus": 1, **({"mul": products} if products else {})}
    assert kinds(imported(tmp_path, model(body, 20))) == expected


@pytest.mark.parametrize(
    "branch", ["g = Greater(x, near) y = Where(g, x, s)", "g = Greater(x, far) y = Where(g, s, x)"]
)
def test_a_guard_that_changes_a_softplus_stays(tmp_path: Path, branch: str) -> None:
    with pytest.raises(MpccErrors) as caught:
        import_model(save(tmp_path, with_secret_inputs(model(f"s = Softplus(x) {branch}", 20))), {}, {}, {})
    assert {error.where for error in caught.value.errors} == {"Greater_1"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("a = Div(x, two) e = Erf(a) b = Add(e, one) m = Mul(x, b) y = Mul(m, half)", "erf"),
        ("a = Mul(x, k) t = Tanh(a) b = Add(t, one) y = Mul(x, b)", "tanh"),
        ("s = Sigmoid(x) y = Add(x, s)", "sigmoid"),
    ],
)
def test_look_alikes_stay(tmp_path: Path, body: str, kind: str) -> None:
    """Another constant or another operation is another function."""
    found = kinds(imported(tmp_path, model(body)))
    assert found[kind] == 1
    assert found["gelu"] == found["silu"] == 0
