"""Inputs of either party and outputs for either, through the real processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mpcc.compiler.driver import Request, compile_model
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.commands.party import main
from mpcc.runtime.local_run import run_local

GENERATOR = np.random.default_rng(5)
WEIGHT = GENERATOR.normal(size=(6, 4)).astype(np.float32)
SHAPES = {"x": (2, 6), "z": (2, 4), "p": (2, 4)}


class Quiet:
    """Events that nobody reads."""

    def tell(self, event: str, text: str, **values: object) -> None:
        pass

    def progress(self, phase: str, done: int, total: int) -> None:
        pass

    def failed(self, error: MpccError) -> None:
        raise error


def model(path: Path) -> Path:
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["a"]),
        helper.make_node("Add", ["a", "z"], ["b"]),
        helper.make_node("Tanh", ["b"], ["y"]),
        helper.make_node("Mul", ["b", "p"], ["q"]),
    ]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in SHAPES.items()]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, (2, 4)) for n in ("y", "q")]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(WEIGHT, "W")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("owners")
    owners, reveals = {"z": "0", "p": "public"}, {"y": "both", "q": "0"}
    request = Request(model(folder / "m.onnx"), folder / "prog", owners=owners, reveals=reveals)
    compile_model(request, lambda text: None)
    return folder / "prog"


def test_each_party_gives_and_learns_its_own(program: Path, tmp_path: Path) -> None:
    arrays = {name: GENERATOR.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    outputs = run_local(program, tmp_path / "x.npz", Quiet()).outputs
    b = arrays["x"] @ WEIGHT + arrays["z"]
    assert np.abs(outputs["y"] - np.tanh(b)).max() < 1e-3
    assert np.abs(outputs["q"] - b * arrays["p"]).max() < 2e-3


def test_a_server_without_its_input_says_so(
    program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(program / "party0", ["--listen", "127.0.0.1:0", "--store", str(tmp_path)]) == 1
    assert "MPC-R031" in capfd.readouterr().err
