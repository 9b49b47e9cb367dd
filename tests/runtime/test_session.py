"""Handshake, choice of session and orderly ends, with both parties in one process."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime import session as session_module
from mpcc.runtime.arrays_file import Arrays
from mpcc.runtime.handshake import Limits
from mpcc.runtime.program_folder import PartyFolder, load_party_folder
from mpcc.runtime.session import ExecutionResult, SessionResult, run_session
from mpcc.runtime.store.bulk import session_path
from mpcc.runtime.store.store import Session, Store
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.transport.in_process import channel_pair
from tests.runtime.fake_program import INPUT, SECRET, WEIGHTS, build_program, deal, execute
from tests.runtime.party_processes import BAR, BRIEF, PATIENT
from tests.support import flip


class TwoParties:
    """Both folders and both stores of one program, and a way to run a session between them."""

    def __init__(self, path: Path, sessions: int = 2, steps: tuple[str, str] = ("linear", "linear")) -> None:
        program = build_program(path / "prog", steps)
        deal(program, sessions, path / "store")
        self.path = path
        self.folders = [load_party_folder(program / f"party{party}") for party in (0, 1)]

    def store(self, party: int) -> Store:
        folder = self.folders[party]
        return Store(self.path / f"store/party{party}", party, folder.program_hash, folder.weights_sha256)

    def run(
        self, executor: Callable[..., ExecutionResult] = execute, patience: float = PATIENT
    ) -> tuple[SessionResult | MpccError, SessionResult | MpccError]:
        """What each party's session returned or raised."""
        channels = channel_pair(PATIENT)

        def one(party: int) -> SessionResult | MpccError:
            inputs = {"x": INPUT} if party == 1 else None
            try:
                folder = self.folders[party]
                bound = partial(executor, folder)
                limits = Limits(patience)
                return run_session(folder, channels[party], self.store(party), bound, inputs, _ignore, limits)
            except MpccError as error:
                return error

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(one, (0, 1))
        return first, second

    def codes(
        self, executor: Callable[..., ExecutionResult] = execute, patience: float = PATIENT
    ) -> tuple[str, str]:
        first, second = self.run(executor, patience)
        assert isinstance(first, MpccError)
        assert isinstance(second, MpccError)
        return first.code, second.code


def _ignore(done: int, total: int) -> None:
    pass


def test_a_session_gives_the_client_its_answer(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path)
    server, client = parties.run()
    assert isinstance(server, SessionResult)
    assert isinstance(client, SessionResult)
    assert np.array_equal(client.outputs["y"], INPUT * WEIGHTS.astype(np.int64))
    assert server.outputs == {}
    assert server.session_id == client.session_id
    assert (server.online.rounds, client.online.rounds) == (2, 2)
    assert server.online.bytes_sent == client.online.bytes_received == 64
    assert server.setup.bytes_sent == client.setup.bytes_received == 64


def test_a_failed_session_is_used_up(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path, sessions=2, steps=("crash", "linear"))
    before = parties.store(0).unused(10)
    assert parties.codes() == ("MPC-R042", "MPC-R008")
    assert parties.store(0).unused(10) == parties.store(1).unused(10) == before[1:]


def test_damaged_corrections_fail_both(tmp_path: Path) -> None:
    """Found when they are read: party 0 has sent its weights by then. Nothing of the session is left."""
    parties = TwoParties(tmp_path)
    before = parties.store(1).unused(10)
    file = session_path(tmp_path / "store/party1", before[0])
    flip(file, 20)
    assert parties.codes() == ("MPC-R008", "MPC-S008")
    assert parties.store(0).unused(10) == parties.store(1).unused(10) == before[1:]
    assert not file.exists()


def test_different_programs(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path)
    other = build_program(tmp_path / "other", ("linear", "linear linear"))
    deal(other, 1, tmp_path / "store1")
    parties.folders[1] = load_party_folder(other / "party1")
    (tmp_path / "store/party1").rename(tmp_path / "unused")
    (tmp_path / "store1/party1").rename(tmp_path / "store/party1")
    assert parties.codes() == ("MPC-R011", "MPC-R011")


@pytest.mark.parametrize("party", [0, 1])
def test_an_internal_error_tells_no_secret(tmp_path: Path, party: int) -> None:
    steps = ("crash", "linear") if party == 0 else ("linear", "crash")
    parties = TwoParties(tmp_path, steps=steps)
    outcomes = parties.run()
    for outcome in outcomes:
        assert isinstance(outcome, MpccError)
        assert SECRET not in outcome.render()
    failed, told = outcomes[party], outcomes[1 - party]
    assert isinstance(failed, MpccError)
    assert isinstance(told, MpccError)
    assert (failed.code, told.code) == ("MPC-R042", "MPC-R008")
    assert "RuntimeError" in failed.message
    assert "MPC-R042" in told.message


def test_a_coded_error_of_the_execution_reaches_the_other_party(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path)

    def refuse(
        folder: PartyFolder,
        channel: Channel,
        session: Session,
        inputs: Arrays | None,
        progress: Callable[[int, int], None],
    ) -> session_module.ExecutionResult:
        if folder.party == 0:
            raise MpccError("MPC-R021", "not this program")
        return execute(folder, channel, session, inputs, progress)

    assert parties.codes(refuse) == ("MPC-R021", "MPC-R008")


def test_a_lying_peer_fails_both(tmp_path: Path) -> None:
    parties = TwoParties(tmp_path, steps=("linear", "lie"))
    assert parties.codes() == ("MPC-R006", "MPC-R008")


def test_a_slow_peer_fails_both_in_time(tmp_path: Path) -> None:
    parties, given_up = TwoParties(tmp_path), threading.Event()

    def dawdle(
        folder: PartyFolder,
        channel: Channel,
        session: Session,
        inputs: Arrays | None,
        progress: Callable[[int, int], None],
    ) -> session_module.ExecutionResult:
        if folder.party == 0:
            assert given_up.wait(PATIENT)
        try:
            return execute(folder, channel, session, inputs, progress)
        finally:
            given_up.set()

    started = time.monotonic()
    server, client = parties.codes(dawdle, patience=BRIEF)
    assert client == "MPC-R005"
    assert server in {"MPC-R004", "MPC-R008"}
    assert time.monotonic() - started < BAR


def test_weights_of_another_version_are_refused(tmp_path: Path) -> None:
    """One mask B under two weight sets would give party 1 their difference."""
    parties = TwoParties(tmp_path)
    other = build_program(tmp_path / "other", weights=WEIGHTS + np.uint64(1))
    folder = load_party_folder(other / "party0")
    assert folder.program_hash == parties.folders[0].program_hash
    parties.folders[0] = dataclasses.replace(folder)
    with pytest.raises(MpccError) as caught:
        parties.store(0)
    assert caught.value.code == "MPC-S004"
