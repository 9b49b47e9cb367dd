"""The tables of docs/presets.md: every preset's errors, accuracy and cost on the same ground.

    python -m tests.benchmarks.presets                  all presets, written into the page
    python -m tests.benchmarks.presets puma best        some of them, printed

From the repository root, in an environment with mpcc and its `examples` extra. Seconds, rounds, bytes and the
errors of single operations come from runs of dealer and both parties as processes; accuracy over many inputs
from the same programs computed in the clear on the same fixed-point numbers (`mpcc simulate`).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from examples.digits import dataset
from examples.digits.evaluate import CALIBRATION_BATCHES
from examples.digits.export import export
from examples.sentence_similarity.similarity import compare, cosine, similarities
from mpcc.compiler.simulate import simulate
from mpcc.compiler.text import table
from mpcc.passes.approximations.presets import presets
from mpcc.runtime import kernels
from tests.benchmarks.pages import with_tables
from tests.benchmarks.rows import ROOT, Material, Row, operation, sentence_encoder
from tests.benchmarks.run import Measured, measure

PAGE = ROOT / "docs/presets.md"
BATCH = 36  # images of a run
TOKENS = 32
OPERATIONS = {"GeLU 128x3072": "gelu", "softmax 12x128x128": "softmax", "LayerNorm 128x768": "layernorm"}
COST = ("rounds", "online MB", "dealt MB", "s")

Inputs = dict[str, np.ndarray]


def digits(folder: Path) -> Material:
    """The digit classifier for 36 images, calibrated on training images; its input is the first held-out
    ones.
    """
    images = dataset.load()
    export(folder / "model.onnx", BATCH)
    count = len(images.train_images) // BATCH * BATCH
    paths = []
    for index, batch in enumerate(images.train_images[:count].reshape(-1, BATCH, 1, 8, 8)):
        if index < CALIBRATION_BATCHES:
            paths.append(folder / f"calibration{index:02d}.npz")
            np.savez(paths[-1], allow_pickle=False, image=batch)
    np.savez(folder / "x.npz", allow_pickle=False, image=images.held_out_images[:BATCH])
    return Material(folder / "model.onnx", folder / "x.npz", tuple(paths))


def digits_accuracy(material: Material, folder: Path) -> tuple[str, ...]:
    """How many of the 360 held-out images are classified right, and as by onnxruntime, and the largest
    difference of a logit.
    """
    images = dataset.load()
    batches = [{"image": batch} for batch in images.held_out_images.reshape(-1, BATCH, 1, 8, 8)]
    ours, plain = (np.concatenate(outputs) for outputs in _outputs(material, folder, batches, "logits"))
    classes, count = ours.argmax(axis=1), len(ours)
    right, same = (int((classes == c).sum()) for c in (images.held_out_labels, plain.argmax(axis=1)))
    return f"{right} of {count}", f"{same} of {count}", f"{np.abs(ours - plain).max():.2g}"


def sentences_accuracy(material: Material, folder: Path) -> tuple[str, ...]:
    """The smallest cosine of the forty sentences, and how many keep their nearest neighbour."""
    inputs = []
    for path in sorted((material.model.parent / "sentences").glob("*.npz")):
        with np.load(path) as arrays:
            inputs.append(dict(arrays))
    ours, plain = (
        np.concatenate(outputs).astype(np.float64)
        for outputs in _outputs(material, folder, inputs, "embedding")
    )
    smallest = min(cosine(a, b) for a, b in zip(ours, plain, strict=True))
    nearest = compare(similarities(ours), similarities(plain)).same_nearest
    return f"{smallest:.6f}", f"{nearest} of {len(ours)}"


def _outputs(
    material: Material, folder: Path, inputs: Sequence[Inputs], name: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of the program in the clear, and of onnxruntime."""
    session = onnxruntime.InferenceSession(material.model, providers=["CPUExecutionProvider"])
    ours = [simulate(folder / "program", arrays)[name] for arrays in inputs]
    return ours, [np.asarray(session.run([name], arrays)[0]) for arrays in inputs]


def cost(measured: Measured) -> tuple[object, ...]:
    """As COST names it."""
    return (
        measured.rounds,
        f"{measured.megabytes:.2f}",
        f"{measured.dealt_bytes / 1e6:.1f}",
        f"{measured.seconds:.2f}",
    )


def rows(
    names: Sequence[str],
    prepare: Callable[[Path], Material],
    accuracy: Callable[[Material, Path], tuple[str, ...]] | None,
    head: Sequence[str],
    sessions: int,
) -> str:
    """Of every preset accuracy (of one operation: its largest error) and cost, or why it does not do."""
    found: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as shared:
        material = prepare(Path(shared))
        for preset in names:
            row = Row(preset, lambda _: material, options=("--preset", preset))
            with tempfile.TemporaryDirectory(prefix="mpcc-benchmark-") as folder:
                try:
                    measured = measure(row, sessions, Path(folder))
                except SystemExit as refused:
                    code = re.search(r"MPC-[FP]\d{3}", str(refused))
                    if code is None:  # a defect, no refusal
                        raise
                    found.append((preset, f"refused: {code[0]}", *["-"] * (len(head) + len(COST) - 2)))
                    continue
                error = (f"{measured.max_error:.2g}",)
                found.append(
                    (preset, *(accuracy(material, Path(folder)) if accuracy else error), *cost(measured))
                )
                print(*found[-1], file=sys.stderr, flush=True)
    return table((*head, *COST), found)


def tables(names: Sequence[str], sessions: int) -> str:
    parts = [
        f"{os.cpu_count()} cores, {kernels.isa()}; parties and dealer on this machine, loopback; seconds are "
        f"the median of {sessions} sessions."
    ]
    for title, work in OPERATIONS.items():
        parts += [f"### {title}", rows(names, operation(work), None, ("preset", "max error"), sessions)]
    head: tuple[str, ...] = ("preset", "correct", "as onnxruntime", "max logit error")
    parts.append(f"### Digits, a vision Transformer of 3 layers, {BATCH} images a run")
    parts.append(rows(names, digits, digits_accuracy, head, sessions))
    head = ("preset", "smallest cosine", "same nearest")
    parts.append(f"### MiniLM-L6, {TOKENS} tokens")
    parts.append(rows(names, sentence_encoder(TOKENS), sentences_accuracy, head, sessions))
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure all presets on the same ground.")
    parser.add_argument("presets", nargs="*", help=f"of {', '.join(presets())} (default: all)")
    parser.add_argument("--sessions", type=int, default=3, help="runs of each program (default: 3)")
    options = parser.parse_args(arguments)
    unknown = set(options.presets) - set(presets())
    if unknown:
        parser.error(f"no such preset: {', '.join(sorted(unknown))}")
    text = tables(options.presets or presets(), options.sessions)
    if options.presets:
        print(text)
        return
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main()
