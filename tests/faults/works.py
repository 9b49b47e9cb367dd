"""The two programs of these tests: the runtime's tests' small one, and one that the compiler made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.parser

from mpcc.compiler.driver import Request, compile_model
from mpcc.runtime.dealing.offline import deal_sessions
from tests.faults import entries
from tests.runtime import fake_program

MODEL = """<ir_version: 10, opset_import: ["": 20]>
graph (float[4,8] x) => (float[4,8] y) { h = MatMul(x, w) r = Relu(h) m = MatMul(r, v) y = Add(m, x) }"""
TOLERANCE = 0.01


@dataclass(frozen=True)
class Work:
    """A program with an input, the answer to it, and how its parties and its stores are made."""

    program: Path
    inputs: dict[str, np.ndarray]
    answer: np.ndarray
    tolerance: float
    party: Callable[[Path, list[str]], int]
    deal: Callable[[Path, int, Path], None]


def small(folder: Path) -> Work:
    """y = x * w, in messages of 64 bytes: its parties start in milliseconds."""
    answer = fake_program.INPUT * fake_program.WEIGHTS.astype(np.int64)
    program = fake_program.build_program(folder / "prog")
    inputs = {"x": fake_program.INPUT}
    return Work(program, inputs, answer, 0, entries.party, fake_program.deal)


def between(folder: Path) -> Work:
    """The same without a dealer: the parties make correlations, slowly enough to be killed meanwhile."""
    answer = fake_program.INPUT * fake_program.WEIGHTS.astype(np.int64)
    steps = ("linear making-slowly", "linear")
    program = fake_program.build_program(folder / "prog", steps, source="two-party")
    return Work(program, {"x": fake_program.INPUT}, answer, 0, entries.party, _no_dealer)


def compiled(folder: Path) -> Work:
    """Two linear layers and a ReLU, through the whole compiler and interpreter."""
    generator = np.random.default_rng(1)
    model = onnx.parser.parse_model(MODEL)
    arrays = {name: generator.normal(size=(8, 8)).astype(np.float32) for name in ("w", "v")}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(a, n) for n, a in arrays.items())
    onnx.save(model, folder / "model.onnx")
    x = generator.uniform(-1, 1, (4, 8)).astype(np.float32)
    compile_model(Request(folder / "model.onnx", folder / "prog", samples=[{"x": x}]), lambda line: None)
    answer = np.maximum(x @ arrays["w"], 0) @ arrays["v"] + x
    return Work(folder / "prog", {"x": x}, answer, TOLERANCE, entries.compiled_party, _deal)


def _no_dealer(program: Path, sessions: int, store: Path) -> None:
    """The parties make their stores."""


def _deal(program: Path, sessions: int, store: Path) -> None:
    deal_sessions(program, sessions, store, lambda done, total: None)
