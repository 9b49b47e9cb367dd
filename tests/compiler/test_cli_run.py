"""The whole way through the command line, each step its own process where a user would have one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.cli import main
from tests.compiler.compiled import MODELS

BAR = 0.01


def expected() -> np.ndarray:
    with np.load(MODELS / "bert.legacy17.npz") as archive:
        return np.asarray(archive["out_logits"])


def read(path: Path) -> np.ndarray:
    with np.load(path) as archive:
        assert archive.files == ["logits"]
        return np.asarray(archive["logits"])


def test_run_answers_and_reports(
    bert_program: Path, bert_input: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, report_path = tmp_path / "y.npz", tmp_path / "r.json"
    files = ["--input", str(bert_input), "--output", str(output), "--report", str(report_path)]
    assert main(["run", str(bert_program), *files, "--sessions", "2"]) == 0
    screen = capsys.readouterr()
    assert np.abs(read(output) - expected()).max() <= BAR
    report = json.loads(report_path.read_text())
    assert (report["rounds"], report["bytes"]) == (
        report["predicted"]["rounds"],
        report["predicted"]["bytes"],
    )
    assert "logits float32[1, 3]: " in screen.out
    assert f"online: {report['rounds']} rounds" in screen.out
    assert "sees both shares" in screen.err


def test_a_profile_shows_where_the_time_went(
    bert_program: Path, bert_input: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, report_path = tmp_path / "page.html", tmp_path / "r.json"
    files = ["--input", str(bert_input), "--profile", str(page), "--report", str(report_path)]
    assert main(["run", str(bert_program), *files, "--sessions", "2"]) == 0
    report, shown = json.loads(report_path.read_text()), capsys.readouterr().out
    assert "| layer.1 " in shown
    assert "| less_than " in shown
    assert "Bound by " in shown
    data = json.loads(page.read_text().split('id="data">')[1].split("</script>")[0])
    for index, party in enumerate(data["parties"]):
        assert party["start"] == sorted(party["start"])
        moved = dict.fromkeys(data["activities"], 0)
        for activity, size in zip(party["activity"], party["bytes"], strict=True):
            moved[data["activities"][activity]] += size
        online = report["bytes"]["online"]
        assert moved["send"] == online[f"party{index}"]
        assert moved["wait"] == online[f"party{1 - index}"]
        assert moved["compute"] == moved["correlations"] == 0
        assert len({tick for tick in party["tick"] if tick >= 0}) == report["rounds"]
    # the phase, as the channel's meter timed it, has little before the first span and after the last
    seconds = max(party["end"] for party in data["parties"]) / 1e6
    assert 0.5 * report["seconds"]["online"] < seconds <= report["seconds"]["online"]


def test_an_unwritable_profile_is_refused_before_anything_runs(
    bert_program: Path, bert_input: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--input", str(bert_input), "--profile", str(tmp_path / "nowhere" / "page.html")]
    assert main(["run", str(bert_program), *files]) == 1
    err = capsys.readouterr().err
    assert "error[MPC-R037]" in err
    assert "demonstration" not in err


def test_simulate_answers(
    bert_program: Path, bert_input: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "y.npz"
    assert main(["simulate", str(bert_program), "--input", str(bert_input), "--output", str(output)]) == 0
    assert np.abs(read(output) - expected()).max() <= BAR
    assert "logits float32[1, 3]: " in capsys.readouterr().out


def test_simulate_refuses_bad_input_and_writes_nothing(
    bert_program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "x.npz", input_ids=np.full((1, 16), 1000), attention_mask=np.ones((1, 16), np.int64))
    arguments = ["--input", str(tmp_path / "x.npz"), "--output", str(tmp_path / "y.npz")]
    assert main(["simulate", str(bert_program), *arguments]) == 1
    assert "error[MPC-R036]" in capsys.readouterr().err
    assert not (tmp_path / "y.npz").exists()


def command(*parts: str | Path) -> list[str]:
    return [sys.executable, "-m", "mpcc.compiler.cli", *map(str, parts)]


def test_dealer_and_parties_as_a_user_starts_them(
    bert_program: Path, bert_input: Path, tmp_path: Path
) -> None:
    """With stores that are encrypted, each with its party's key."""
    store, output, keys = tmp_path / "store", tmp_path / "y.npz", [tmp_path / "key0", tmp_path / "key1"]
    for key in keys:
        subprocess.run(command("store-key", "-o", key), check=True)
    sealed = ("--store-key0", keys[0], "--store-key1", keys[1])
    subprocess.run(command("deal", bert_program, "--sessions", "1", "-o", store, *sealed), check=True)
    options = ("--store", store / "party0", "--store-key", keys[0], "--timeout", "120")
    serve = command("party", bert_program / "party0", "--listen", "127.0.0.1:0", *options)
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = f"127.0.0.1:{server.stderr.readline().split()[-1]}"
        own = ("--store", store / "party1", "--store-key", keys[1])
        files = (*own, "--input", bert_input, "--output", output)
        ask = command("party", bert_program / "party1", "--connect", address, *files)
        client = subprocess.run(ask, capture_output=True, text=True, check=False)
        server.communicate()
    assert (client.returncode, server.returncode) == (0, 0), client.stderr
    assert np.abs(read(output) - expected()).max() <= BAR


def test_the_parties_help_is_their_own(bert_program: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["party", str(bert_program / "party0"), "--help"]) == 0
    assert "--listen" in capfd.readouterr().out
    assert main(["party", str(bert_program / "party1"), "--listen", ":1"]) == 2
    assert "--listen" in capfd.readouterr().err


def test_the_demo_shows_both_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert "secure answer 7, onnxruntime's 7" in out
    assert "rounds and bytes are exactly what the compiler predicted" in out
    error = float(out.split("largest error ")[1].split()[0])
    assert 0 < error <= BAR
