"""com.microsoft.MoE: what onnxruntime's kernel computes, what its document says beyond that, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend import import_model
from mpcc.ir.diagnostics import MpccError
from tests.compiler.graphs import imported, save, weight

TOKENS, WIDTH, HIDDEN, EXPERTS = 6, 8, 10, 5
Attribute = str | int | float


def model(
    *operands: str, lead: tuple[int, ...] = (TOKENS,), fused: bool = False, given: dict[str, Attribute]
) -> onnx.ModelProto:
    """y = MoE(x, x Wr) with the operands named (b1, b2, w3, b3) beside the two layers."""
    columns = HIDDEN * (2 if fused else 1)
    weights = {
        "wr": weight(WIDTH, EXPERTS, seed=1),
        "w1": weight(EXPERTS, columns, WIDTH, seed=2),
        "b1": weight(EXPERTS, columns, seed=3),
        "w2": weight(EXPERTS, WIDTH, HIDDEN, seed=4),
        "b2": weight(EXPERTS, WIDTH, seed=5),
        "w3": weight(EXPERTS, HIDDEN, WIDTH, seed=6),
        "b3": weight(EXPERTS, HIDDEN, seed=7),
    }
    names = ["w1", "b1", "w2", "b2", "w3", "b3"]
    used = [n if n in operands or n in ("w1", "w2") else "" for n in names]
    nodes = [
        onnx.helper.make_node("Reshape", ["x", "flat"], ["rows"]),
        onnx.helper.make_node("MatMul", ["rows", "wr"], ["logits"]),
        onnx.helper.make_node("MoE", ["x", "logits", *used], ["y"], domain="com.microsoft", name="mixture"),
    ]
    nodes[-1].attribute.extend(onnx.helper.make_attribute(n, v) for n, v in given.items())
    tensors = {n: a for n, a in weights.items() if n in (*used, "wr")}
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [*lead, WIDTH])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [*lead, WIDTH])],
        [
            onnx.numpy_helper.from_array(np.array([-1, WIDTH]), "flat"),
            *(onnx.numpy_helper.from_array(a, n) for n, a in tensors.items()),
        ],
    )
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "identity"])
@pytest.mark.parametrize("normalised", [0, 1])
def test_plain_experts(activation: str, normalised: int, tmp_path: Path) -> None:
    given: dict[str, Attribute] = {"activation_type": activation, "normalize_routing_weights": normalised}
    imported(tmp_path, model("b1", "b2", given={**given, "k": 3}), tolerance=1e-4)
    imported(tmp_path, model(lead=(2, 3), given={**given, "k": 1}), tolerance=1e-4)


@pytest.mark.parametrize(
    "numbers", [{}, {"activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 2.0}]
)
def test_interleaved_gate(numbers: dict[str, float], tmp_path: Path) -> None:
    given: dict[str, Attribute] = {"activation_type": "swiglu", "swiglu_fusion": 1, "k": 2, **numbers}
    result = imported(tmp_path, model("b1", fused=True, given=given), tolerance=1e-4)
    (moe,) = [o for o in result.program.operations if o.kind == "moe"]
    assert moe.attributes["gated"] is True
    assert len(moe.operands) == 6  # one layer has a bias


@pytest.mark.parametrize("fusion", [0, 2])
def test_other_gates_follow_the_document(fusion: int, tmp_path: Path) -> None:
    """onnxruntime runs interleaved columns only; the other orders are the same mixture."""
    given: dict[str, Attribute] = {"activation_type": "swiglu", "k": 2, "activation_beta": 0.5}
    together = model("b1", "b2", fused=True, given={**given, "swiglu_fusion": 1})
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in together.graph.initializer}
    halves = {n: [arrays[n][:, start::2] for start in (0, 1)] for n in ("w1", "b1")}
    if fusion == 2:
        other = model("b1", "b2", fused=True, given={**given, "swiglu_fusion": 2})
        changed = {n: np.concatenate(parts, axis=1) for n, parts in halves.items()}
    else:
        other = model("b1", "b2", "w3", "b3", given={**given, "swiglu_fusion": 0})
        changed = {f"{n[0]}{i}": halves[n][i // 2] for n in halves for i in (1, 3)}
    for tensor in other.graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed[tensor.name], tensor.name))
    x = {"x": weight(TOKENS, WIDTH, seed=8)}
    results = []
    for written in (together, other):
        program = import_model(save(tmp_path, written), {}, {}, {}).program
        results.append(evaluate(program, x)[program.outputs["y"]])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-12)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (model(given={"k": 2, "use_sparse_mixer": 1, "activation_type": "silu"}), "use_sparse_mixer"),
        (model(given={"k": 2, "activation_type": "swiglu"}), "needs fc3"),
        (model(given={"k": 2, "activation_type": "tanh"}), "activation tanh"),
        (model(given={"k": 2, "activation_type": "swiglu", "swiglu_fusion": 1}), "do not fit"),
    ],
)
def test_refused_forms(written: onnx.ModelProto, words: str, tmp_path: Path) -> None:
    with pytest.raises(MpccError) as caught:
        import_model(save(tmp_path, written), {}, {}, {})
    assert caught.value.code == "MPC-F026"
    assert caught.value.where == "mixture"
    assert words in caught.value.message


@pytest.mark.parametrize("operation", ["If", "Loop"])
def test_branches_on_routing_are_refused(operation: str, tmp_path: Path) -> None:
    bodies = {
        "If": "y = If (d) <then_branch = t () => (float[1] p) { p = Identity (h) }, "
        "else_branch = e () => (float[1] n) { n = Neg (h) }>",
        "Loop": "y = Loop (, d, h) <body = b (int64 n, bool c0, float[1] a) => (bool c1, float[1] s) "
        "{ c1 = Identity (c0) s = Neg (a) }>",
    }
    routing = "h = Add (x, w) i = ArgMax <keepdims = 0> (h) d = Cast <to = 9> (i)"
    graph = f"g (float[1] x) => (float[1] y) {{ {routing} {bodies[operation]} }}"
    text = f'<ir_version: 8, opset_import: ["" : 17]> {graph}'
    written = onnx.parser.parse_model(text)
    written.graph.initializer.append(onnx.numpy_helper.from_array(weight(1), "w"))
    with pytest.raises(MpccError) as caught:
        import_model(save(tmp_path, written), {}, {}, {})
    assert caught.value.code == "MPC-F023"
    assert f"{operation} depends on what ArgMax chose" in caught.value.message
