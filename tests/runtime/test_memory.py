"""What the dealer and the parties have resident: pieces of a large weight, correlations of a few layers."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx

from mpcc.compiler.driver import Request, compile_model
from mpcc.runtime.commands import deal
from mpcc.runtime.correlations import plan
from tests.compiler.graphs import build
from tests.runtime.party_processes import BAR, PATIENT

FEW, MANY, LAYER = 4, 16, "128, 1024"
ROWS, COLUMNS = 10240, 3072  # 120 MiB at 32 bits each, 240 at 64
BUDGET = 1 << 25  # bytes of correlations expanded ahead, so that few layers use it up
# Runs a program; at its end it writes the most memory that it ever had resident, in MiB.
WATCHED = rf"""
import atexit, re, runpy, sys
from pathlib import Path
from mpcc.runtime import executor
executor.BUDGET_BYTES = {BUDGET}
peak, program, *sys.argv[1:] = sys.argv[1:]
status = Path("/proc/self/status")
atexit.register(
    lambda: Path(peak).write_text(str(int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) // 2**10))
)
runpy.run_path(program, run_name="__main__")
"""
DEALER = Path(deal.__file__)


def start(peak: Path, program: Path, *options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WATCHED, str(peak), str(program), *map(str, options)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> None:
    _, text = process.communicate(timeout=BAR)
    assert process.returncode == 0, text


def peaks(folder: Path, sessions: int = 1) -> dict[str, int]:
    """MiB of the dealer and both parties on folder/program and folder/x.npz, session by session."""
    program, store = folder / "program", folder / "store"
    end(start(folder / "dealer", DEALER, program, "-o", store, "--sessions", sessions))
    names = ["dealer"]
    for number in range(1, sessions + 1):
        options = ("--store", store / "party0", "--listen", "127.0.0.1:0", "--timeout", PATIENT)
        server = start(folder / f"party0-{number}", program / "party0/run", *options)
        assert server.stderr
        port = next(line for line in server.stderr if "listening" in line).split()[-1]
        arrays = ("--input", folder / "x.npz", "--output", folder / "y.npz")
        options = ("--store", store / "party1", "--connect", f"127.0.0.1:{port}", "--timeout", PATIENT)
        end(start(folder / f"party1-{number}", program / "party1/run", *options, *arrays))
        end(server)
        names += [f"party0-{number}", f"party1-{number}"]
    return {name: int((folder / name).read_text()) for name in names}


def compiled(folder: Path, model: onnx.ModelProto) -> Path:
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    compile_model(Request(folder / "model.onnx", folder / "program"), lambda line: None)
    return folder


def test_no_process_holds_a_weight_at_64_bits(tmp_path: Path) -> None:
    """The third bound is of a session that sends F, the fourth of one for which party 1 has kept it."""
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((ROWS, COLUMNS), dtype=np.float32) / 100
    model = build(f"(float[2, {ROWS}] x) => (float[2, {COLUMNS}] y)", "y = MatMul(x, w)", w=weight)
    np.savez(tmp_path / "x.npz", x=generator.standard_normal((2, ROWS), dtype=np.float32))
    found = peaks(compiled(tmp_path, model), sessions=2)
    with np.load(tmp_path / "x.npz") as x, np.load(tmp_path / "y.npz") as y:
        assert np.abs(y["y"] - x["x"] @ weight).max() < 0.01
    assert found["dealer"] < 200
    assert found["party0-1"] < 420  # the integers at 32 bits; the file, mapped while they are made
    assert found["party1-1"] < 220
    assert found["party1-2"] < 220


def test_memory_does_not_grow_with_layers(tmp_path: Path) -> None:
    """Every layer draws as many correlations; a process holds those of a few at a time. Party 0 expands as
    many bytes of its seed as party 1 reads and expands.
    """
    found, dealt = {}, {}
    for layers in FEW, MANY:
        folder = tmp_path / str(layers)
        folder.mkdir()
        names = ["h", *(f"h{i}" for i in range(1, layers)), "y"]
        body = [f"a{y} = Mul({x}, h) b{y} = Add(a{y}, h) {y} = Tanh(b{y})" for x, y in pairwise(names)]
        signature = f"(float[{LAYER}] x) => (float[{LAYER}] y)"
        model = build(signature, "h = Add(x, w) " + " ".join(body), w=np.full(1024, 0.3, np.float32))
        np.savez(folder / "x.npz", x=np.random.default_rng(0).standard_normal((128, 1024), np.float32))
        operations = plan.from_json((compiled(folder, model) / "program/correlations.json").read_text())
        dealt[layers] = plan.offsets(operations)[1] >> 20
        found[layers] = peaks(folder)
    more = MANY - FEW
    assert dealt[MANY] - dealt[FEW] > 14 * more  # and the parties expand more than twice as much
    assert dealt[FEW] > BUDGET >> 20
    for name, most in found[MANY].items():
        assert most < found[FEW][name] + 5 * more, name
