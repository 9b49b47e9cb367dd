"""The bad-input bar on a compiled program with the real interpreter: damage, and parties killed midway."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.correlations import plan
from mpcc.runtime.dealing.offline import deal_sessions
from mpcc.runtime.program_folder import load_party_folder, load_program_folder
from mpcc.runtime.store.bulk import session_path
from mpcc.runtime.store.pieces import TRAILER_BYTES
from mpcc.runtime.store.store import Store
from tests.runtime.party_processes import BRIEF, Parties
from tests.runtime.test_bad_input import wait_until_taken
from tests.support import flip

# Runs a party that waits for a file between set-up and its online phase.
HELD = """
import runpy, sys, time
from pathlib import Path
from mpcc.runtime.transport.stream import StreamChannel
may_go_on, program, *sys.argv[1:] = sys.argv[1:]
synchronise = StreamChannel.synchronise
def held(channel):
    while not Path(may_go_on).exists():
        time.sleep(0.01)
    synchronise(channel)
StreamChannel.synchronise = held
runpy.run_path(program, run_name="__main__")
"""
DIGITS = Path(__file__).parents[2] / "examples/digits"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("compiled") / "prog"
    calibration = str(DIGITS / "digits_calibration.npz")
    command = [sys.executable, "-m", "mpcc.compiler.cli", "compile", str(DIGITS / "digits.onnx")]
    subprocess.run([*command, "--calibrate", calibration, "-o", str(program)], check=True)
    return program


@pytest.fixture
def program(compiled: Path, tmp_path: Path) -> Path:
    return shutil.copytree(compiled, tmp_path / "prog")


@pytest.mark.parametrize("party", [0, 1])
def test_every_file_of_a_party_is_checked(program: Path, party: int) -> None:
    folder = program / f"party{party}"
    load_party_folder(folder)
    for file in sorted(folder.iterdir()):
        intact = file.read_bytes()
        middle = len(intact) // 2
        flipped = intact[:middle] + bytes([intact[middle] ^ 1]) + intact[middle + 1 :]
        for damaged in (flipped, intact[:middle]):
            file.write_bytes(damaged)
            with pytest.raises(MpccError) as caught:
                load_party_folder(folder)
            assert caught.value.code == ("MPC-R021" if file.name == "manifest.json" else "MPC-R023"), (
                file.name
            )
        file.write_bytes(intact)


def test_what_the_dealer_reads_is_checked(program: Path) -> None:
    os.truncate(program / "correlations.json", 100)
    with pytest.raises(MpccError) as caught:
        load_program_folder(program)
    assert caught.value.code == "MPC-R023"


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, "MPC-R004"), (signal.SIGTERM, "MPC-R008"), (signal.SIGSTOP, "MPC-R005")],
)
def test_a_party_ends_or_stops_in_mid_run(
    program: Path, tmp_path: Path, victim: int, number: signal.Signals, code: str
) -> None:
    deal_sessions(program, 1, tmp_path / "store", lambda done, total: None)
    shutil.copy(DIGITS / "sample.npz", tmp_path / "x.npz")
    may_go_on = tmp_path / "may go on"
    with Parties(tmp_path, program, ("-c", HELD, str(may_go_on))).running() as parties:
        server, port = parties.serve()
        both = (server, parties.ask(port, "--timeout", str(BRIEF)))
        wait_until_taken(tmp_path)
        process = both[victim].process
        process.send_signal(number)
        if number == signal.SIGSTOP:
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        may_go_on.touch()
        assert both[1 - victim].error() == code
    assert not parties.output.exists()
    for party in (0, 1):
        folder = load_party_folder(program / f"party{party}")
        store = Store(tmp_path / f"store/party{party}", party, folder.program_hash, folder.weights_sha256)
        assert store.count_unused() == 0
        store.close()
    assert list(tmp_path.rglob("*.partial")) == []


@pytest.mark.parametrize("last", [False, True])
def test_corrections_damaged_in_mid_run(program: Path, tmp_path: Path, last: bool) -> None:
    """Both sides end with a coded error, in set-up or at the very end, and the next session works."""
    deal_sessions(program, 2, tmp_path / "store", lambda done, total: None)
    shutil.copy(DIGITS / "sample.npz", tmp_path / "x.npz")
    folder = load_party_folder(program / "party1")
    with contextlib.closing(Store(tmp_path / "store/party1", 1, folder.program_hash)) as store:
        file = session_path(tmp_path / "store/party1", store.unused(1)[0])
    payload = plan.offsets(plan.from_json((program / "correlations.json").read_text()))[1]
    pieces = (file.stat().st_size - payload - TRAILER_BYTES - 16 - 32) // (32 + 8)  # digest, length
    flip(file, payload + 32 * (pieces - 1) - 1 if last else 0)
    with Parties(tmp_path, program).running() as parties:
        server, port = parties.serve()
        client = parties.ask(port)
        assert (server.error(), client.error()) == ("MPC-R008", "MPC-S008")
        assert not parties.output.exists()
        assert not file.exists()
        server, port = parties.serve()
        assert parties.ask(port).end()[0] == server.end()[0] == 0


def test_an_answer_from_the_two_executables(program: Path, tmp_path: Path) -> None:
    deal_sessions(program, 1, tmp_path / "store", lambda done, total: None)
    shutil.copy(DIGITS / "sample.npz", tmp_path / "x.npz")
    with Parties(tmp_path, program).running() as parties:
        server, port = parties.serve()
        assert parties.ask(port).end()[0] == 0
        assert server.end()[0] == 0
    with np.load(parties.output) as arrays:
        assert {name: array.shape for name, array in arrays.items()} == {"logits": (1, 10)}
