"""What the dealer and the parties have resident for a large layer: pieces of its weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from mpcc.compiler.driver import Request, compile_model
from mpcc.runtime import dealer_main
from tests.compiler.graphs import build

ROWS, COLUMNS = 10240, 3072  # 120 MiB at 32 bits each, 240 at 64
# Runs a program; at its end it writes the most memory that it ever had resident, in MiB.
WATCHED = r"""
import atexit, re, runpy, sys
from pathlib import Path
peak, program, *sys.argv[1:] = sys.argv[1:]
status = Path("/proc/self/status")
atexit.register(
    lambda: Path(peak).write_text(str(int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) // 2**10))
)
runpy.run_path(program, run_name="__main__")
"""
DEALER = Path(dealer_main.__file__)


def start(peak: Path, program: Path, *options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WATCHED, str(peak), str(program), *map(str, options)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> None:
    _, text = process.communicate(timeout=60)
    assert process.returncode == 0, text


def test_no_process_holds_a_weight_at_64_bits(tmp_path: Path) -> None:
    """The third bound is of a session that sends F, the fourth of one for which party 1 has kept it."""
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((ROWS, COLUMNS), dtype=np.float32) / 100
    model = build(f"(float[2, {ROWS}] x) => (float[2, {COLUMNS}] y)", "y = MatMul(x, w)", w=weight)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    np.savez(tmp_path / "x.npz", x=generator.standard_normal((2, ROWS), dtype=np.float32))
    program, store = tmp_path / "program", tmp_path / "store"
    compile_model(Request(tmp_path / "model.onnx", program), lambda line: None)
    end(start(tmp_path / "dealer", DEALER, program, "-o", store, "--sessions", 2))
    for number in (1, 2):
        options = ("--store", store / "party0", "--listen", "127.0.0.1:0")
        server = start(tmp_path / "party0", program / "party0/run", *options)
        assert server.stderr
        port = next(line for line in server.stderr if "listening" in line).split()[-1]
        arrays = ("--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz")
        options = ("--store", store / "party1", "--connect", f"127.0.0.1:{port}")
        end(start(tmp_path / f"party1-{number}", program / "party1/run", *options, *arrays))
        end(server)
    with np.load(tmp_path / "x.npz") as x, np.load(tmp_path / "y.npz") as y:
        assert np.abs(y["y"] - x["x"] @ weight).max() < 0.01
    names = ("dealer", "party0", "party1-1", "party1-2")
    peaks = {name: int((tmp_path / name).read_text()) for name in names}
    assert peaks["dealer"] < 200
    assert peaks["party0"] < 420  # the integers at 32 bits; the file, mapped while they are made
    assert peaks["party1-1"] < 220
    assert peaks["party1-2"] < 220
