"""The command line as a whole: help, wrong command lines, coded errors, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mpcc.compiler.cli import main, mpcc
from mpcc.passes.approximations.presets import presets

COMMANDS = [
    "compile",
    "run",
    "deal",
    "dealer",
    "prepare",
    "serve",
    "infer",
    "certificates",
    "store-key",
    "party",
    "simulate",
    "verify",
    "inspect",
    "cost",
    "approximations",
    "audit",
    "explain",
    "demo",
]
MODULE = [sys.executable, "-m", "mpcc.compiler.cli"]


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom mpcc.compiler.cli import main\nmain(['--help'])\n"
        "print([m for m in ('numpy', 'onnx', 'onnxruntime', 'rich', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)
    assert done.stdout.splitlines()[-1] == "[]"
    assert list(mpcc.commands) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"Usage: mpcc {command} " in capsys.readouterr().out


def test_the_module_is_the_command() -> None:
    done = subprocess.run([*MODULE, "compile", "--nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "No such option" in done.stderr
    assert "Traceback" not in done.stderr


COMPILE = ["compile", "m.onnx", "-o", "p"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Usage"),
        (["decompile"], "No such command"),
        (["compile"], "MODEL.onnx"),
        (["compile", "m.onnx"], "--output"),
        ([*COMPILE, "--dim", "seq"], "NAME=N"),
        ([*COMPILE, "--dim", "seq=many"], "positive integer"),
        ([*COMPILE, "--dim", "seq=0"], "positive integer"),
        ([*COMPILE, "--owner", "=1"], "NAME=WHO"),
        ([*COMPILE, "--max-error", "-1"], "--max-error"),
        ([*COMPILE, "--network", "moon"], "lan, wan or RTT_MS,MBIT"),
        ([*COMPILE, "--network", "20,0"], "bandwidth"),
        ([*COMPILE, "--dump-after", "lunch"], "--dump-after"),
        (["run", "p"], "--input"),
        (["run", "p", "--input", "x.npz", "--sessions", "0"], "--sessions"),
        (["run", "p", "--input", "x.npz", "--timeout", "0"], "--timeout"),
        (["simulate", "p", "--input", "x.npz"], "--output"),
        (["deal", "p"], "--output"),
        (["inspect", "p", "--stage", "fourth"], "--stage"),
        (["cost", "p", "--network", "1"], "RTT_MS,MBIT"),
        ([*COMPILE, "--softmax", "linear"], "MPC-P024"),
        ([*COMPILE, "--gelu", "puma", "--approximate", "gelu=bolt"], "two approximations of gelu"),
        ([*COMPILE, "--correlations", "thin-air"], "dealer or two-party"),
        ([*COMPILE, "--moe", "dense"], "MPC-C001"),
    ],
)
def test_a_wrong_command_line_is_said_and_ends_with_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    screen = capsys.readouterr()
    assert said in screen.err
    assert "Traceback" not in screen.err


@pytest.mark.parametrize(
    ("arguments", "code", "remedy"),
    [
        ([*COMPILE, "--moe", "weights"], "MPC-C002", "--moe outer"),
        ([*COMPILE, "--moe", "weights", "--correlations", "two-party"], "MPC-C002", "--moe outer"),
        ([*COMPILE, "--moe-capacity", "2x"], "MPC-C016", "--moe dispatch"),
        ([*COMPILE, "--moe", "dispatch", "--moe-capacity", "0x"], "MPC-C017", "1.25x:scores"),
        ([*COMPILE, "--calibrate", "none.npz"], "MPC-C020", "numpy.savez"),
        ([*COMPILE, "--ranges", "none"], "MPC-C022", "PROG/ranges.json"),
        (["compile", "none.onnx", "-o", "p"], "MPC-F001", "path"),
        (["run", "none", "--input", "x.npz"], "MPC-R020", "mpcc compile"),
        (["simulate", "none", "--input", "x.npz", "--output", "y.npz"], "MPC-R020", "mpcc compile"),
        (["verify", "none", "--input", "x.npz"], "MPC-R020", "mpcc compile"),
        (["cost", "none"], "MPC-C060", "whole folder"),
        (["audit", "none"], "MPC-R020", "mpcc compile"),
        (["inspect", "none"], "MPC-R020", "mpcc compile"),
        (["deal", "none", "--sessions", "1", "-o", "s"], "MPC-R020", "mpcc compile"),
        (["party", "none"], "MPC-R020", "mpcc compile"),
    ],
)
def test_other_errors_have_a_code_and_a_remedy_and_end_with_1(
    arguments: list[str],
    code: str,
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    screen = capsys.readouterr()
    assert f"error[{code}]" in screen.err
    assert remedy in screen.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("preset", presets())
def test_every_choice_there_is_can_be_given(
    preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--preset", preset, "--softmax", "exact", "--gelu", "series", "--approximate", "tanh=best"]
    arguments = ["compile", str(tmp_path / "none.onnx"), "-o", str(tmp_path / "p"), *chosen]
    assert main([*arguments, "--correlations", "dealer"]) == 1
    assert "MPC-F001" in capsys.readouterr().err  # it came as far as the missing model


def test_what_is_refused_is_listed_all_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    choices = ["--preset", "none", "--softmax", "fast", "--gelu", "tanh", "--approximate", "cosine=series"]
    assert main([*COMPILE, *choices, "--moe", "x"]) == 2
    screen = capsys.readouterr().err
    assert "puma" in screen
    assert screen.count("error[MPC-P024]") == 4
    assert screen.count("error[") == 5


def test_an_unexpected_exception_is_coded_and_tells_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(prog: Path) -> str:
        raise RuntimeError("weight 0.12345")

    monkeypatch.setattr("mpcc.compiler.audit.audit", fail)
    assert main(["audit", "p"]) == 1
    screen = capsys.readouterr().err
    assert "error[MPC-C099]: internal error: RuntimeError" in screen
    assert "MPCC_TRACEBACK=1" in screen
    assert "0.12345" not in screen
    monkeypatch.setenv("MPCC_TRACEBACK", "1")
    assert main(["audit", "p"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_coded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(prog: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("mpcc.compiler.audit.audit", interrupt)
    assert main(["audit", "p"]) == 1
    assert "error[MPC-R041]" in capsys.readouterr().err


def test_a_reader_that_stops_early_is_no_error_message(bert_program: Path) -> None:
    command = [*MODULE, "inspect", str(bert_program), "--stage", "party0"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
