"""The party executables: their command line, one session, several sessions, reports, interruption."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jinja2
import numpy as np
import pytest

import mpcc.codegen_templates
from mpcc.runtime.commands.party import main
from tests.runtime.fake_program import INPUT, WEIGHTS, build_program, deal, write_input
from tests.runtime.party_processes import Parties, quiet_port

EXPECTED = INPUT * WEIGHTS.astype(np.int64)


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[Parties]:
    program = build_program(tmp_path / "prog")
    deal(program, 2, tmp_path / "store")
    write_input(tmp_path / "x.npz")
    with Parties(tmp_path, program).running() as started:
        yield started


def test_one_session(parties: Parties, tmp_path: Path) -> None:
    server, port = parties.serve("--report", str(tmp_path / "r0.json"))
    client = parties.ask(port, "--report", str(tmp_path / "r1.json"))
    code, text = client.end()
    assert code == 0, text
    assert "2 rounds, 64 bytes sent, 64 received" in text
    assert server.end()[0] == 0
    with np.load(parties.output) as arrays:
        assert np.array_equal(arrays["y"], EXPECTED)
    reports = [json.loads((tmp_path / f"r{party}.json").read_text()) for party in (0, 1)]
    assert reports[0]["session"] == reports[1]["session"]
    assert reports[0]["online"]["bytes_sent"] == reports[1]["online"]["bytes_received"] == 64


def test_the_client_may_start_first(parties: Parties) -> None:
    with quiet_port() as port:
        client = parties.ask(port)
        server, _ = parties.serve(address=f"127.0.0.1:{port}")
        assert client.end()[0] == 0
        assert server.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_server(parties: Parties, number: signal.Signals) -> None:
    server, _ = parties.serve()
    server.process.send_signal(number)
    assert server.error() == "MPC-R041"


@pytest.mark.parametrize(
    ("party", "arguments"),
    [
        (0, []),
        (0, ["--listen", "nowhere", "--store", "s"]),
        (0, ["--listen", ":99999", "--store", "s"]),
        (0, ["--listen", ":7000", "--store", "s", "--timeout", "0"]),
        (0, ["--listen", ":7000", "--store", "s", "--timeout", "nan"]),
        (0, ["--listen", ":7000", "--store", "s", "--timeout", "1e10"]),
        (0, ["--connect", ":7000", "--store", "s"]),
        (1, ["--listen", ":7000", "--store", "s"]),
        (1, ["--connect", ":7000", "--store", "s", "--input", "x.npz"]),
        (
            1,
            ["--connect", ":7000", "--store", "s", "--input", "x.npz", "--output", "y.npz", "--weights", "w"],
        ),
    ],
)
def test_wrong_command_lines(
    parties: Parties, capfd: pytest.CaptureFixture[str], party: int, arguments: list[str]
) -> None:
    assert main(parties.program / f"party{party}", arguments) == 2
    assert "Usage: " in capfd.readouterr().err


@pytest.mark.parametrize("party", [0, 1])
def test_help(parties: Parties, capfd: pytest.CaptureFixture[str], party: int) -> None:
    assert main(parties.program / f"party{party}", ["--help"]) == 0
    shown = capfd.readouterr().out
    assert "--store" in shown
    assert "--events" not in shown


def test_the_launcher_template(tmp_path: Path) -> None:
    [templates] = mpcc.codegen_templates.__path__
    template = jinja2.Template((Path(templates) / "run.py.j2").read_text(), keep_trailing_newline=True)
    launcher = build_program(tmp_path / "prog") / "party1/run"
    launcher.write_text(template.render(party=1, name="model"))
    shown = subprocess.run([sys.executable, launcher, "--help"], capture_output=True, text=True, check=True)
    assert "Party 1, the client" in shown.stdout
