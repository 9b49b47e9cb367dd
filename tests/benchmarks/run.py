"""The README's benchmark table: compiles each model, runs the dealer and both parties as processes, prints
Markdown.

    python -m tests.benchmarks.run digits minilm32 minilm128
    python -m tests.benchmarks.run                               all rows

From the repository root, in an environment with mpcc; rows that export a model need its `examples` extra.
Seconds are the median of the sessions; bytes and rounds are the same in all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mpcc.runtime import kernels

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
    rounds: int
    max_error: float


@dataclass(frozen=True)
class Row:
    title: str
    prepare: Callable[[Path], Material]
    peers: tuple[Peer, ...] = ()


@dataclass(frozen=True)
class Measured:
    seconds: float
    rounds: int
    bytes_party0: int
    bytes_party1: int
    dealt_bytes: int
    setup_bytes: int
    max_error: float

    @property
    def megabytes(self) -> float:
        return (self.bytes_party0 + self.bytes_party1) / 1e6


def call(*command: str) -> None:
    """A Python module from the repository root; its output is shown only when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed\n{done.stdout}{done.stderr}")


def mpcc(*arguments: object) -> None:
    call("mpcc.compiler.cli", *map(str, arguments))


def digits(folder: Path) -> Material:
    return Material(DIGITS / "digits.onnx", DIGITS / "sample.npz", (DIGITS / "digits_calibration.npz",))


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


ROWS = {
    "digits": Row("digits, vision Transformer, 3 layers, width 48", digits),
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


def measure(row: Row, sessions: int, folder: Path) -> Measured:
    """Compile and run a row in an empty folder. Fails when the cost is not the predicted one."""
    material = row.prepare(folder)
    calibration = [word for path in material.calibration for word in ("--calibrate", path)]
    mpcc("compile", material.model, "-o", folder / "program", *calibration)
    files = ("--input", material.input, "--output", folder / "y.npz", "--report", folder / "r.json")
    mpcc("run", folder / "program", *files, "--sessions", sessions)
    report: dict[str, Any] = json.loads((folder / "r.json").read_text())
    measured = {name: report[name] for name in ("rounds", "bytes")}
    predicted = {name: report["predicted"][name] for name in measured}
    if measured != predicted:
        raise SystemExit(f"{row.title}: measured {measured}, predicted {predicted}")
    online, offline = report["bytes"]["online"], report["bytes"]["offline"]
    return Measured(
        report["seconds"]["online"],
        report["rounds"],
        online["party0"],
        online["party1"],
        offline["dealer_to_party0"] + offline["dealer_to_party1"],
        offline["setup_party0_to_party1"],
        largest_error(material, folder / "y.npz"),
    )


def largest_error(material: Material, outputs: Path) -> float:
    session = onnxruntime.InferenceSession(material.model, providers=["CPUExecutionProvider"])
    with np.load(material.input) as inputs, np.load(outputs) as secure:
        names = list(secure.files)
        plain = session.run(names, dict(inputs))
        return max(float(np.abs(secure[n] - p).max()) for n, p in zip(names, plain, strict=True))


def lines(row: Row, ours: Measured) -> list[str]:
    """The row of mpcc, and one for each peer with how many times as much it needs."""
    each_way = f"{ours.bytes_party0 / 1e6:.2f} + {ours.bytes_party1 / 1e6:.2f}"
    offline = f"{ours.dealt_bytes / 1e6:.1f} + {ours.setup_bytes / 1e6:.1f}"
    largest = f"{ours.max_error:.2g}"
    cells = (row.title, "mpcc", f"{ours.seconds:.2f}", each_way, ours.rounds, offline, largest)
    table = [f"| {' | '.join(map(str, cells))} |"]
    for peer in row.peers:
        seconds = f"{peer.seconds:g} ({peer.seconds / ours.seconds:.1f}x)"
        sent = f"{peer.megabytes:g} ({peer.megabytes / ours.megabytes:.1f}x)"
        rounds = f"{peer.rounds} ({peer.rounds / ours.rounds:.1f}x)"
        table.append(f"| | {peer.name} | {seconds} | {sent} | {rounds} | | {peer.max_error:g} |")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure the rows of the README's benchmark table.")
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)} (default: all)")
    parser.add_argument("--sessions", type=int, default=5, help="runs of each row (default: 5)")
    options = parser.parse_args(arguments)
    unknown = set(options.rows) - ROWS.keys()
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    print(f"{os.cpu_count()} cores, {kernels.isa()}; both parties and the dealer on this machine, loopback\n")
    print(
        "| work | system | online s | online MB, server + client | rounds | dealt + set-up MB | max error |"
    )
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    for name in options.rows or ROWS:
        with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as folder:
            print(
                "\n".join(lines(ROWS[name], measure(ROWS[name], options.sessions, Path(folder)))), flush=True
            )


if __name__ == "__main__":
    main()
