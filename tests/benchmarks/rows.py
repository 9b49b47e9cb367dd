"""What the benchmark measures: models, inputs and options."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks import operations

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "tests/models"
DIGITS = ROOT / "examples/digits"


@dataclass(frozen=True)
class Material:
    """What a row compiles and runs. Without calibration inputs the compiler generates its own."""

    model: Path
    input: Path
    calibration: tuple[Path, ...] = ()

    @property
    def calibrate_options(self) -> list[str]:
        """Of mpcc compile."""
        return [word for path in self.calibration for word in ("--calibrate", str(path))]


@dataclass(frozen=True)
class Row:
    title: str
    prepare: Callable[[Path], Material]
    options: tuple[str, ...] = ()  # of mpcc compile


def call(*command: str) -> str:
    """What a Python module, run from the repository root, writes to stderr; all is shown when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed\n{done.stdout}{done.stderr}")
    return done.stderr


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


def scale_weights(module: torch.nn.Module, deviation: float = 0.04) -> None:
    """Random matrices, by default as large as those of trained models of width 768."""
    from torch.nn.init import normal_

    for parameter in module.parameters():
        if parameter.ndim == 2:
            normal_(parameter, std=deviation)


def bert_layers(count: int) -> Callable[[Path], Material]:
    """Layers of BERT-base's dimensions with random weights at trained scale, on 128 hidden states."""

    def prepare(folder: Path) -> Material:
        from tests.benchmarks.scaling.encoder import Encoder

        return Encoder(tokens=128, layers=count, width=768).prepare(folder)

    return prepare


def gpt2_small(folder: Path) -> Material:
    """GPT-2 small with random weights at trained scale: 64 secret token ids to logits of the next token."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from examples import onnx_export

    class NextToken(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.gpt2 = GPT2LMHeadModel(GPT2Config())
            self.gpt2.set_attn_implementation("eager")
            scale_weights(self)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            mask = torch.ones_like(ids)
            logits: torch.Tensor = self.gpt2(
                input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1
            ).logits
            return logits

    generator = np.random.default_rng(0)
    paths = [folder / f"{index}.npz" for index in range(5)]
    for path in paths:
        np.savez(path, input_ids=generator.integers(0, GPT2Config().vocab_size, (1, 64)))
    example = {"input_ids": torch.from_numpy(np.load(paths[0])["input_ids"])}
    onnx_export.export(NextToken().eval(), example, "logits", folder / "model.onnx")
    return Material(folder / "model.onnx", paths[0], tuple(paths[1:]))


def operation(name: str) -> Callable[[Path], Material]:
    return lambda folder: Material(*operations.write(name, folder))


ROWS = {
    "matmul": Row("matmul 128x768x3072, the client's times the server's", operation("matmul")),
    "gelu": Row("GeLU 128x3072", operation("gelu")),
    "softmax": Row("softmax 12x128x128", operation("softmax")),
    "layernorm": Row("LayerNorm 128x768", operation("layernorm")),
    "moe-layer": Row("Switch layer, 8 experts of 768-3072-768, 128 tokens", switch_layer),
    "minilm32": Row("MiniLM-L6, 32 tokens", sentence_encoder(32)),
    "minilm128": Row("MiniLM-L6, 128 tokens", sentence_encoder(128)),
    "bert-layer": Row("BERT-base layer, 128 tokens", bert_layers(1)),
    "bert-base": Row("BERT-base's 12 layers, 128 tokens", bert_layers(12)),
    "gpt2-small": Row("GPT-2 small, next token after 64", gpt2_small),
}
OTHER_ROWS = {
    "gelu-segments": Row("GeLU 128x3072, segments", operation("gelu"), options=("--gelu", "segments")),
    "softmax-2quad": Row("2quad 12x128x128", operation("softmax"), options=("--softmax", "2quad")),
    "digits": Row("digits, vision Transformer, 3 layers, width 48", digits),
    "digits-moe": Row("digits, the same with 8 experts a layer, 2 for a token", digits_moe),
    "bert": Row("small BERT, 2 layers, width 64, 16 tokens", fixture("bert.dynamo20")),
    "gpt2": Row("small GPT-2, 2 layers, width 64, 16 tokens", fixture("gpt2.dynamo18")),
    "llama": Row("small LLaMA, 2 layers, width 64, 16 tokens", fixture("llama.dynamo23")),
    "vit": Row("small ViT, 2 layers, width 64, 17 patches", fixture("vit.legacy17")),
}
ALL_ROWS = {**ROWS, **OTHER_ROWS}
