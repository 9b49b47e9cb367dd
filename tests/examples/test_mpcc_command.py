"""The examples call the command line with the options that the command line promises."""

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.mpcc_command import Mpcc

RECORDER = """
import json, pathlib, sys
import numpy as np
folder, *arguments = sys.argv[1:]
log = pathlib.Path(folder, "calls.json")
calls = json.loads(log.read_text()) if log.exists() else []
log.write_text(json.dumps([*calls, arguments]))
value = lambda name: arguments[arguments.index(name) + 1]
if arguments[0] != "compile":
    with np.load(value("--input")) as inputs:
        np.savez(value("--output"), y=inputs["x"] + 1)
if arguments[0] == "run":
    sent = {"party0": 1000000, "party1": 250000}
    report = {"seconds": {"online": 0.5}, "rounds": 7, "bytes": {"online": sent}}
    pathlib.Path(value("--report")).write_text(json.dumps(report))
"""


def command(folder: Path, *options: str) -> Mpcc:
    script = folder / "recorder.py"
    script.write_text(RECORDER)
    parser = argparse.ArgumentParser()
    Mpcc.add_arguments(parser)
    words = shlex.join([sys.executable, str(script), str(folder)])
    return Mpcc.from_arguments(parser.parse_args(["--mpcc", words, *options]))


def calls(folder: Path) -> list[list[str]]:
    return list(json.loads((folder / "calls.json").read_text()))


def test_compile_passes_every_calibration_input_and_the_options(tmp_path: Path) -> None:
    calibration = [{"x": np.zeros(3)}, {"x": np.ones(3)}]
    mpcc = command(tmp_path, "--compile-options", "--dim tokens=32")
    assert mpcc.prepare(Path("model.onnx"), tmp_path / "program", calibration) == tmp_path / "program"
    ((verb, model, flag, program, *rest),) = calls(tmp_path)
    assert (verb, model, flag, program) == ("compile", "model.onnx", "-o", str(tmp_path / "program"))
    assert rest[0::2] == ["--calibrate", "--calibrate", "--dim"]
    assert rest[-1] == "tokens=32"


def test_a_given_program_is_not_compiled(tmp_path: Path) -> None:
    mpcc = command(tmp_path, "--program", "compiled")
    assert mpcc.prepare(Path("model.onnx"), tmp_path / "program", []) == Path("compiled")
    assert not (tmp_path / "calls.json").exists()


def test_run_reads_outputs_and_report(tmp_path: Path) -> None:
    result = command(tmp_path).run(Path("program"), {"x": np.arange(3)})
    np.testing.assert_array_equal(result.outputs["y"], [1, 2, 3])
    assert result.cost == "0.50 s, 7 rounds, 1.25 MB online"
    assert calls(tmp_path)[0][:3] == ["run", "program", "--input"]


def test_simulate_runs_in_the_clear(tmp_path: Path) -> None:
    result = command(tmp_path, "--simulate").run(Path("program"), {"x": np.arange(3)})
    np.testing.assert_array_equal(result.outputs["y"], [1, 2, 3])
    assert calls(tmp_path)[0][0] == "simulate"
    assert "clear" in result.cost


def test_a_failing_or_missing_command_ends_with_a_message(tmp_path: Path) -> None:
    failing = Mpcc((sys.executable, "-c", "raise SystemExit('no room left')"), False, (), None)
    with pytest.raises(SystemExit, match="mpcc run failed\nno room left"):
        failing.run(Path("program"), {"x": np.arange(3)})
    missing = Mpcc((str(tmp_path / "nowhere"),), False, (), None)
    with pytest.raises(SystemExit, match="command not found"):
        missing.run(Path("program"), {"x": np.arange(3)})
