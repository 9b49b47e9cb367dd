"""What the benchmark measures: models, inputs, options and what other systems need for the same work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks import operations

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "tests/models"
DIGITS = ROOT / "examples/digits"


@dataclass(frozen=True)
class Material:
    """What a row compiles and runs. Without calibration inputs the compiler generates its own."""

    model: Path
    input: Path
    calibration: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Peer:
    """Another system on the same work; MB are all parties' sends together, online."""

    name: str
    seconds: float
    megabytes: float
    rounds: int | None
    max_error: float


@dataclass(frozen=True)
class Row:
    title: str
    prepare: Callable[[Path], Material]
    peers: tuple[Peer, ...] = ()
    options: tuple[str, ...] = ()  # of mpcc compile


def call(*command: str) -> None:
    """A Python module from the repository root; its output is shown only when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed\n{done.stdout}{done.stderr}")


def digits(folder: Path) -> Material:
    return Material(DIGITS / "digits.onnx", DIGITS / "sample.npz", (DIGITS / "digits_calibration.npz",))


def digits_moe(folder: Path) -> Material:
    example = ROOT / "examples/digits_moe"
    calibration = (example / "digits_moe_calibration.npz",)
    return Material(example / "digits_moe_top2.onnx", example / "sample.npz", calibration)


def switch_layer(folder: Path) -> Material:
    """8 experts of BERT-base's width, one for each of 128 tokens."""
    from tests.benchmarks.experts.layer import Layer

    layer = Layer(8, 768, "gelu")
    layer.write_weights(folder)
    return layer.write(128, folder)


def fixture(name: str) -> Callable[[Path], Material]:
    """A committed model of tests/models with the input beside it."""

    def prepare(folder: Path) -> Material:
        with np.load(MODELS / f"{name}.npz") as arrays:
            inputs = {key.removeprefix("in_"): arrays[key] for key in arrays.files if key.startswith("in_")}
        np.savez(folder / "x.npz", allow_pickle=False, **inputs)
        return Material(MODELS / f"{name}.onnx", folder / "x.npz")

    return prepare


def sentence_encoder(tokens: int) -> Callable[[Path], Material]:
    """The trained MiniLM-L6 on the fourth of the example's sentences."""

    def prepare(folder: Path) -> Material:
        example, texts = "examples.sentence_similarity", ROOT / "examples/sentence_similarity"
        length = ("--tokens", str(tokens))
        call(f"{example}.export", *length, "-o", str(folder / "model.onnx"))
        for name in ("sentences", "calibration"):
            call(f"{example}.tokens", str(texts / f"{name}.txt"), *length, "-o", str(folder / name))
        calibration = tuple(sorted((folder / "calibration").glob("*.npz")))
        return Material(folder / "model.onnx", folder / "sentences/03.npz", calibration)

    return prepare


