"""`mpcc compile`: what its options do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from mpcc.compiler.calibrate import generate_samples
from mpcc.compiler.cli import main
from mpcc.compiler.cli.compile import PASSES
from mpcc.compiler.dumps import read_dumps
from mpcc.compiler.frontend import import_model
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_program
from tests.compiler.compiled import MODELS

MODEL = MODELS / "vit.legacy17.onnx"


@pytest.fixture(scope="module")
def samples() -> list[dict[str, np.ndarray]]:
    return generate_samples(import_model(MODEL, {}, {}, {}).inputs, seed=5, count=3)


def compiled(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a successful compilation prints on stdout."""
    assert main(["compile", *arguments]) == 0
    return capsys.readouterr().out


def test_the_summary_and_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "p"
    assert main(["compile", str(MODEL), "-o", str(program), "--network", "20,100"]) == 0
    screen = capsys.readouterr()
    manifest = json.loads((program / "manifest.json").read_text())
    assert "2 layers" in screen.out
    assert f"{manifest['predicted']['rounds']} rounds" in screen.out
    assert "20 ms round trip, 100 Mbit/s" in screen.out
    assert "warning: ranges were calibrated on generated inputs" in screen.err
    assert all(phase in screen.err for phase in ("importing: ", "calibrating: ", "lowering: ", "writing: "))
    assert [name for name, _ in read_dumps(program)] == list(PASSES)
    assert [p.name for p in tmp_path.iterdir()] == ["p"]
    assert main(["compile", str(MODEL), "-o", str(program)]) == 1
    assert "error[MPC-C010]" in capsys.readouterr().err


def test_stacked_samples_calibrate_like_single_ones(
    tmp_path: Path, samples: list[dict[str, np.ndarray]], capsys: pytest.CaptureFixture[str]
) -> None:
    options = []
    for index, sample in enumerate(samples):
        np.savez(tmp_path / f"{index}.npz", allow_pickle=False, **sample)
        options += ["--calibrate", str(tmp_path / f"{index}.npz")]
    stacked = {name: np.concatenate([s[name] for s in samples]) for name in samples[0]}
    np.savez(tmp_path / "all.npz", allow_pickle=False, **stacked)
    compiled([str(MODEL), "-o", str(tmp_path / "single"), *options], capsys)
    compiled([str(MODEL), "-o", str(tmp_path / "stacked"), "--calibrate", str(tmp_path / "all.npz")], capsys)
    single, both = ((tmp_path / name / "ranges.json").read_text() for name in ("single", "stacked"))
    assert single == both
    assert json.loads(single)["samples"] == 3


@pytest.mark.parametrize("given", ["folder", "file"])
def test_ranges_of_another_compilation_give_the_same_program(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    compiled([str(MODEL), "-o", str(first)], capsys)
    ranges = first if given == "folder" else first / "ranges.json"
    compiled([str(MODEL), "-o", str(second), "--ranges", str(ranges)], capsys)
    for part in ("party0/program.mpc", "party1/program.mpc", "party1/constants.safetensors"):
        assert (first / part).read_bytes() == (second / part).read_bytes()


def test_dump_after_prints_the_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = compiled([str(MODEL), "-o", str(tmp_path / "p"), "--dump-after", "assign-rings"], capsys)
    text = out[: out.index("\n}\n") + 3]
    assert (
        text == (tmp_path / "p" / "ir" / f"{PASSES.index('assign-rings'):02}-assign-rings.mpcir").read_text()
    )
    assert print_program(parse(text, "stdout")) == text


def test_explain_names_patterns_and_their_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = compiled([str(MODEL), "-o", str(tmp_path / "p"), "--explain"], capsys)
    (gelu, _) = (line for line in out.splitlines() if line.startswith("  gelu "))
    assert "/m/vit/layers.0/mlp/activation_fn/Erf" in gelu
    assert "constant of gelu" in out
    assert "nearest misses:\n  none" in out


def test_max_error_keeps_a_good_program_and_removes_a_bad_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled([str(MODEL), "-o", str(tmp_path / "good"), "--max-error", "0.01"], capsys)
    assert main(["compile", str(MODEL), "-o", str(tmp_path / "bad"), "--max-error", "1e-9"]) == 1
    assert "error[MPC-P025]" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["good"]


def test_dimensions_owners_and_reveals_reach_the_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = np.eye(4, dtype=np.float32) * 2
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"], "double")],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["rows", 4])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["rows", 4])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    base = [str(tmp_path / "m.onnx"), "-o", str(tmp_path / "p")]
    assert main(["compile", *base]) == 1
    assert "rows" in capsys.readouterr().err
    compiled([*base, "--dim", "rows=3", "--owner", "x=1", "--reveal", "y=both"], capsys)
    manifest = json.loads((tmp_path / "p" / "manifest.json").read_text())
    assert manifest["inputs"][0]["shape"] == [3, 4]
    assert manifest["outputs"][0]["reveal"] == "both"
    assert main(["compile", *base[:-1], str(tmp_path / "q"), "--dim", "rows=3", "--reveal", "z=1"]) == 1
    assert "error[MPC-F008]" in capsys.readouterr().err
