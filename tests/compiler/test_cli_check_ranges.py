"""`mpcc compile --check-ranges` through the command line, on a model whose inputs can drive values far."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.cli import main
from mpcc.compiler.cli.compile import PASSES, RANGE_PASS
from mpcc.compiler.dumps import read_dumps, read_share_program
from mpcc.ir.range_checks import OUTPUT, checked_layers
from tests.compiler.compiled import MODELS
from tests.compiler.test_simulate import fixture_arrays

NAME = "vit.legacy17"
FIRST = "/m/vit/layers.0/layernorm_before/LayerNormalization"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checked program; an image with one bright pixel; one as bright everywhere, which is a legal input."""
    folder = tmp_path_factory.mktemp("checked")
    ((name, image),) = fixture_arrays(NAME, "in_").items()
    spot = image / 20
    spot.flat[0] = 3
    np.savez(folder / "good.npz", allow_pickle=False, **{name: spot})
    outside = np.copysign(2.9, image).astype(image.dtype)
    np.savez(folder / "bad.npz", allow_pickle=False, **{name: outside})
    arguments = ["--calibrate", str(folder / "good.npz"), "--check-ranges"]
    assert main(["compile", str(MODELS / f"{NAME}.onnx"), "-o", str(folder / "prog"), *arguments]) == 0
    assert [name for name, _ in read_dumps(folder / "prog")] == [*PASSES[:-1], RANGE_PASS, PASSES[-1]]
    return {name: folder / name for name in ("prog", "good.npz", "bad.npz")}


def test_a_run_inside_the_ranges_answers_as_ever_at_the_predicted_cost(
    files: dict[str, Path], tmp_path: Path
) -> None:
    output, plain, report_path = tmp_path / "y.npz", tmp_path / "plain.npz", tmp_path / "r.json"
    written = ["--output", str(output), "--report", str(report_path)]
    assert main(["run", str(files["prog"]), "--input", str(files["good.npz"]), *written]) == 0
    arguments = ["--input", str(files["good.npz"]), "--output", str(plain)]
    assert main(["simulate", str(files["prog"]), *arguments]) == 0
    with np.load(output) as secure, np.load(plain) as simulated:
        assert secure.files == simulated.files == ["logits"]
        assert np.abs(secure["logits"] - simulated["logits"]).max() <= 0.01
    report = json.loads(report_path.read_text())
    assert report["rounds"] == report["predicted"]["rounds"]
    assert report["bytes"] == report["predicted"]["bytes"]


@pytest.mark.parametrize("command", ["run", "simulate"])
def test_a_range_that_is_exceeded_is_an_error_that_names_the_node(
    command: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "y.npz"
    arguments = [str(files["prog"]), "--input", str(files["bad.npz"]), "--output", str(output)]
    assert main([command, *arguments]) == 1
    screen = capsys.readouterr().err
    assert screen.count("error[") == 1
    assert "error[MPC-R045]" in screen
    assert FIRST in screen
    assert not output.exists()


def test_verify_refuses_too(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(files["prog"]), "--input", str(files["bad.npz"])]) == 1
    assert "error[MPC-R045]" in capsys.readouterr().err


def test_the_bits_are_listed_as_a_leak(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    program = read_share_program(files["prog"])
    layers = checked_layers(program.attributes)
    assert main(["audit", str(files["prog"])]) == 0
    statement = capsys.readouterr().out
    assert f"one bit for each of {len(layers)} layers to party 1" in " ".join(statement.split())
    assert all(f"`{layer}`" in statement for layer in layers)
    assert main(["inspect", str(files["prog"])]) == 0
    assert "one bit a checked layer" in capsys.readouterr().out
    assert "One bit a checked layer" in (files["prog"] / "report.html").read_text(encoding="utf-8")
    assert OUTPUT in program.outputs


def test_without_the_option_nothing_is_said_of_it(
    bert_program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(bert_program)]) == 0
    assert "--check-ranges" not in capsys.readouterr().out
    assert "check_ranges" not in (bert_program / "manifest.json").read_text()
    assert OUTPUT not in (bert_program / "party1" / "program.mpc").read_text()