def bert_layers(count: int) -> Callable[[Path], Material]:
    """Layers of BERT-base's dimensions with random weights at trained scale, on 128 hidden states."""

    def prepare(folder: Path) -> Material:
        import torch
        from transformers import BertConfig
        from transformers.models.bert.modeling_bert import BertLayer

        from examples import onnx_export

        class Encoder(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                torch.manual_seed(0)
                config = BertConfig()
                config._attn_implementation = "eager"
                self.layers = torch.nn.ModuleList(BertLayer(config) for _ in range(count))
                for parameter in self.parameters():
                    if parameter.ndim == 2:
                        torch.nn.init.normal_(parameter, std=0.04)

            def forward(self, states: torch.Tensor) -> torch.Tensor:
                for layer in self.layers:
                    result = layer(states)
                    states = result[0] if isinstance(result, tuple) else result
                return states

        generator = np.random.default_rng(0)
        paths = [folder / f"{index}.npz" for index in range(5)]
        for path in paths:
            np.savez(path, states=generator.standard_normal((1, 128, 768)).astype(np.float32))
        example = {"states": torch.from_numpy(np.load(paths[0])["states"])}
        onnx_export.export(Encoder().eval(), example, "result", folder / "model.onnx")
        return Material(folder / "model.onnx", paths[0], tuple(paths[1:]))

    return prepare


def operation(name: str) -> Callable[[Path], Material]:
    return lambda folder: Material(*operations.write(name, folder))


GELU_PEERS = (
    Peer("SPU SEMI2K, PUMA's polynomial", 1.93, 255, 39, 0.018),
    Peer("SPU ABY3", 2.17, 362, 55, 0.018),
    Peer("SPU CHEETAH", 21.8, 477, None, 0.018),
    Peer("SIGMA", 1.3, 28, 8, 0.0076),
)
SOFTMAX_PEERS = (
    Peer("SPU SEMI2K", 0.75, 77, 119, 0.008),
    Peer("SPU ABY3", 0.77, 133, 166, 0.008),
    Peer("SPU CHEETAH", 10.8, 313, None, 0.008),
    Peer("SIGMA", 1.26, 34, 30, 0.025),
)
LAYER_NORM_PEERS = (
    Peer("SPU SEMI2K", 0.12, 12, 34, 0.003),
    Peer("SPU ABY3", 0.16, 16, 61, 0.003),
    Peer("SIGMA", 0.12, 6.7, 16, 0.028),
)
ROWS = {
    "gelu": Row("GeLU 128x3072", operation("gelu"), GELU_PEERS),
    "gelu-segments": Row("GeLU 128x3072, segments", operation("gelu"), options=("--gelu", "segments")),
    "softmax": Row("softmax 12x128x128", operation("softmax"), SOFTMAX_PEERS),
    "softmax-2quad": Row("2quad 12x128x128", operation("softmax"), options=("--softmax", "2quad")),
    "layernorm": Row("LayerNorm 128x768", operation("layernorm"), LAYER_NORM_PEERS),
    "digits": Row("digits, vision Transformer, 3 layers, width 48", digits),
    "digits-moe": Row("digits, the same with 8 experts a layer, 2 for a token", digits_moe),
    "moe-layer": Row("Switch layer, 8 experts of 768-3072-768, 128 tokens", switch_layer),
    "bert": Row("small BERT, 2 layers, width 64, 16 tokens", fixture("bert.dynamo20")),
    "gpt2": Row("small GPT-2, 2 layers, width 64, 16 tokens", fixture("gpt2.dynamo18")),
    "llama": Row("small LLaMA, 2 layers, width 64, 16 tokens", fixture("llama.dynamo23")),
    "vit": Row("small ViT, 2 layers, width 64, 17 patches", fixture("vit.legacy17")),
    "minilm32": Row(
        "MiniLM-L6, 32 tokens",
        sentence_encoder(32),
        (
            Peer("SPU SEMI2K", 6.5, 442, 1626, 0.057),
            Peer("SPU ABY3", 7.7, 404, 2363, 0.057),
            Peer("CrypTen", 30, 547, 1074, 0.01),
            Peer("SIGMA", 4.5, 89, 3240, 0.089),
        ),
    ),
    "minilm128": Row("MiniLM-L6, 128 tokens", sentence_encoder(128)),
    "bert-layer": Row(
        "BERT-base layer, 128 tokens",
        bert_layers(1),
        (
            Peer("SPU SEMI2K", 5.3, 530, 287, 0.037),
            Peer("SPU ABY3", 5.5, 627, 425, 0.037),
            Peer("CrypTen", 20, 765, 190, 0.03),
            Peer("SIGMA", 7.2, 144, 588, 0.058),
        ),
    ),
    "bert-base": Row(
        "BERT-base's 12 layers, 128 tokens",
        bert_layers(12),
        (
            Peer("SPU SEMI2K", 70.6, 6360, 3444, 0.063),
            Peer("SPU ABY3", 70.4, 7520, 4999, 0.063),
            Peer("CrypTen", 233, 9175, 2280, 1.02),
        ),
    ),
}
