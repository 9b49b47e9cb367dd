"""Sessions that both parties make: the stores, counts, what is broken off, what is made for one run."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import struct
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.handshake import Limits, Purpose, greet
from mpcc.runtime.program_folder import load_party_folder
from mpcc.runtime.session import SessionResult
from mpcc.runtime.store import bulk, passing
from mpcc.runtime.store.store import Session
from mpcc.runtime.transport.frame import FrameType
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party import preparation
from mpcc.runtime.two_party.just_in_time import Workshop, make_session
from mpcc.runtime.two_party.preparation import BATCH, Preparation
from tests.runtime.fake_program import INPUT, PIECES, SIZE, WEIGHTS, build_program
from tests.runtime.two_party.pair import LIMITS, Pair

EXPECTED = INPUT * WEIGHTS.astype(np.int64)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def prepared(pair: Pair, most: int, wanted: int) -> list[Preparation]:
    results = pair.prepare(most, wanted)
    assert all(isinstance(result, Preparation) for result in results), results
    return list(results)  # type: ignore[arg-type]


def answered(pair: Pair, *stored: bool) -> list[SessionResult]:
    results = pair.run(*stored)
    assert all(isinstance(result, SessionResult) for result in results), results
    assert np.array_equal(results[1].outputs["y"], EXPECTED)  # type: ignore[union-attr]
    return list(results)  # type: ignore[arg-type]


def codes(results: tuple[object, object]) -> tuple[str, str]:
    assert all(isinstance(result, MpccError) for result in results), results
    return results[0].code, results[1].code  # type: ignore[attr-defined]


def test_both_stores_get_the_same_sessions(pair: Pair) -> None:
    server, client = prepared(pair, 9, 3)
    assert (server.made, client.made) == (3, 3)
    first, second = pair.unused()
    assert first == second
    assert len(set(first)) == 3
    for counters in (server.counters, client.counters):
        assert (counters.bytes_sent, counters.bytes_received) == (3 * 8 * SIZE, 3 * 8 * SIZE)
        assert counters.rounds == 3 * 2 * PIECES
    step = 8 * SIZE // PIECES  # each way
    assert pair.progress == [(done, 3 * 16 * SIZE) for done in range(step, 3 * 16 * SIZE + 1, step)]
    for left in (2, 1, 0):
        assert answered(pair)[0].preparation.rounds == 0
        assert list(map(len, pair.unused())) == [left, left]


def test_every_seed_is_new_and_a_party_s_own(pair: Pair) -> None:
    prepared(pair, 9, 3)
    for _ in range(4):  # one more than was prepared
        answered(pair)
    assert [len(seeds) for seeds in pair.seeds] == [4, 4]
    assert len({*pair.seeds[0], *pair.seeds[1]}) == 8


def test_what_is_missing_is_made(pair: Pair) -> None:
    assert prepared(pair, 9, 2)[0].made == 2
    assert prepared(pair, 9, 2)[0].made == 0
    assert prepared(pair, 9, 5)[0].made == 3
    answered(pair)
    assert [(p.made, p.missing) for p in prepared(pair, 9, 5)] == [(1, 1)] * 2
    assert list(map(len, pair.unused())) == [5, 5]


def test_party_0_makes_no_more_than_it_says(pair: Pair) -> None:
    assert [(p.made, p.missing) for p in prepared(pair, 2, 5)] == [(2, 5)] * 2
    assert [(p.made, p.missing) for p in prepared(pair, 0, 5)] == [(0, 3)] * 2
    assert list(map(len, pair.unused())) == [2, 2]


def test_what_one_party_lacks_does_not_count(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of one store alone, and those that the other one has used; asked for in several messages."""
    monkeypatch.setattr(preparation, "ASKED_AT_ONCE", 2)
    prepared(pair, 9, 4)
    for party in (0, 1):
        pair.store(party).add(BATCH, bytes([party]) * 16, bytes(16), [])
    server, _ = pair.unused()
    pair.store(0).take(server[1])
    assert [(p.made, p.missing) for p in prepared(pair, 9, 5)] == [(2, 2)] * 2
    common = set(pair.unused()[0]) & set(pair.unused()[1])
    assert len(common) == 5
    assert server[1] not in pair.unused()[1]
    assert b"\1" * 16 in pair.unused()[1]
    for _ in range(5):
        assert answered(pair)[1].preparation.rounds == 0


def test_just_in_time(pair: Pair) -> None:
    """Without stores, with stores that have nothing in common, and with one store alone. Nothing is kept."""
    for stored in ((False, False), (True, True), (True, False), (False, True)):
        server, client = answered(pair, *stored)
        assert server.preparation.bytes_sent == client.preparation.bytes_received == 8 * SIZE
        assert server.preparation.rounds == client.preparation.rounds == 2 * PIECES
        assert client.dealt_bytes == 0
        assert client.session_id == server.session_id
    assert pair.progress.count((16 * SIZE, 16 * SIZE)) == 4
    assert pair.unused() == ([], [])


