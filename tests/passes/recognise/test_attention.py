"""Attention, RotaryEmbedding and com.microsoft's fused operations as single nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mpcc.compiler.frontend import import_model
from mpcc.ir.diagnostics import MpccError
from tests.compiler.graphs import build, imported, ints, kinds, save, scalar, weight, with_secret_inputs

FOUR = "(float[1,4,6,8] q, float[1,4,6,8] k, float[1,4,6,8] v) => (float[1,4,6,8] y)"
GROUPED = "(float[1,4,6,8] q, float[1,2,6,8] k, float[1,2,6,8] v) => (float[1,4,6,8] y)"
THREE = "(float[1,6,32] q, float[1,6,16] k, float[1,6,16] v) => (float[1,6,32] y)"


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        (FOUR, "y = Attention(q, k, v)"),
        (FOUR, "y = Attention<is_causal=1>(q, k, v)"),
        (FOUR, "y = Attention<scale=0.3>(q, k, v)"),
        (FOUR, "y = Attention(q, k, v, lower)"),
        (FOUR, "y = Attention(q, k, v, additive)"),
        (GROUPED, "y = Attention(q, k, v)"),
        (THREE, "y = Attention<q_num_heads=4, kv_num_heads=2, is_causal=1>(q, k, v)"),
    ],
)
def test_attention_node(tmp_path: Path, signature: str, body: str) -> None:
    lower = np.tril(np.ones((6, 6), bool))
    constants = {"lower": lower, "additive": np.where(lower, 0, -1e9).astype(np.float32)}
    model = build(signature, body, 23, **{n: a for n, a in constants.items() if n in body})
    result = imported(tmp_path, model)
    assert result.recognised.counts["attention"] == 1
    assert result.recognised.warnings == ()
    (softmax,) = [o for o in result.program.operations if o.kind == "softmax"]
    assert softmax.attributes["empty_rows"] == ("refuse" if "additive" in body else "zero")
    assert len(softmax.operands) == (2 if "lower" in body or "additive" in body or "causal" in body else 1)


def test_client_mask_of_an_attention_node(tmp_path: Path) -> None:
    signature = FOUR.replace(") =>", ", int64[1,6] mask) =>")
    body = "w = Unsqueeze(mask, axes) b = Cast<to=9>(w) e = Expand(b, full) y = Attention(q, k, v, e)"
    result = imported(tmp_path, build(signature, body, 23, axes=ints(1, 2), full=ints(1, 1, 6, 6)))
    assert [(o.shape, o.check) for o in result.local_outputs if o.check != "none"] == [((1, 1, 1, 6), "keep")]


def test_unsupported_attention_is_reported(tmp_path: Path) -> None:
    model = with_secret_inputs(build(FOUR, "a = Attention<softcap=5.0>(q, k, v) y = Softplus(a)", 23))
    with pytest.raises(MpccError) as caught:
        import_model(save(tmp_path, model), {}, {}, {})
    assert caught.value.code == "MPC-F022"
    assert "Attention_0" in str(caught.value)


def tables(width: int) -> dict[str, np.ndarray]:
    angles = np.arange(6)[:, None] * 100.0 ** (-np.arange(width) / width)[None]
    return {"cosines": np.cos(angles).astype(np.float32), "sines": np.sin(angles).astype(np.float32)}


@pytest.mark.parametrize("attributes", ["", "<interleaved=1>"])
@pytest.mark.parametrize("positions", ["constant", "client"])
def test_rotary_embedding_node(tmp_path: Path, attributes: str, positions: str) -> None:
    body = f"y = RotaryEmbedding{attributes}(x, cosines, sines, p)"
    signature = "(float[1,2,6,8] x) => (float[1,2,6,8] y)"
    if positions == "client":
        model = build(signature.replace(") =>", ", int64[1,6] p) =>"), body, 23, **tables(4))
    else:
        model = build(signature, body, 23, p=ints(0, 1, 2, 3, 4, 5)[None], **tables(4))
    result = imported(tmp_path, model)
    assert kinds(result)["mul"] == 4
    assert {c.reason for c in result.public_scalars} == {"rotary table"}


def test_rotary_spelled_out_with_client_positions(tmp_path: Path) -> None:
    """The frequencies are public by their form, so the client computes its own angles."""
    body = (
        "f = Cast<to=1>(p) c = Unsqueeze(f, last) a = Mul(c, frequencies) cos = Cos(a) sin = Sin(a) "
        "l, r = Split<axis=-1>(x, halves) n = Neg(r) t = Concat<axis=-1>(n, l) "
        "cc = Concat<axis=-1>(cos, cos) ss = Concat<axis=-1>(sin, sin) "
        "u = Mul(x, cc) w = Mul(t, ss) y = Add(u, w)"
    )
    frequencies = (100.0 ** (-np.arange(4) / 4)).astype(np.float32)
    signature = "(float[1,6,8] x, int64[1,6] p) => (float[1,6,8] y)"
    result = imported(
        tmp_path, build(signature, body, frequencies=frequencies, last=ints(-1), halves=ints(4, 4))
    )
    assert kinds(result)["mul"] == 2
    assert [c.reason for c in result.public_scalars] == ["rotary frequencies"]


def fused(body: str, **weights: np.ndarray) -> onnx.ModelProto:
    text = body.replace("ms.", "com.microsoft.")
    return build("(float[2,8] x) => (float[2,8] y)", text, **weights)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("y = ms.Gelu(x)", {"gelu": 1}),
        ("y = ms.FastGelu(x, b)", {"gelu": 1, "add": 1}),
        ("y = ms.BiasGelu(x, b)", {"gelu": 1, "add": 1}),
        ("y = ms.QuickGelu<alpha=1.702>(x)", {"silu": 1, "mul": 2}),
        (
            "r = Relu(x) y = ms.SkipLayerNormalization<epsilon=0.001>(x, r, g, b)",
            {"relu": 1, "add": 1, "layer_norm": 1},
        ),
        (
            "r = Relu(x) y = ms.SkipSimplifiedLayerNormalization<epsilon=0.001>(x, r, g)",
            {"relu": 1, "add": 1, "rms_norm": 1},
        ),
        ("y = SimplifiedLayerNormalization<axis=-1, epsilon=0.001>(x, g)", {"rms_norm": 1}),
        ("y = ms.FusedMatMul<alpha=0.5, transB=1>(x, w)", {"linear": 1}),
    ],
)
def test_fused_operations(tmp_path: Path, body: str, found: dict[str, int]) -> None:
    constants = {"b": weight(8), "g": weight(8, seed=1), "w": weight(8, 8)}
    present = {n: a for n, a in constants.items() if f" {n})" in body or f" {n}," in body}
    assert kinds(imported(tmp_path, fused(body, **present))) == found


def test_unknown_fused_operation_is_reported(tmp_path: Path) -> None:
    model = with_secret_inputs(fused("a = Elu(x) y = ms.Inverse(a)"))
    with pytest.raises(MpccError) as caught:
        import_model(save(tmp_path, model), {}, {}, {})
    text = str(caught.value)
    assert "com.microsoft.Inverse" in text
    assert "Elu" in text


@pytest.mark.parametrize("value", [1.0, 0.7, 0.5])
def test_learned_scalar_stays_party0s(tmp_path: Path, value: float) -> None:
    """One element does not make a float public."""
    body = "r = Relu(x) y = Mul(r, temperature)"
    result = imported(tmp_path, build("(float[2,8] x) => (float[2,8] y)", body, temperature=scalar(value)))
    assert result.public_scalars == ()
    visibilities = {
        str(o.attributes["visibility"]) for o in result.program.operations if o.kind == "constant"
    }
    assert visibilities == {"party0"}


def test_scale_by_a_dimension_is_public(tmp_path: Path) -> None:
    result = imported(
        tmp_path, build("(float[2,16] x) => (float[2,16] y)", "r = Relu(x) y = Mul(r, s)", s=scalar(0.25))
    )
    assert [(c.name, c.value, c.reason) for c in result.public_scalars] == [("s", 0.25, "scale 16^-0.5")]
