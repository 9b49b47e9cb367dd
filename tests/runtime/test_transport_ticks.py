"""Ticks in parts: messages that leave while their party computes, and taken one by one."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.runtime.transport.frame import FrameHeader, FrameType
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import FRAME_BYTES
from tests.runtime.party_processes import PATIENT
from tests.runtime.test_transport import both, error_of, raw_peer, tcp_pair

SIZES = st.lists(st.sampled_from([0, 1, 100, FRAME_BYTES - 1, FRAME_BYTES, 3 * FRAME_BYTES]), max_size=4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(SIZES, SIZES), max_size=5), st.randoms())
def test_bytes_arrive_in_order_however_they_are_cut(
    ticks: list[tuple[list[int], list[int]]], order: object
) -> None:
    channels = channel_pair(PATIENT)
    content = [
        [np.random.default_rng([p, t]).bytes(sum(tick[p])) for t, tick in enumerate(ticks)] for p in (0, 1)
    ]

    def play(party: int) -> None:
        channel = channels[party]
        for index, tick in enumerate(ticks):
            channel.start_tick(sum(tick[party]), sum(tick[1 - party]))
            rest = memoryview(content[party][index])
            for size in tick[party]:
                channel.send(rest[:size])
                rest = rest[size:]
            received = b"".join(bytes(channel.receive(size)) for size in tick[1 - party])
            assert received == content[1 - party][index]
        channel.finish()

    both(lambda: play(0), lambda: play(1))
    for party in (0, 1):
        assert channels[party].meter.counters["online"].bytes_sent == sum(map(len, content[party]))


def test_a_message_travels_while_its_party_computes() -> None:
    """More than the sockets' buffers hold reaches the other party, though the sender does not come back."""
    first, second = tcp_pair()
    payload = np.random.default_rng(2).integers(0, 256, 64 << 20, dtype=np.uint8)
    first.start_tick(payload.nbytes, 1)
    first.send(payload)
    second.start_tick(1, payload.nbytes)
    assert np.array_equal(np.frombuffer(second.receive(payload.nbytes), np.uint8), payload)
    second.send(b"x")
    assert bytes(first.receive(1)) == b"x"
    both(first.finish, second.finish)


def test_the_next_tick_is_sent_before_this_one_is_taken() -> None:
    first, second = channel_pair()
    for channel in (first, second):
        channel.start_tick(2, 2)
        channel.send(b"ab")
        channel.start_tick(1, 1)
        channel.send(b"c")
    assert [bytes(first.receive(size)) for size in (1, 1, 1)] == [b"a", b"b", b"c"]
    assert bytes(second.receive(2)) + bytes(second.receive(1)) == b"abc"


def test_an_error_between_two_messages_is_told() -> None:
    first, second = channel_pair()
    first.start_tick(2 * FRAME_BYTES, 0)
    first.send(bytes(FRAME_BYTES))
    first.abort("MPC-S008")
    second.start_tick(0, 2 * FRAME_BYTES)
    second.receive(FRAME_BYTES)
    error = error_of(lambda: second.receive(FRAME_BYTES))
    assert error.code == "MPC-R008"
    assert "MPC-S008" in error.message


def test_what_a_tick_announced_is_kept() -> None:
    channel, peer = raw_peer()
    channel.start_tick(3, 1)
    with pytest.raises(RuntimeError, match="4 bytes where 3"):
        channel.send(b"four")
    channel.send(b"on")
    with pytest.raises(RuntimeError, match="1 bytes early"):
        channel.start_tick(0, 0)
    with pytest.raises(RuntimeError, match="no tick announced"):
        channel.receive(2)
    peer.close()


@pytest.mark.parametrize("length", [0, 6, 1 << 40])
def test_a_frame_that_the_tick_has_no_room_for(length: int) -> None:
    channel, peer = raw_peer()
    peer.sendall(FrameHeader(FrameType.DATA, 0, length).pack())
    channel.start_tick(0, 5)
    assert error_of(lambda: channel.receive(5)).code == "MPC-R006"
    peer.close()


def test_a_peer_that_dies_while_a_message_travels() -> None:
    channel, peer = raw_peer()
    channel.start_tick(64 << 20, 1)
    channel.send(bytes(64 << 20))
    peer.close()
    time.sleep(0.05)  # the sending thread meets it first
    assert error_of(lambda: channel.receive(1)).code == "MPC-R004"
    channel.close()


def test_closing_ends_the_sending_thread() -> None:
    channel, peer = raw_peer()
    before = threading.enumerate()
    channel.start_tick(16 << 20, 0)
    channel.send(bytes(16 << 20))
    (sending,) = set(threading.enumerate()) - set(before)
    channel.close()
    assert not sending.is_alive()
    peer.close()


def test_a_peer_that_is_gone_before_a_message() -> None:
    channel, peer = raw_peer()
    peer.close()
    channel.start_tick(1 << 20, 0)
    assert error_of(lambda: channel.send(bytes(1 << 20))).code == "MPC-R004"
