"""`mpcc verify`: errors by layer, where something goes wrong, and which model it compares with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.cli import main
from mpcc.compiler.driver import Request, compile_model
from mpcc.compiler.inspect import VERIFY_NAME
from mpcc.compiler.verify import LayerError, verify
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.events import ScreenEvents
from tests.compiler.compiled import MODELS, compile_fixture

MODEL = MODELS / "bert.legacy17.onnx"


@pytest.fixture(scope="module")
def inputs(bert_input: Path) -> dict[str, np.ndarray]:
    with np.load(bert_input) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def own_program(bert_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, because the report is left in it."""
    return Path(shutil.copytree(bert_program, tmp_path_factory.mktemp("own") / "program"))


def test_errors_by_layer_on_screen_in_the_report_and_for_the_page(
    own_program: Path, bert_input: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report_path = tmp_path / "r.json"
    arguments = ["verify", str(own_program), "--input", str(bert_input), "--report", str(report_path)]
    assert main(arguments) == 0
    screen = capsys.readouterr()
    assert "one process, which sees both shares" in screen.err
    assert screen.out.rstrip().endswith("exactly as predicted")
    report = json.loads(report_path.read_text())
    assert json.loads((own_program / VERIFY_NAME).read_text()) == report
    assert report["rounds"] == report["predicted"]["rounds"]
    assert report["bytes"] == report["predicted"]["bytes"]
    error = report["error"]
    assert 0 < error["max"] <= 0.01
    assert error["max"] == error["outputs"]["logits"]["max"]
    kinds = {(e["layer"], e["operation"]) for e in error["layers"]}
    for layer in ("layer.0", "layer.1"):
        assert {(layer, k) for k in ("linear", "matmul", "softmax", "add", "layer_norm", "gelu")} <= kinds
    assert ("before the layers", "embedding") in kinds
    before = next(e for e in error["layers"] if e["operation"] == "embedding")
    assert before["exact"] == 0.0  # rows of the table
    assert before["approximated"] == 0.0 < before["simulated"]  # no approximation yet, only rounding
    for entry in error["layers"]:
        assert 0 < entry["max"] < 0.01
        assert 0 < entry["simulated"] < 0.01
        assert 0 <= entry["exact"] < entry["approximated"] + 1e-4
        assert entry["approximated"] < 0.01
        assert entry["std"] < entry["max"]
        assert entry["onnx_nodes"]


@pytest.mark.parametrize("name", ["bert.dynamo20", "llama.dynamo23", "t5enc.legacy17"])
def test_layers_of_other_models_are_compared_too(name: str, tmp_path: Path) -> None:
    program = compile_fixture(name, tmp_path)
    with np.load(MODELS / f"{name}.npz") as archive:
        arrays = {k.removeprefix("in_"): archive[k] for k in archive.files if k.startswith("in_")}
    result = verify(program, arrays, None, ScreenEvents())
    assert sum(e.operation == "softmax" for e in result.layers) == 2
    assert len(result.layers) > 20
    assert all(e.error.relative < 0.03 for e in result.layers)


def test_a_range_that_is_too_narrow_shows_at_its_layer(
    bert_program: Path, inputs: dict[str, np.ndarray], tmp_path: Path
) -> None:
    ranges = json.loads((bert_program / "ranges.json").read_text())
    norms = (n for n in ranges["internals"] if "layer.1_attention_output_LayerNorm" in n)
    centred = ranges["internals"][next(norms)]["centred"]
    centred[:] = [bound / 64 for bound in centred]
    (tmp_path / "ranges.json").write_text(json.dumps(ranges))
    compile_model(Request(MODEL, tmp_path / "p", ranges=tmp_path / "ranges.json"), lambda line: None)
    layers = verify(tmp_path / "p", inputs, None, ScreenEvents()).layers
    broken = [is_broken(e) for e in layers]
    assert any(broken)
    first = layers[broken.index(True)]
    assert first.layer == "layer.1"
    assert first.operation == "layer_norm"
    assert "attention/output" in first.onnx_nodes[-1]


def is_broken(entry: LayerError) -> bool:
    """Whether the secure result is far from the simulated one, which does not wrap around."""
    return entry.error.max > 10 * entry.error.simulated + 0.05


def test_the_model_is_found_where_it_was_or_where_it_is_named(tmp_path: Path) -> None:
    model, moved = tmp_path / "model.onnx", tmp_path / "moved.onnx"
    shutil.copyfile(MODEL, model)
    compile_model(Request(model, tmp_path / "p"), lambda line: None)
    with np.load(MODELS / "bert.legacy17.npz") as archive:
        inputs = {k.removeprefix("in_"): archive[k] for k in archive.files if k.startswith("in_")}
    model.rename(moved)
    with pytest.raises(MpccError, match="--model") as missing:
        verify(tmp_path / "p", inputs, None, ScreenEvents())
    assert missing.value.code == "MPC-C031"
    assert verify(tmp_path / "p", inputs, moved, ScreenEvents()).report["error"]["max"] < 0.01
    with pytest.raises(MpccError) as other:
        verify(tmp_path / "p", inputs, MODELS / "vit.legacy17.onnx", ScreenEvents())
    assert other.value.code == "MPC-C032"
    (tmp_path / "p" / "model.json").unlink()
    with pytest.raises(MpccError) as nothing:
        verify(tmp_path / "p", inputs, None, ScreenEvents())
    assert nothing.value.code == "MPC-C033"


def test_bad_input_is_refused_before_anything_runs(
    own_program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "x.npz", input_ids=np.zeros((1, 16), np.int64))
    assert main(["verify", str(own_program), "--input", str(tmp_path / "x.npz")]) == 1
    assert "error[MPC-R031]" in capsys.readouterr().err
