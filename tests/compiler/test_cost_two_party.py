"""What is predicted of a program without a dealer, where it is said, and that preparing it moves as much."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mpcc.compiler.cli import main
from mpcc.runtime.handshake import Limits, Purpose, greet
from mpcc.runtime.prepare import prepared_program, workshop_of
from mpcc.runtime.program_folder import load_party_folder, read_manifest
from mpcc.runtime.store.opening import open_or_create
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.preparation import Preparation, prepare_sessions
from tests.compiler.graphs import build, save, weight
from tests.runtime.two_party.engines import both_parties


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gelu")
    layer = build("(float[2, 8] x) => (float[2, 6] y)", "h = MatMul(x, w) y = Gelu(h)", 20, w=weight(8, 6))
    options = ["-o", str(folder / "program"), "--correlations", "two-party"]
    assert main(["compile", str(save(folder, layer)), *options]) == 0
    return folder / "program"


def test_rounds_to_prepare_are_in_every_summary(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = read_manifest(program)["predicted"]["offline_rounds"]
    assert main(["cost", str(program)]) == 0
    assert f"rounds to prepare {rounds}\n" in capsys.readouterr().out
    assert main(["cost", str(program), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["offline_rounds"] == rounds
    assert main(["inspect", str(program)]) == 0
    assert f"offline      {rounds} rounds, " in capsys.readouterr().out
    assert f"in {rounds} rounds</span>" in (program / "report.html").read_text()


def test_preparing_a_session_moves_what_was_predicted(program: Path, tmp_path: Path) -> None:
    predicted = read_manifest(program)["predicted"]

    def work(party: int, channel: StreamChannel) -> Preparation:
        folder = load_party_folder(program / f"party{party}")
        store = open_or_create(folder, tmp_path / f"store{party}", None)
        workshop = workshop_of(folder, prepared_program(folder), lambda done, total: None)
        assert workshop is not None
        greeting = greet(channel, folder, Limits(60.0), Purpose.PREPARE)
        return prepare_sessions(channel, party, store, workshop, greeting, 1)

    first, second = (result.counters for result in both_parties(work))
    assert {"party0": first.bytes_sent, "party1": second.bytes_sent} == predicted["bytes"]["offline"]
    assert first.rounds == second.rounds == predicted["offline_rounds"]
