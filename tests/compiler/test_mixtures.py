"""Mixtures of experts in the forms that exporters write become one `moe` operation each, or are refused with
their reason.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from mpcc.compiler.calibrate import generate_samples
from mpcc.compiler.frontend import Imported, import_model
from mpcc.compiler.frontend.check import check_against_onnxruntime
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Attributes, Operation

pytest.importorskip("torch")

import torch
from torch.nn.functional import gelu, relu, silu

from tests.compiler import mixtures
from tests.compiler.mixtures import HIDDEN, WIDTH, Mixture, Residual, write


def imported(path: Path) -> Imported:
    result = import_model(path, {}, {}, {})
    for sample in generate_samples(result.inputs, seed=1, count=4):
        assert check_against_onnxruntime(result, path, sample) < 1e-4
    return result


def the_moe(result: Imported) -> Operation:
    (moe,) = [o for o in result.program.operations if o.kind == "moe"]
    assert not [o.kind for o in result.program.operations if o.kind in ("softmax", "embedding", "matmul")]
    return moe


def given(moe: Operation) -> Attributes:
    """Attributes without those that are usual."""
    usual = {"gated": False, "normalised": False, "capacity": 0, "alpha": 1.0, "beta": 0.0, "limit": 0.0}
    return {k: v for k, v in moe.attributes.items() if usual.get(k) != v and k != "claims"}


FORMS = {
    "masked loop, dynamo 18": (
        Mixture(mixtures.masked_loop, gated=True, activation=silu, bias=False, router="top-k, softmax"),
        ("dynamo", 18),
        {"top_k": 2, "activation": "silu", "gated": True, "normalised": True},
    ),
    "masked loop, legacy 13": (
        Mixture(mixtures.masked_loop, experts=9, top_k=8),
        ("legacy", 13),
        {"top_k": 8, "activation": "gelu"},
    ),
    "outputs stacked, legacy 17": (
        Mixture(mixtures.one_hot_stack, activation=relu, router="renormalised", flat=False),
        ("legacy", 17),
        {"top_k": 2, "activation": "relu", "normalised": True},
    ),
    "gates scattered, dynamo 23": (
        Mixture(mixtures.scattered_gates, top_k=3, experts=6, gated=True),
        ("dynamo", 23),
        {"top_k": 3, "activation": "gelu", "gated": True},
    ),
    "where, legacy 17": (
        Mixture(mixtures.where_loop, top_k=1),
        ("legacy", 17),
        {"top_k": 1, "activation": "gelu"},
    ),
    "einsums, dynamo 20": (
        Mixture(mixtures.einsum_all, router="renormalised"),
        ("dynamo", 20),
        {"top_k": 2, "activation": "gelu", "normalised": True},
    ),
    "einsums of three, legacy 17": (
        Mixture(mixtures.einsum_of_three),
        ("legacy", 17),
        {"top_k": 2, "activation": "gelu"},
    ),
    "weights by one-hot products, legacy 17": (
        Mixture(mixtures.selected_weights, router="top-k, softmax"),
        ("legacy", 17),
        {"top_k": 2, "activation": "gelu", "normalised": True},
    ),
    "weights gathered, dynamo 18": (
        Mixture(mixtures.gathered_slots, activation=lambda x: gelu(x, approximate="tanh")),
        ("dynamo", 18),
        {"top_k": 2, "activation": "gelu_tanh"},
    ),
    "capacity, legacy 17": (
        Mixture(mixtures.capacity_loop, capacity=2),
        ("legacy", 17),
        {"top_k": 2, "activation": "gelu", "capacity": 2},
    ),
    "highest scored, dynamo 18": (
        Mixture(mixtures.highest_scored, capacity=2),
        ("dynamo", 18),
        {"top_k": 2, "activation": "gelu", "capacity": 2},
    ),
    "slots by one-hot products, legacy 13": (
        Mixture(mixtures.dispatched, capacity=2, top_k=1),
        ("legacy", 13),
        {"top_k": 1, "activation": "gelu", "capacity": 2},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_written_forms(form: str, tmp_path: Path) -> None:
    mixture, (exporter, opset), expected = FORMS[form]
    result = imported(write(tmp_path, mixture, exporter, opset))
    moe = the_moe(result)
    assert given(moe) == expected
    assert moe.attributes["claims"] == ("scores" if "highest" in form else "first")
    logits, x, w_in, w_out = (v.type.shape for v in moe.operands[:4])  # type: ignore[union-attr]
    columns = HIDDEN * (2 if moe.attributes["gated"] else 1)
    assert (w_in, w_out) == ((mixture.count, WIDTH, columns), (mixture.count, HIDDEN, WIDTH))
    assert (logits[-1], x[-1]) == (mixture.count, WIDTH)
    slots = f", capacity {mixture.capacity}" if mixture.capacity else ""
    words = f"mixtures of experts (E={mixture.count}, top-{mixture.top_k}{slots})"
    assert result.recognised.counts[words] == 1


@pytest.mark.parametrize("flat", [False, True])
def test_capacity_counts_along_the_axes_that_the_model_counts_along(flat: bool, tmp_path: Path) -> None:
    mixture = Mixture(mixtures.capacity_loop, capacity=2, top_k=1, flat=flat)
    moe = the_moe(imported(write(tmp_path, mixture, "legacy", 17, batch=3)))
    assert moe.result.type.shape == ((18, WIDTH) if flat else (3, 6, WIDTH))  # type: ignore[union-attr]
    assert moe.attributes["capacity"] == 2


def test_a_capacity_that_cannot_overflow_is_none(tmp_path: Path) -> None:
    mixture = Mixture(mixtures.capacity_loop, capacity=6, top_k=1)
    assert the_moe(imported(write(tmp_path, mixture, "legacy", 17))).attributes["capacity"] == 0


def test_every_layer_of_a_structure_is_recognised(tmp_path: Path) -> None:
    layers = [Mixture(mixtures.masked_loop, top_k=1) for _ in range(3)]
    result = imported(write(tmp_path, torch.nn.Sequential(*layers), "legacy", 17))
    assert result.recognised.counts["mixtures of experts (E=4, top-1)"] == 3


def test_the_program_does_not_depend_on_weights(tmp_path: Path) -> None:
    """Zeros everywhere, biases included, give the same operations and public constants."""
    path = write(tmp_path, Mixture(mixtures.masked_loop, gated=True), "legacy", 17)
    first = import_model(path, {}, {}, {})
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        data = onnx.numpy_helper.to_array(tensor)
        if data.dtype.kind == "f" and data.size > 1:
            tensor.CopyFrom(onnx.numpy_helper.from_array(0 * data, tensor.name))
    onnx.save(model, path)
    second = import_model(path, {}, {}, {})
    operations = [[(o.kind, o.attributes) for o in r.program.operations] for r in (first, second)]
    assert operations[0] == operations[1]
    assert [c.reason for c in first.public_scalars] == [c.reason for c in second.public_scalars]


# ---- transformers


def blocks(name: str, implementation: str) -> torch.nn.Module:
    transformers = pytest.importorskip("transformers", minversion="5")
    from examples import experts

    experts.register()
    sizes = {"hidden_size": WIDTH, "num_experts_per_tok": 2}
    if name == "switch":
        config = transformers.SwitchTransformersConfig(
            d_model=WIDTH, d_ff=HIDDEN, num_experts=4, expert_capacity=2
        )
        module = transformers.models.switch_transformers.modeling_switch_transformers
        holder = torch.nn.Sequential(module.SwitchTransformersSparseMLP(config))
        return experts.with_dense_switch(holder)
    if name == "gpt_oss":
        config = transformers.GptOssConfig(intermediate_size=HIDDEN, num_local_experts=4, **sizes)
        block = transformers.models.gpt_oss.modeling_gpt_oss.GptOssMLP
    elif name == "mixtral":
        config = transformers.MixtralConfig(intermediate_size=HIDDEN, num_local_experts=4, **sizes)
        block = transformers.models.mixtral.modeling_mixtral.MixtralSparseMoeBlock
    elif name == "olmoe":
        config = transformers.OlmoeConfig(intermediate_size=HIDDEN, num_experts=4, **sizes)
        block = transformers.models.olmoe.modeling_olmoe.OlmoeSparseMoeBlock
    else:
        config = transformers.Qwen2MoeConfig(
            moe_intermediate_size=HIDDEN, shared_expert_intermediate_size=16, num_experts=4, **sizes
        )
        block = transformers.models.qwen2_moe.modeling_qwen2_moe.Qwen2MoeSparseMoeBlock
    config._experts_implementation = implementation
    mixture: torch.nn.Module = block(config)
    return mixture


GATED = {"top_k": 2, "activation": "silu", "gated": True}
CLAMPED = {"alpha": pytest.approx(1.702), "beta": 1.0, "limit": 7.0}
FAMILIES = [
    ("mixtral", "batched_mm", "legacy", 17, {**GATED, "normalised": True}),
    ("mixtral", "dense", "dynamo", 23, {**GATED, "normalised": True}),
    ("olmoe", "batched_mm", "dynamo", 18, GATED),
    ("olmoe", "dense", "legacy", 13, GATED),
    ("qwen2", "batched_mm", "dynamo", 20, GATED),
    ("gpt_oss", "batched_mm", "dynamo", 18, {**GATED, "normalised": True, **CLAMPED}),
    ("gpt_oss", "dense", "legacy", 17, {**GATED, "normalised": True, **CLAMPED}),
    ("switch", "dense", "dynamo", 18, {"top_k": 1, "activation": "relu", "capacity": 2}),
    ("switch", "dense", "legacy", 13, {"top_k": 1, "activation": "relu", "capacity": 2}),
]


@pytest.mark.parametrize(
    ("name", "implementation", "exporter", "opset", "expected"),
    FAMILIES,
    ids=[f"{f[0]} {f[1]} {f[2]} {f[3]}" for f in FAMILIES],
)
def test_families(
    name: str, implementation: str, exporter: str, opset: int, expected: Attributes, tmp_path: Path
) -> None:
    path = write(tmp_path, Residual(blocks(name, implementation)), exporter, opset)
    result = imported(path)
    assert given(the_moe(result)) == expected
    shared = 3 + 1 if name == "qwen2" else 0  # the shared expert's layers and its gate stay outside
    assert result.recognised.counts["linears"] == 1 + shared


# ---- refusals


def refusal(path: Path) -> MpccError:
    with pytest.raises(MpccError) as caught:
        import_model(path, {}, {}, {})
    assert len(getattr(caught.value, "errors", [caught.value])) == 1
    return caught.value


@pytest.mark.parametrize("exporter", ["legacy", "dynamo"])
def test_lists_of_tokens_reveal_routing(exporter: str, tmp_path: Path) -> None:
    error = refusal(write(tmp_path, Mixture(mixtures.token_lists), exporter, 18))
    assert error.code == "MPC-F023"
    assert "NonZero depends on what TopK chose" in error.message
    assert "batched_mm" in error.remedy


def test_experts_lost_in_tracing(tmp_path: Path) -> None:
    mixture = Mixture(mixtures.hit_experts_loop, experts=8, top_k=1)
    error = refusal(write(tmp_path, mixture, "legacy", 17))
    assert error.code == "MPC-F024"
    assert "knows 8 experts and the graph holds" in error.message


@pytest.mark.parametrize(
    ("mixture", "words"),
    [
        (Mixture(mixtures.gathered_slots, activation=torch.tanh), "gelu_tanh"),
        (Mixture(mixtures.sigmoid_gates, activation=relu), "off by"),
        (Mixture(mixtures.linear_experts), "no two linear layers"),
    ],
)
def test_forms_that_are_not_known(mixture: Mixture, words: str, tmp_path: Path) -> None:
    error = refusal(write(tmp_path, mixture, "legacy", 17))
    assert error.code == "MPC-F025"
    assert words in error.message


def test_a_choice_outside_of_a_mixture_keeps_its_advice(tmp_path: Path) -> None:
    class Best(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(WIDTH, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.linear(x)
            return scores.topk(2, dim=-1).values

    error = refusal(write(tmp_path, Best(), "legacy", 17))
    assert error.code == "MPC-F021"
    assert "select at the client" in error.remedy
