"""A party that computes for long is waited for; one that hangs, or only says that it computes, is not."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from mpcc.runtime.transport import stream, working
from mpcc.runtime.transport.frame import HEADER_BYTES, FrameHeader, FrameType
from mpcc.runtime.transport.stream import FRAME_BYTES, StreamChannel
from tests.runtime.party_processes import BAR, PATIENT
from tests.runtime.test_transport import both, error_of, raw_peer, tcp_pair

PATIENCE = 6.0  # seconds: a busy machine may stop all threads for one or two of them
PERIOD = 0.1  # at which a party says that it computes, where that is counted


def compute(seconds: float = 1.25 * PATIENCE, clock: Callable[[], float] = time.monotonic) -> None:
    end = clock() + seconds
    while clock() < end:
        np.arange(1 << 14).sum()


def limited_pair(patience: float = PATIENCE) -> tuple[StreamChannel, StreamChannel]:
    pair = tcp_pair()
    for channel in pair:
        channel.limit(patience, math.inf)
    return pair


@contextlib.contextmanager
def limited_peer(
    patience: float = PATIENT, session: float = math.inf
) -> Iterator[tuple[StreamChannel, socket.socket]]:
    channel, peer = raw_peer()
    channel.limit(patience, session)
    yield channel, peer
    channel.close()
    peer.close()


def said(number: int, kind: FrameType = FrameType.WORKING, payload: bytes = b"") -> bytes:
    return FrameHeader(kind, number % (1 << 16), len(payload)).pack() + payload


@pytest.mark.slow
@pytest.mark.parametrize(
    ("waits", "answers"),
    [
        (lambda channel: channel.exchange(b"", 3), lambda channel: channel.exchange(b"abc", 0)),
        (lambda channel: channel.synchronise(), lambda channel: channel.synchronise()),
        (  # more than the network holds
            lambda channel: channel.exchange(bytes(32 << 20), 0),
            lambda channel: channel.exchange(b"", 32 << 20),
        ),
    ],
    ids=["for a message", "for an arrival", "to be read"],
)
def test_a_party_that_computes_is_waited_for(
    waits: Callable[[StreamChannel], object], answers: Callable[[StreamChannel], object]
) -> None:
    first, second = limited_pair()

    def work() -> None:
        compute()
        answers(second)
        second.finish()

    def wait() -> None:
        waits(first)
        first.finish()

    both(wait, work)
    for ours, theirs in ((first, second), (second, first)):
        one, other = (channel.meter.counters["online"] for channel in (ours, theirs))
        assert one.bytes_sent == other.bytes_received
        assert one.frames_sent == (1 if one.bytes_sent else 0)
        assert one.rounds == (1 if one.bytes_sent + one.bytes_received else 0)


@pytest.mark.slow
def test_between_the_frames_of_a_message() -> None:
    first, second = limited_pair()

    def work() -> None:
        second.start_tick(2 * FRAME_BYTES, 0)
        for _ in range(2):
            second.send(bytes(FRAME_BYTES))
            compute()
        second.finish()

    def wait() -> None:
        first.exchange(b"", 2 * FRAME_BYTES)
        first.finish()

    both(wait, work)


@pytest.mark.slow
def test_a_party_that_hangs_is_not_waited_for() -> None:
    first, second = limited_pair(0.4)
    time.sleep(1.2)
    started = time.monotonic()
    error = error_of(lambda: first.exchange(b"", 3))
    assert (error.code, "did not answer within 0.4 s" in error.message) == ("MPC-R005", True)
    assert time.monotonic() - started < BAR
    first.close()
    second.close()


@pytest.mark.slow
def test_how_often_it_is_said() -> None:
    """At a fixed period while it computes, and not while it waits."""
    started = time.monotonic()
    with limited_peer(3 * PERIOD) as (channel, peer):
        compute(1.05, time.thread_time)
        channel._outbox.enter()
        channel._outbox.push()  # one that it was about to say
        elapsed = time.monotonic() - started
        peer.setblocking(False)
        frames = peer.recv(1 << 16)
        kinds = [
            FrameHeader.unpack(frames[i : i + HEADER_BYTES]) for i in range(0, len(frames), HEADER_BYTES)
        ]
        assert 3 <= len(kinds) <= elapsed / PERIOD
        assert [header.sequence for header in kinds] == list(range(len(kinds)))
        assert {(header.type, header.length) for header in kinds} == {(FrameType.WORKING, 0)}
        busy = threading.Thread(target=compute, args=(0.5,))
        busy.start()
        assert error_of(lambda: channel.receive_control(FrameType.READY, 0)).code == "MPC-R005"
        busy.join()
        with pytest.raises(BlockingIOError):
            peer.recv(1)


def test_a_peer_without_patience_does_not_make_it_talk_all_the_time() -> None:
    started = time.monotonic()
    with limited_peer(1e-9) as (_, peer):
        compute(0.5, time.thread_time)
        peer.setblocking(False)
        frames = len(peer.recv(1 << 16)) // HEADER_BYTES
        assert 1 <= frames <= (time.monotonic() - started) / working.SHORTEST_PERIOD


def test_it_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LONGEST_WORK", 0.25)
    with limited_peer(PATIENCE) as (channel, peer), talking(peer):
        started = time.monotonic()
        error = error_of(lambda: channel.exchange(b"", 5))
        assert 1.25 * PATIENCE <= time.monotonic() - started < BAR
        assert (error.code, "has computed for 1.5 s" in error.message) == ("MPC-R005", True)


def test_nor_for_longer_than_the_session_may_take() -> None:
    with limited_peer(PATIENCE, session=1.25 * PATIENCE) as (channel, peer), talking(peer):
        assert error_of(lambda: channel.exchange(b"", 5)).code == "MPC-R014"


@contextlib.contextmanager
def talking(peer: socket.socket) -> Iterator[None]:
    """It says that it computes, at an honest rate."""
    stop = threading.Event()

    def talk() -> None:
        number = 0
        while not stop.wait(0.05):
            peer.sendall(said(number))
            number += 1

    thread = threading.Thread(target=talk)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_one_that_only_talks() -> None:
    """As fast as it can: it is refused soon."""
    with limited_peer() as (channel, peer):
        peer.sendall(b"".join(map(said, range(working.MOST_FRAMES + 1))))
        started = time.monotonic()
        assert error_of(lambda: channel.exchange(b"", 5)).code == "MPC-R006"
        assert time.monotonic() - started < BAR


def test_what_gathered_while_this_party_computed() -> None:
    """Is no reason to refuse the other one, which may do as much."""
    with limited_peer() as (channel, peer):
        frames = [*map(said, range(working.MOST_FRAMES)), said(working.MOST_FRAMES, FrameType.DATA, b"abc")]
        peer.sendall(b"".join(frames))
        assert bytes(channel.exchange(b"", 3)) == b"abc"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (said(0, payload=b"x"), "MPC-R006"),
        (FrameHeader(FrameType.WORKING, 0, 1 << 60).pack(), "MPC-R006"),
        (said(1), "MPC-R007"),
        (said(0) * 2, "MPC-R007"),
        (said(0)[:7], "MPC-R005"),
        (said(0) + said(1, FrameType.ABORT, b"MPC-S006"), "MPC-R008"),
    ],
)
def test_talk_that_is_wrong(frame: bytes, code: str) -> None:
    with limited_peer(0.2 if code == "MPC-R005" else PATIENT) as (channel, peer):
        peer.sendall(frame)
        assert error_of(lambda: channel.exchange(b"", 5)).code == code


def test_nobody_computes_before_limits_are_agreed_on() -> None:
    channel, peer = raw_peer()
    peer.sendall(said(0))
    assert error_of(lambda: channel.receive_control(FrameType.HELLO, 100)).code == "MPC-R006"
    compute(0.2)
    channel.close()
    assert peer.recv(1) == b""


def test_why_the_other_party_ended_is_found_behind_its_talk() -> None:
    with limited_peer() as (channel, peer):
        peer.sendall(said(0) + said(1) + said(2, FrameType.ABORT, b"MPC-S006"))
        peer.shutdown(socket.SHUT_RD)  # so that sending to it fails
        error = error_of(lambda: channel.exchange(bytes(1 << 20), 0))
        assert (error.code, "MPC-S006" in error.message) == ("MPC-R008", True)


def test_closing_ends_the_thread() -> None:
    before = set(threading.enumerate())
    with limited_peer():
        assert len(set(threading.enumerate()) - before) == 1
    assert set(threading.enumerate()) <= before
