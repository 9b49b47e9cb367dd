"""mpcc.connect: shaped like onnxruntime's InferenceSession, on a compiled program through `mpcc serve`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import mpcc
from mpcc.compiler.driver import Request, compile_model
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.client import InferenceSession
from mpcc.runtime.dealing.offline import deal_sessions
from tests.compiler.graphs import build
from tests.runtime.party_processes import BAR

ROWS = 4


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two inputs and two outputs."""
    folder = tmp_path_factory.mktemp("client")
    weight = np.random.default_rng(0).standard_normal((16, 8), np.float32)
    model = build(
        f"(float[{ROWS}, 16] x, float[{ROWS}, 8] b) => (float[{ROWS}, 8] y, float[{ROWS}, 8] z)",
        "y = MatMul(x, w) s = Add(y, b) z = Tanh(s)",
        w=weight,
    )
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    compile_model(Request(folder / "model.onnx", folder / "program"), lambda line: None)
    return folder


@pytest.fixture(scope="module")
def address(program: Path, certificates: Path) -> Iterator[str]:
    """Of a server with 12 sessions."""
    deal_sessions(program / "program", 12, program / "store", lambda done, total: None)
    command = [sys.executable, "-m", "mpcc.compiler.cli", "serve", str(program / "program/party0")]
    store = ["--store", str(program / "store/party0"), "--tls", str(certificates / "party0")]
    process = subprocess.Popen(
        [*command, *store, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr
        yield f"localhost:{json.loads(process.stderr.readline())['port']}"
        process.terminate()
        _, text = process.communicate(timeout=BAR)
        assert process.returncode == 0, text
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def session(program: Path, address: str, certificates: Path) -> Iterator[InferenceSession]:
    with mpcc.connect(
        address, program / "program/party1", program / "store/party1", tls=certificates / "party1"
    ) as opened:
        yield opened


def feed(number: int = 1) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(number)
    return {
        "x": generator.standard_normal((ROWS, 16)).astype(np.float32) / 4,
        "b": generator.standard_normal((ROWS, 8)).astype(np.float32) / 4,
    }


def test_it_answers_as_onnxruntime_does(program: Path, session: InferenceSession) -> None:
    plain = onnxruntime.InferenceSession(str(program / "model.onnx"), providers=["CPUExecutionProvider"])
    for of_mpcc, of_onnxruntime in (
        (session.get_inputs(), plain.get_inputs()),
        (session.get_outputs(), plain.get_outputs()),
    ):
        described = [(node.name, node.shape, node.type) for node in of_mpcc]
        assert described == [(node.name, node.shape, node.type) for node in of_onnxruntime]
    for names in (None, ["z", "y"], ["z"]):
        answer, expected = session.run(names, feed()), plain.run(names, feed())
        assert [array.dtype for array in answer] == [array.dtype for array in expected]
        for got, wanted in zip(answer, expected, strict=True):
            assert np.abs(got - wanted).max() < 0.01
    report = session.last_report
    assert report["online"]["rounds"] > 0
    assert report["online"]["bytes_sent"] > 0


def test_threads_share_it(program: Path, session: InferenceSession) -> None:
    plain = onnxruntime.InferenceSession(str(program / "model.onnx"), providers=["CPUExecutionProvider"])
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda number: session.run(["z"], feed(number)), range(4))
        for number, (z,) in enumerate(answers):
            assert np.abs(z - plain.run(["z"], feed(number))[0]).max() < 0.01


@pytest.mark.parametrize(
    ("names", "change", "code"),
    [
        (["q"], {}, "MPC-R038"),
        (None, {"b": None}, "MPC-R031"),
        (None, {"c": np.zeros(1)}, "MPC-R032"),
        (None, {"b": np.zeros((ROWS, 7), np.float32)}, "MPC-R033"),
        (None, {"b": np.zeros((ROWS, 8))}, "MPC-R034"),
        (None, {"b": np.full((ROWS, 8), np.nan, np.float32)}, "MPC-R035"),
        (None, {"b": np.full((ROWS, 8), 1e9, np.float32)}, "MPC-R044"),
    ],
)
def test_what_is_wrong_costs_no_session(
    session: InferenceSession, names: list[str] | None, change: dict[str, np.ndarray | None], code: str
) -> None:
    before = session._store.count_unused()
    given = {name: array for name, array in {**feed(), **change}.items() if array is not None}
    with pytest.raises(MpccError) as caught:
        session.run(names, given)
    assert caught.value.code == code
    assert session._store.count_unused() == before


def test_the_command_line_answers_the_same(
    program: Path, address: str, certificates: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", **feed())  # type: ignore[arg-type]
    command = [sys.executable, "-m", "mpcc.compiler.cli", "infer", str(program / "program/party1")]
    store = ["--store", str(program / "store/party1"), "--tls", str(certificates / "party1")]
    files = ["--input", "x.npz", "--output", "y.npz", "--report", "r.json"]
    run = subprocess.run(
        [*command, *store, *files, "--connect", address],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split(":")[0] for line in run.stdout.splitlines()] == ["y float32[4, 8]", "z float32[4, 8]"]
    assert "rounds" in run.stderr
    assert json.loads((tmp_path / "r.json").read_text())["party"] == 1
    with np.load(tmp_path / "y.npz") as arrays:
        assert set(arrays.files) == {"y", "z"}


def test_wrong_arguments(program: Path, address: str, tmp_path: Path) -> None:
    folder = program / "program"
    for arguments, code in (
        ((folder, program / "store/party1"), "MPC-R021"),
        ((folder / "party0", program / "store/party1"), "MPC-R085"),
        ((folder / "party1", tmp_path), "MPC-S001"),
        ((folder / "party1", program / "store/party0"), "MPC-S005"),
    ):
        with pytest.raises(MpccError) as caught:
            mpcc.connect(address, *arguments)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("address", "times"),
    [
        ("server", {}),
        (":7000", {"timeout": 0.0}),
        (":7000", {"timeout": float("nan")}),
        (":7000", {"timeout": 1e10}),
        (":7000", {"session": -1.0}),
    ],
)
def test_no_address_and_no_time(program: Path, address: str, times: dict[str, float]) -> None:
    folders = program / "program/party1", program / "store/party1"
    with pytest.raises(ValueError, match=r"HOST:PORT|seconds"):
        mpcc.connect(
            address, *folders, timeout=times.get("timeout", 1.0), session_seconds=times.get("session", 1.0)
        )


def test_low_water_above_high_water(program: Path, tmp_path: Path) -> None:
    with pytest.raises(mpcc.MpccError) as caught:
        mpcc.connect(
            ":7000", program / "program/party1", tmp_path / "s", dealer=":7100", low_water=4, high_water=4
        )
    assert caught.value.code == "MPC-R072"
    assert not (tmp_path / "s").exists()


def test_closed_while_another_thread_runs(session: InferenceSession) -> None:
    with ThreadPoolExecutor(1) as pool, session._using_store() as store:
        pool.submit(session.close).result(BAR)
        assert store.count_unused() >= 0
    with pytest.raises(ValueError, match="closed"):
        session.run(None, feed())
    session.close()


def test_importing_mpcc_is_light() -> None:
    script = "import sys, mpcc; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
    with pytest.raises(AttributeError):
        _ = mpcc.nothing  # type: ignore[attr-defined]
    assert set(mpcc.__all__) <= set(dir(mpcc))
