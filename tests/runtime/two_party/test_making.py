"""What making a session is said to take of a server's memory, and what it takes; how far it is told to be."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mpcc.compiler.driver import Request, compile_model
from mpcc.ir.correlation_source import CorrelationSource
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.correlations import plan
from mpcc.runtime.executor import PreparedProgram
from mpcc.runtime.prepare import workshop_of
from mpcc.runtime.program_folder import load_party_folder
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.two_party.just_in_time import make_session
from mpcc.runtime.two_party.schedule import schedule
from tests.compiler.graphs import build

# Runs a party; at its end it writes by how many bytes the session made it grow, at most.
WATCHED = r"""
import atexit, re, sys
from pathlib import Path
from mpcc.runtime.commands import party
from mpcc.runtime.correlations import plan
from mpcc.runtime.executor import PreparedProgram
folder, peak, *arguments = sys.argv[1:]
make_with = PreparedProgram.make_with

def resident(what):
    return int(re.search(rf"{what}:\s*(\d+)", Path("/proc/self/status").read_text())[1]) << 10

def watched(program, channel):
    program.load_weights()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    atexit.register(lambda: Path(peak).write_text(str(resident("VmHWM") - before)))
    return make_with(program, channel)

PreparedProgram.make_with = watched
sys.exit(party.main(Path(folder), arguments))
"""


@pytest.fixture(scope="module", params=["matrices", "functions"])
def scratch(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    generator = np.random.default_rng(0)
    if request.param == "matrices":
        rows, columns = 64, 512
        weight = generator.standard_normal((columns, 1024), np.float32) / 30
        model = build("(float[64, 512] x) => (float[64, 1024] y)", "y = MatMul(x, w)", w=weight)
    else:
        rows, columns = 128, 256
        added = np.full(columns, 0.1, np.float32)
        body = "a = Add(x, w) b = Tanh(a) y = Tanh(b)"
        model = build("(float[128, 256] x) => (float[128, 256] y)", body, w=added)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    wanted = Request(folder / "model.onnx", folder / "program", correlations=CorrelationSource.TWO_PARTY)
    compile_model(wanted, lambda line: None)
    np.savez(folder / "x.npz", x=generator.standard_normal((rows, columns), np.float32))
    return folder


@pytest.mark.slow
def test_a_session_takes_no_more_than_is_said(scratch: Path) -> None:
    """Nor far less."""
    program, peak = scratch / "program", scratch / "peak"
    command = [sys.executable, "-c", WATCHED, str(program / "party0"), str(peak), "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr
    port = next(line for line in server.stderr if "listening" in line).split()[-1]
    files = ["--input", str(scratch / "x.npz"), "--output", str(scratch / "y.npz")]
    client = [sys.executable, str(program / "party1/run"), "--connect", f"127.0.0.1:{port}"]
    subprocess.run([*client, *files], check=True, timeout=120)
    _, text = server.communicate(timeout=120)
    assert server.returncode == 0, text
    said = PreparedProgram(load_party_folder(program / "party0")).session_bytes
    assert said / 3 < int(peak.read_text()) < said


def test_the_bound_counts_it(scratch: Path) -> None:
    prepared = PreparedProgram(load_party_folder(scratch / "program/party0"))
    said = prepared.session_bytes
    prepared.limit_session(said)
    assert prepared.session_bytes == said
    with pytest.raises(MpccError) as caught:
        prepared.limit_session(said - 1)
    assert caught.value.code == "MPC-R082"
    assert f"needs {said:,} bytes" in caught.value.message


def test_progress_goes_on_within_a_window(scratch: Path) -> None:
    """In bytes that are predicted to the last one."""
    folders = [load_party_folder(scratch / f"program/party{party}") for party in (0, 1)]
    prepared = [PreparedProgram(folder) for folder in folders]
    assert len(list(schedule(plan.correlated(prepared[0]._operations)))) == 1
    told: list[list[tuple[int, int]]] = [[], []]
    channels = channel_pair()

    def one(party: int) -> None:
        def tell(done: int, total: int) -> None:
            told[party].append((done, total))

        workshop = workshop_of(folders[party], prepared[party], tell)
        assert workshop is not None
        make_session(channels[party], workshop, bytes(16)).close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, (0, 1)))
    for party, updates in enumerate(told):
        counters = channels[party].meter.counters["preparation"]
        bytes_ = [done for done, _ in updates]
        assert {total for _, total in updates} == {counters.bytes_sent + counters.bytes_received}
        assert bytes_[-1] == updates[-1][1]
        assert max(np.diff([0, *bytes_])) < updates[-1][1] / 8
        assert bytes_ == sorted(set(bytes_))
