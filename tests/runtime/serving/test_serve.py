"""`mpcc serve` as a process, with many clients over TLS: right answers, limits, refusals, orderly ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime import client
from mpcc.runtime.session import run_session
from mpcc.runtime.transport.channel_errors import PeerError
from mpcc.runtime.transport.tcp import connect
from mpcc.runtime.transport.tls import Role
from tests.runtime.fake_program import INPUT, FakeProgram
from tests.runtime.serving.served import BAR, EXPECTED, ROOT, SILENT_SECONDS, Held, Served, ask


class Running:
    """A client whose session has begun, and ends when it is let go on."""

    def __init__(self, served: Served, pool: ThreadPoolExecutor) -> None:
        self._programs: list[Held] = []
        client = served.client(self._prepare)
        self.answer: Future[np.ndarray] = pool.submit(ask, client)
        assert self._programs[0].begun.wait(BAR)

    def _prepare(self, folder: object) -> Held:
        self._programs.append(Held(folder))  # type: ignore[arg-type]
        return self._programs[0]

    def go_on(self) -> None:
        self._programs[0].may_go_on.set()


def code_of(future: Future[np.ndarray]) -> str:
    """What the other party said, else this one's own error."""
    with pytest.raises(MpccError) as caught:
        future.result(BAR)
    return caught.value.peer_code if isinstance(caught.value, PeerError) else caught.value.code


def test_concurrent_clients_get_right_answers(served: Served) -> None:
    served.start("--sessions", "8")
    client = served.client()
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(ask, [client] * 8):
            assert np.array_equal(answer, EXPECTED)
    served.wait_for("session ended", count=8)  # a client is done before it
    assert served.metric('mpcc_sessions_total{code="",outcome="completed"}') == 8
    assert served.metric('mpcc_bytes_total{direction="received",phase="online"}') == 8 * 64
    assert served.metric('mpcc_rounds_total{phase="online"}') == 8 * 2
    assert served.metric("mpcc_session_seconds_count") == 8
    assert served.metric("mpcc_correlations_unused") == 0
    assert served.status("/healthz") == (503, "every session of the store has been used\n")
    ended = [entry for entry in served.log() if entry["event"] == "session ended"]
    assert len({entry["session"] for entry in ended}) == 8
    for entry in ended:
        assert entry["client"] == "mpcc party1"
        assert (entry["bytes_sent"], entry["bytes_received"], entry["rounds"]) == (128, 64, 3)


def test_a_client_that_is_too_many_asks_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.start("--sessions", "1", "--queue", "0")
    with ThreadPoolExecutor(2) as pool:
        first = Running(served, pool)
        with monkeypatch.context() as patch:
            patch.setattr(client, "_FIRST_PAUSE", 2 * BAR)  # it would ask again when its time is over
            with pytest.raises(MpccError) as caught:
                ask(served.client())
        assert caught.value.code == "MPC-R080"
        second = pool.submit(ask, served.client())
        served.wait_for("caller refused", count=2, code="MPC-R080")
        assert not second.done()
        first.go_on()
        for answer in (first.answer, second):
            assert np.array_equal(answer.result(BAR), EXPECTED)
    assert served.metric('mpcc_callers_refused_total{code="MPC-R080"}') >= 2


def test_clients_wait_in_order(served: Served) -> None:
    served.start("--sessions", "1", "--queue", "2")
    with ThreadPoolExecutor(3) as pool:
        first = Running(served, pool)
        others = []
        for number in (2, 3):
            others.append(pool.submit(ask, served.client()))
            served.wait_for("client accepted", count=number)
        assert (served.metric("mpcc_sessions_running"), served.metric("mpcc_sessions_queued")) == (1, 2)
        assert served.metric("mpcc_connections_open") == 3
        first.go_on()
        for answer in (first.answer, *others):
            assert np.array_equal(answer.result(BAR), EXPECTED)
    assert not [entry for entry in served.log() if entry["event"] == "caller refused"]


def test_a_slow_client_ends_at_the_limit_while_others_go_on(served: Served) -> None:
    served.start("--sessions", "2", "--session-seconds", "8")
    with ThreadPoolExecutor(1) as pool:
        slow = Running(served, pool)
        assert np.array_equal(ask(served.client()), EXPECTED)
        assert served.wait_for("session failed")["code"] == "MPC-R014"
        slow.go_on()
        assert code_of(slow.answer) == "MPC-R014"
    assert np.array_equal(ask(served.client()), EXPECTED)


