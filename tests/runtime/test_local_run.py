"""`mpcc run`: the dealer and both parties as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime import processes
from mpcc.runtime.events import ScreenEvents
from mpcc.runtime.local_run import run_local
from tests.runtime.fake_program import (
    DEALER_COMMAND,
    INPUT,
    PIECES,
    SIZE,
    WEIGHTS,
    build_program,
    write_input,
)
from tests.runtime.party_processes import BAR, PATIENT

EXPECTED = INPUT * WEIGHTS.astype(np.int64)


def test_the_answer_and_the_report(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program, arrays = build_program(tmp_path / "prog"), write_input(tmp_path / "x.npz")
    output, report_path = tmp_path / "y.npz", tmp_path / "r.json"
    started = time.monotonic()
    run = run_local(
        program,
        arrays,
        ScreenEvents(),
        timeout=PATIENT,
        output_path=output,
        report_path=report_path,
        sessions=2,
        dealer_command=DEALER_COMMAND,
    )
    assert np.array_equal(run.outputs["y"], EXPECTED)
    with np.load(output) as written:
        assert np.array_equal(written["y"], EXPECTED)
    report = json.loads(report_path.read_text())
    assert report == run.report
    assert report["rounds"] == 2
    assert report["predicted"] == {"rounds": 2}
    assert report["error"] == {}
    assert report["bytes"] == {
        "online": {"party0": 8 * SIZE, "party1": 8 * SIZE},
        "offline": {
            "dealer_to_party0": 0,
            "dealer_to_party1": 8 * SIZE,
            "setup_party0_to_party1": 8 * SIZE,
        },
    }
    assert report["seconds"]["offline"] > 0.25
    assert 0 < report["seconds"]["online"] < time.monotonic() - started
    [operation] = report["operations"]
    assert operation["onnx_nodes"] == ["MatMul_0"]
    assert set(operation) == {"name", "kind", "onnx_nodes", "rounds", "bytes", "seconds", "wait_seconds"}
    assert all(10e6 < report["memory"][party] < 10e9 for party in ("party0", "party1"))
    assert all("spans" not in party for party in run.parties)
    screen = capfd.readouterr()
    assert "sees both shares" in screen.err
    assert screen.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prog", "r.json", "x.npz", "y.npz"]


def test_without_a_dealer(tmp_path: Path) -> None:
    """The parties make the correlations of each run; what that took is in the report."""
    program = build_program(tmp_path / "prog", source="two-party")
    dealer = (sys.executable, "-c", "import sys; sys.exit(3)")
    arrays, started = write_input(tmp_path / "x.npz"), time.monotonic()
    run = run_local(program, arrays, ScreenEvents(), timeout=PATIENT, sessions=2, dealer_command=dealer)
    assert np.array_equal(run.outputs["y"], EXPECTED)
    report = run.report
    assert (report["rounds"], report["offline_rounds"]) == (2, 2 * PIECES)
    assert report["bytes"] == {
        phase: {"party0": 8 * SIZE, "party1": 8 * SIZE} for phase in ("online", "offline")
    }
    assert 0 < report["seconds"]["offline"] < time.monotonic() - started
    assert all(10e6 < report["memory"][party] < 10e9 for party in ("party0", "party1"))


@pytest.mark.parametrize(
    ("steps", "code", "who"),
    [
        (("crash", "linear"), "MPC-R042", "party 0"),
        (("linear", "crash"), "MPC-R042", "party 1"),
        (("die", "linear"), "MPC-R040", "party 0"),
        (("linear", "lie"), "MPC-R006", "party 0"),
    ],
)
def test_a_failing_party_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: tuple[str, str], code: str, who: str
) -> None:
    monkeypatch.setattr(
        processes, "GRACE_SECONDS", PATIENT
    )  # the one that fails may be told of after the other
    program, arrays = build_program(tmp_path / "prog", steps), write_input(tmp_path / "x.npz")
    with pytest.raises(MpccError) as caught:
        run_local(
            program,
            arrays,
            ScreenEvents(),
            output_path=tmp_path / "y.npz",
            timeout=PATIENT,
            dealer_command=DEALER_COMMAND,
        )
    assert caught.value.code == code
    assert str(caught.value.where).startswith(who)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prog", "x.npz"]


def test_a_failing_dealer(tmp_path: Path) -> None:
    program, arrays = build_program(tmp_path / "prog"), write_input(tmp_path / "x.npz")
    dealer = (sys.executable, "-c", "import sys; sys.exit(3)")
    with pytest.raises(MpccError, match="exit code 3") as caught:
        run_local(program, arrays, ScreenEvents(), dealer_command=dealer)
    assert (caught.value.code, caught.value.where) == ("MPC-R040", "dealer")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_run(tmp_path: Path, number: signal.Signals) -> None:
    program, arrays = build_program(tmp_path / "prog", ("hang", "hang")), write_input(tmp_path / "x.npz")
    script = f"""
import signal
from pathlib import Path
from mpcc.runtime import processes
from mpcc.runtime.events import ScreenEvents
from mpcc.runtime.local_run import run_local
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
run_local(Path({str(program)!r}), Path({str(arrays)!r}), ScreenEvents(), dealer_command={DEALER_COMMAND!r})
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # a killed run leaves its temporary store there
    run = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL, env=environment)
    _wait_until(lambda: len(_processes_of(program)) == 2)
    run.send_signal(number)
    run.wait(BAR)
    _wait_until(lambda: not _processes_of(program))
    assert bool(list(tmp_path.glob("mpcc-run-*"))) == (number == signal.SIGKILL)


def _processes_of(program: Path) -> list[int]:
    """Processes that run a party of this program (Linux only, like the tests' machine)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            found += [int(entry.name)] * any(
                part.startswith(os.fsencode(program / "party")) for part in command
            )
    return found


def _wait_until(condition: object, seconds: float = BAR) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
