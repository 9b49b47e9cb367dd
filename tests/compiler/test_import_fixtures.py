"""Every fixture imports, means the same as onnxruntime, and keeps party 0's data to party 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mpcc.compiler.calibrate import generate_samples
from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend import Imported, import_model
from mpcc.compiler.frontend.check import check_against_onnxruntime, run_local, session, with_extra_outputs
from mpcc.ir.types import TensorType, Visibility
from tests.compiler.graphs import DENSE, MODELS

ALLOWED = {
    *(
        "input",
        "constant",
        "linear",
        "embedding",
        "matmul",
        "add",
        "sub",
        "mul",
        "negate",
        "div",
        "reciprocal",
    ),
    *(
        "rsqrt",
        "sqrt",
        "square",
        "exp",
        "relu",
        "tanh",
        "sigmoid",
        "erf",
        "silu",
        "gelu",
        "reshape",
        "transpose",
    ),
    *("expand", "slice", "take", "concat", "reduce_sum", "reduce_mean", "softmax", "layer_norm", "rms_norm"),
    "l2_normalize",
}

# name: (attention blocks, norms, activations, embeddings with secret ids, linear layers)
COUNTS = {
    "bert.legacy17": (2, 5, 3, 1, 14),
    "bert.dynamo20": (2, 5, 3, 1, 14),
    "distilbert.dynamo20": (2, 5, 3, 1, 14),
    "gpt2.dynamo18": (2, 5, 2, 1, 9),
    "t5enc.legacy17": (2, 5, 2, 1, 12),
    "vit.legacy17": (2, 5, 2, 0, 14),
    "llama.dynamo20": (2, 5, 2, 1, 15),
    "llama.dynamo23": (2, 5, 2, 1, 15),
}


def load(name: str) -> tuple[Imported, Path]:
    path = MODELS / f"{name}.onnx"
    return import_model(path, {}, {}, {}), path


def assert_equals_onnxruntime(result: Imported, path: Path) -> None:
    """On the stored input and on generated ones."""
    stored = np.load(path.with_suffix(".npz"))
    inputs = {key[3:]: stored[key] for key in stored if key.startswith("in_")}
    values = evaluate(result.program, run_local(result, inputs), keep_all=False)
    for output in result.outputs:
        expected = stored[f"out_{output.name}"]
        assert np.max(np.abs(values[result.program.outputs[output.name]] - expected)) < 1e-4
    for sample in generate_samples(result.inputs, seed=3):
        assert check_against_onnxruntime(result, path, sample) < 1e-4


@pytest.mark.parametrize("name", DENSE)
def test_equals_onnxruntime(name: str) -> None:
    result, path = load(name)
    assert_equals_onnxruntime(result, path)


@pytest.mark.parametrize("name", DENSE)
def test_recognised(name: str) -> None:
    result, _ = load(name)
    counts = result.recognised.counts
    found = tuple(counts[k] for k in ("attention", "norms", "activations", "embeddings", "linears"))
    assert found == COUNTS[name]
    assert counts["layers"] == 2
    assert result.recognised.warnings == ()
    assert {o.kind for o in result.program.operations} <= ALLOWED
    assert all(o.onnx_nodes for o in result.program.operations if o.kind not in ("input", "constant"))


@pytest.mark.parametrize("name", DENSE)
def test_tensor_names_are_equal_tensors(name: str) -> None:
    result, path = load(name)
    (sample,) = generate_samples(result.inputs, seed=4, count=1)
    values = {v.name: a for v, a in evaluate(result.program, run_local(result, sample)).items()}
    names = result.tensor_names
    model = session(with_extra_outputs(path, list(names.values())).SerializeToString())
    measured = model.run(list(names.values()), sample)
    assert len(names) > len(result.program.operations) / 3
    for (value, _), expected in zip(names.items(), measured, strict=True):
        np.testing.assert_allclose(values[value], expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "bert.legacy17",
        "vit.legacy17",
        "llama.dynamo20",
        "t5enc.legacy17",
        "gpt2.dynamo18",
        "mixtral.dynamo20",
        "moe_dense_top1.legacy17",
    ],
)
def test_nothing_party1_gets_depends_on_weights(name: str, tmp_path: Path) -> None:
    """Two models that differ in every weight give the same local model, public constants and program."""
    first, path = load(name)
    model = onnx.load(path)
    generator = np.random.default_rng(0)
    tensors = [
        *model.graph.initializer,
        *(a.t for n in model.graph.node for a in n.attribute if a.HasField("t")),
    ]
    public = {c.name for c in first.public_scalars}
    for tensor in tensors:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype.kind == "f" and array.size > 1 and tensor.name not in public:
            changed = (array * generator.uniform(0.5, 1.5, array.shape)).astype(array.dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
    onnx.save(model, tmp_path / path.name)
    second = import_model(tmp_path / path.name, {}, {}, {})
    assert _serialized(first) == _serialized(second)
    assert _public_constants(first) == _public_constants(second)
    assert [str(o.kind) for o in first.program.operations] == [str(o.kind) for o in second.program.operations]
    assert first.public_scalars == second.public_scalars


def _serialized(result: Imported) -> bytes | None:
    return None if result.local_model is None else result.local_model.SerializeToString(deterministic=True)


def _public_constants(result: Imported) -> list[bytes]:
    found = []
    for operation in result.program.operations:
        kind = operation.results[0].type
        if (
            operation.kind == "constant"
            and isinstance(kind, TensorType)
            and kind.visibility is Visibility.PUBLIC
        ):
            found.append(result.program.constants[str(operation.attributes["name"])].tobytes())
    return found


def test_mask_becomes_one_input_for_all_layers() -> None:
    result, _ = load("bert.legacy17")
    ids, keep = result.local_outputs
    assert (ids.check, ids.max, ids.dtype) == ("ids", 99, "int")
    assert (keep.check, keep.shape, keep.dtype) == ("keep", (1, 1, 1, 16), "float")
    softmaxes = [o for o in result.program.operations if o.kind == "softmax"]
    assert all(o.attributes["empty_rows"] == "zero" for o in softmaxes)
    assert len({o.operands[1] for o in softmaxes}) == 1
    specs = {s.name: (s.dtype, s.min, s.max, s.owner) for s in result.inputs}
    assert specs == {"input_ids": ("int64", 0, 99, "party1"), "attention_mask": ("int64", 0, 1, "party1")}


def test_causal_mask_is_public() -> None:
    result, _ = load("llama.dynamo20")
    assert result.local_model is None
    producers = result.program.producers()
    for operation in result.program.operations:
        if operation.kind == "softmax":
            keep = producers[operation.operands[1]]
            assert keep.attributes["visibility"] == "public"
            mask = result.program.constants[str(keep.attributes["name"])]
            np.testing.assert_array_equal(mask.reshape(16, 16), np.tril(np.ones((16, 16))))
    reasons = {c.reason for c in result.public_scalars}
    assert {"rotary table", "attention mask", "epsilon of a norm", "exponent"} <= reasons


# name: (layers, experts, choices, activation, gated, normalised, biases)
MIXTURES = {
    "mixtral.dynamo20": (2, 4, 2, "silu", True, True, False),
    "moe_contrib": (1, 8, 2, "silu", False, True, True),
    "moe_dense_top1.legacy17": (1, 4, 1, "gelu", False, False, True),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_mixtures_of_experts(name: str) -> None:
    result, path = load(name)
    layers, experts, top_k, activation, gated, normalised, biases = MIXTURES[name]
    moes = [o for o in result.program.operations if o.kind == "moe"]
    for moe in moes:
        weights = {a: moe.attributes[a] for a in ("top_k", "activation", "gated", "normalised", "capacity")}
        assert weights == {
            "top_k": top_k,
            "activation": activation,
            "gated": gated,
            "normalised": normalised,
            "capacity": 0,
        }
        assert len(moe.operands) == (6 if biases else 4)
        assert all(v.type.visibility is Visibility.PARTY0 for v in moe.operands[2:])  # type: ignore[union-attr]
    assert len(moes) == layers
    assert result.recognised.counts[f"mixtures of experts (E={experts}, top-{top_k})"] == layers
    assert result.recognised.warnings == ()
    assert_equals_onnxruntime(result, path)