def test_a_store_comes_first(pair: Pair) -> None:
    prepared(pair, 1, 1)
    assert answered(pair)[1].preparation.rounds == 0
    assert answered(pair)[1].preparation.rounds > 0


@pytest.mark.parametrize("party", [0, 1])
@pytest.mark.parametrize(
    ("fault", "own", "other"),
    [("crash", "MPC-R042", "MPC-R008"), ("lie", "MPC-R006", "MPC-R008")],
)
def test_a_party_that_fails(tmp_path: Path, party: int, fault: str, own: str, other: str) -> None:
    """While sessions are made: both end, and nothing half made is left. What was made before stays."""
    pair = Pair(tmp_path)
    prepared(pair, 1, 1)
    steps = ["linear", "linear"]
    steps[party] = f"linear making-{fault}"
    pair.folders = [dataclasses.replace(f, program_text=t) for f, t in zip(pair.folders, steps, strict=True)]
    ends = [other, other]
    ends[1 - party if fault == "lie" else party] = own
    assert codes(pair.prepare(9, 3)) == tuple(ends)
    assert list(map(len, pair.unused())) == [1, 1]
    assert [len(list(path.glob("session-*"))) for path in pair.paths] == [1, 1]
    assert codes(pair.run(False, False)) == tuple(ends)


@pytest.mark.slow
@pytest.mark.parametrize("party", [0, 1])
def test_a_party_that_computes_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, party: int) -> None:
    """For longer than the other one's patience, while sessions are made and in a run."""
    monkeypatch.setattr("tests.runtime.fake_program.COMPUTING_SECONDS", 3.0)
    monkeypatch.setattr("tests.runtime.two_party.pair.LIMITS", Limits(2.0))
    steps = ["linear", "linear"]
    steps[party] = "making-compute linear compute"
    pair = Pair(tmp_path, (steps[0], steps[1]))
    for made in prepared(pair, 1, 1):
        assert (made.counters.bytes_sent, made.counters.rounds) == (8 * SIZE, 2 * PIECES)
    for result in answered(pair):
        assert result.online.bytes_sent == 8 * SIZE


@pytest.mark.slow
@pytest.mark.parametrize("party", [0, 1])
@pytest.mark.parametrize("bytes_", [0, 20, *range(100, 600, 50)])
def test_a_connection_that_is_lost(pair: Pair, party: int, bytes_: int) -> None:
    """Wherever: afterwards the missing ones are made, and every session that is left in both works."""
    channels = channel_pair()
    connection = channels[party]._connection
    sent, lost = 0, False
    send = connection.send

    def limited(parts: Any) -> int:
        nonlocal sent, lost
        if sent + sum(map(len, parts)) > bytes_:
            lost = True
            connection.shutdown()
            raise ConnectionResetError
        sent += sum(map(len, parts))
        return send(parts)

    connection.send = limited  # type: ignore[method-assign]
    results = pair.both(lambda party, channel: pair.prepare_one(party, channel, 3), channels)
    assert lost
    assert set(codes(results)) <= {"MPC-R004", "MPC-R005", "MPC-R008"}
    first, second = pair.unused()
    assert abs(len(first) - len(second)) <= 1
    prepared(pair, 9, 3)
    for _ in range(3):
        assert answered(pair)[0].preparation.rounds == 0
    assert len({*pair.seeds[0], *pair.seeds[1]}) == len(pair.seeds[0]) + len(pair.seeds[1])


@pytest.mark.parametrize("party", [0, 1])
def test_a_full_disk(pair: Pair, monkeypatch: pytest.MonkeyPatch, party: int) -> None:
    """Found before the session is in either store: no part of one is left over."""
    prepared(pair, 1, 1)
    finish = bulk._NewLocalFile.finish

    def full(file: Any) -> None:
        if file._path.parent == pair.paths[party]:
            raise OSError(errno.ENOSPC, "No space left on device")
        finish(file)

    monkeypatch.setattr(bulk._NewLocalFile, "finish", full)
    ends = ["MPC-R008", "MPC-R008"]
    ends[party] = "MPC-S011"
    assert codes(pair.prepare(9, 2)) == tuple(ends)
    assert [len(list(path.glob("session-*"))) for path in pair.paths] == [1, 1]
    monkeypatch.undo()
    assert prepared(pair, 9, 2)[0].made == 1