def test_a_client_that_is_killed(served: Served) -> None:
    served.start("--sessions", "1")
    script = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from mpcc.runtime.commands.party import main
from tests.runtime.fake_program import FakeProgram
class Dying(FakeProgram):
    def __init__(self, folder):
        super().__init__(folder)
        self.execute = lambda *arguments: os.kill(os.getpid(), 9)
main(Path(sys.argv[1]), sys.argv[2:], Dying)
"""
    np.savez(served.folder / "x.npz", x=INPUT)
    store, tls = served.folder / "store/party1", served.certificates / "party1"
    where = ["--connect", str(served.address), "--store", str(store), "--tls", str(tls)]
    files = ["--input", str(served.folder / "x.npz"), "--output", str(served.folder / "y.npz")]
    command = [sys.executable, "-c", script, str(served.program / "party1"), *where, *files]
    assert subprocess.run(command).returncode == -9
    assert served.wait_for("session failed")["code"] == "MPC-R004"
    assert np.array_equal(ask(served.client()), EXPECTED)
    assert served.store_of_client().count_unused() == 6


def test_a_stop_lets_sessions_end_and_sends_others_away(served: Served) -> None:
    served.start("--sessions", "1", "--queue", "1")
    with ThreadPoolExecutor(2) as pool:
        running = Running(served, pool)
        queued = pool.submit(once, served)
        served.wait_for("client accepted", count=2)
        served.signal()
        assert code_of(queued) == "MPC-R081"
        assert served.status("/healthz") == (503, "the server is shutting down\n")
        running.go_on()
        assert np.array_equal(running.answer.result(BAR), EXPECTED)
    assert served.end() == (0, "")
    assert served.log()[-1]["event"] == "closed"


def once(served: Served) -> np.ndarray:
    """One session, which does not ask again."""
    channel = connect(served.address, BAR, served.security(), Role.PARTY0)
    folder, store = served.folder_of(1), served.store_of_client()
    limits = served.server().limits
    inputs = {"x": INPUT}
    result = run_session(
        folder, channel, store, FakeProgram(folder).execute, inputs, lambda done, total: None, limits
    )
    return result.outputs["y"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_sessions_after_the_grace(served: Served, number: signal.Signals) -> None:
    served.start("--grace", "0.3")
    with ThreadPoolExecutor(1) as pool:
        running = Running(served, pool)
        served.signal(number)
        assert served.wait_for("session failed")["code"] == "MPC-R081"
        running.go_on()
        assert code_of(running.answer) == "MPC-R081"
    assert served.end() == (0, "")


def test_a_second_signal_does_not_wait(served: Served) -> None:
    served.start("--grace", "600")
    with ThreadPoolExecutor(1) as pool:
        running = Running(served, pool)
        served.signal()
        served.wait_for("closing")
        served.signal()
        served.wait_for("session failed", code="MPC-R081")
        running.go_on()
        code_of(running.answer)
    assert served.end()[0] == 0


def test_a_session_that_needs_more_memory_than_allowed_is_refused_at_the_start(served: Served) -> None:
    served.start("--session-memory", "999", expected=False)
    code, text = served.end()
    assert code == 1
    assert "error[MPC-R082]" in text


def test_a_server_goes_on_with_the_same_store(served: Served) -> None:
    for left in (7, 6):
        served.start()
        assert np.array_equal(ask(served.client()), EXPECTED)
        assert served.metric("mpcc_correlations_unused") == left
        assert served.status("/healthz") == (200, "ok\n")
        assert served.status("/healthz", "HEAD") == (200, "")
        assert served.status("/")[0] == 404
        served.signal()
        assert served.end()[0] == 0


def test_callers_that_say_nothing_keep_nobody_out(served: Served) -> None:
    """More of them than are greeted at once, and all of them stay."""
    served.start("--sessions", "2")
    client = served.client()
    sockets = [socket.create_connection(("127.0.0.1", served.address.port)) for _ in range(300)]
    try:
        started = time.monotonic()
        assert np.array_equal(ask(client), EXPECTED)
        assert time.monotonic() - started < SILENT_SECONDS / 2
        assert served.threads() < 200
        assert served.metric("mpcc_connections_open") <= 128
    finally:
        for one in sockets:
            one.close()


def test_the_wrong_folder(served: Served) -> None:
    served.program = served.folder / "other"
    (served.folder / "prog/party1").rename(served.folder / "client")
    served.program.mkdir()
    (served.folder / "client").rename(served.program / "party0")
    served.start(expected=False)
    assert "error[MPC-R085]" in served.end()[1]