def test_no_room_for_a_session_just_in_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Any, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(passing._NamelessFile, "write", full)
    assert set(codes(pair.run(False, False))) <= {"MPC-S011", "MPC-R008", "MPC-R004"}


@pytest.mark.slow
def test_memory_is_that_of_a_piece(pair: Pair) -> None:
    """However many there are of them, and of sessions."""
    piece, pieces = 1 << 20, 16

    def workshop(party: int) -> Workshop:
        def made(seed: bytes) -> Iterator[memoryview]:
            return (memoryview(bytes(piece)) for _ in range(pieces))

        return Workshop(pair.folders[party].program_hash, lambda: 0, lambda channel: made)

    pair.workshop = workshop  # type: ignore[method-assign]
    tracemalloc.start()
    prepared(pair, 3, 3)
    for session in pair.both(lambda party, channel: make_session(channel, workshop(party), bytes(16))):
        assert isinstance(session, Session)
        assert len(session.payload) == pieces * piece
        session.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * piece


def test_other_programs(pair: Pair, tmp_path: Path) -> None:
    other = build_program(tmp_path / "other", ("linear", "linear linear"), source="two-party")
    pair.folders[1] = load_party_folder(other / "party1")
    assert codes(pair.prepare(1, 1)) == ("MPC-R011", "MPC-R011")


def test_the_source_is_part_of_the_program(pair: Pair, tmp_path: Path) -> None:
    dealt = load_party_folder(build_program(tmp_path / "dealt") / "party1")
    assert dealt.two_party is False
    assert pair.folders[1].two_party is True
    assert dealt.program_hash != pair.folders[1].program_hash


def test_one_prepares_and_the_other_runs(pair: Pair) -> None:
    def work(party: int, channel: StreamChannel) -> object:
        return pair.prepare_one(0, channel, 1) if party == 0 else pair.run_one(1, channel)

    assert codes(pair.both(work)) == ("MPC-R015", "MPC-R015")


def test_runs_go_on_while_sessions_are_prepared(pair: Pair) -> None:
    """And several clients prepare at once, in the same stores."""
    prepared(pair, 4, 4)
    with ThreadPoolExecutor(6) as pool:
        preparing = [pool.submit(pair.prepare, 9, 12) for _ in range(2)]
        running = [pool.submit(pair.run) for _ in range(8)]
        for future in preparing:
            assert all(isinstance(result, Preparation) for result in future.result())
        for run in running:
            server, client = run.result()
            assert isinstance(server, SessionResult), server
            assert isinstance(client, SessionResult), client
            assert np.array_equal(client.outputs["y"], EXPECTED)
    first, second = pair.unused()
    assert set(first) == set(second)
    made = sum(len(seeds) for seeds in pair.seeds)
    assert len({*pair.seeds[0], *pair.seeds[1]}) == made


def said_to(pair: Pair, party: int, *said: tuple[FrameType, bytes]) -> str:
    """The code with which a party ends that prepares with somebody who says these after a greeting."""

    def work(who: int, channel: StreamChannel) -> Preparation | None:
        if who == party:
            return pair.prepare_one(party, channel, 3)
        greet(channel, pair.folders[who], LIMITS, Purpose.PREPARE)
        with contextlib.closing(channel):
            for kind, payload in said:
                channel.send_control(kind, payload)
            channel._drain(time.monotonic() + 30)
        return None

    result = pair.both(work)[party]
    assert isinstance(result, MpccError)
    return result.code


@pytest.mark.parametrize(
    "said",
    [
        [(FrameType.PREPARING, b"")],
        [(FrameType.PREPARING, bytes(5))],
        [(FrameType.SESSIONS, b"")],
        [(FrameType.PREPARING, bytes(4)), (FrameType.SESSIONS, bytes(15))],
        [(FrameType.PREPARING, bytes(4)), (FrameType.SESSIONS, bytes(16 * 4097))],
    ],
)
def test_party_1_talks_nonsense(pair: Pair, said: list[tuple[FrameType, bytes]]) -> None:
    assert said_to(pair, 0, *said) == "MPC-R006"


@pytest.mark.parametrize(
    "said",
    [
        [(FrameType.SESSIONS, b"")],
        [(FrameType.SESSIONS, b"\3")],
        [(FrameType.SESSIONS, b"\1\1")],
        [(FrameType.SESSIONS, b"\1"), (FrameType.PREPARING, struct.pack("<I", 3))],
        [(FrameType.SESSIONS, b"\0"), (FrameType.PREPARING, b"\1")],
    ],
)
def test_party_0_talks_nonsense(pair: Pair, said: list[tuple[FrameType, bytes]]) -> None:
    prepared(pair, 1, 1)
    assert said_to(pair, 1, *said) == "MPC-R006"
