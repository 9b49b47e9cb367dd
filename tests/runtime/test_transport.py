"""The channel: ticks, counters, and coded errors for a peer that dies, is slow, lies or never comes."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport import stream
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.connection import PlainConnection
from mpcc.runtime.transport.frame import HEADER_BYTES, FrameHeader, FrameType
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.transport.tcp import Listener, connect
from mpcc.runtime.transport.tls import Role, Security
from tests.runtime.party_processes import BAR, PATIENT, quiet_port

LOOPBACK = "127.0.0.1"
PLAIN = Security()
T = TypeVar("T")
S = TypeVar("S")


def tcp_pair(timeout: float = PATIENT) -> tuple[StreamChannel, StreamChannel]:
    with Listener(Address(LOOPBACK, 0), PLAIN) as listener, ThreadPoolExecutor(1) as pool:
        client = pool.submit(connect, Address(LOOPBACK, listener.port), timeout, PLAIN, Role.PARTY0)
        return listener.accept(timeout).channel(timeout, frozenset([Role.PARTY1])), client.result()


def both(first: Callable[[], T], second: Callable[[], S]) -> tuple[T, S]:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(second)
        return first(), other.result()


def raw_peer(timeout: float = PATIENT) -> tuple[StreamChannel, socket.socket]:
    """A channel whose other end is driven by hand."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(PATIENT)
    return StreamChannel(PlainConnection(ours), timeout), theirs


def error_of(action: Callable[[], object]) -> MpccError:
    with pytest.raises(MpccError) as caught:
        action()
    return caught.value


@pytest.mark.parametrize("make_pair", [tcp_pair, channel_pair])
def test_ticks_are_counted_alike_on_both_parties(
    make_pair: Callable[[], tuple[StreamChannel, StreamChannel]],
) -> None:
    first, second = make_pair()
    ticks = [(10, 20), (0, 7), (5, 0), (0, 0), (1, 1)]

    def play(channel: StreamChannel, mine: int, fill: int) -> None:
        channel.synchronise()
        for tick in ticks:
            received = channel.exchange(np.full(tick[mine], fill, np.uint8), tick[1 - mine])
            assert bytes(received) == bytes([1 - fill]) * tick[1 - mine]
        channel.finish()

    both(lambda: play(first, 0, 0), lambda: play(second, 1, 1))
    one, two = first.meter.counters["online"], second.meter.counters["online"]
    assert (one.bytes_sent, one.bytes_received, one.rounds, one.frames_sent) == (16, 28, 4, 3)
    assert (two.bytes_sent, two.bytes_received, two.rounds, two.frames_sent) == (28, 16, 4, 3)


def test_large_frames_in_both_directions_do_not_deadlock() -> None:
    first, second = tcp_pair()
    payload = np.random.default_rng(1).integers(0, 256, 8 << 20, dtype=np.uint8)
    one, two = both(
        lambda: first.exchange(payload, payload.nbytes), lambda: second.exchange(payload, payload.nbytes)
    )
    assert np.array_equal(np.frombuffer(one, np.uint8), payload)
    assert np.array_equal(np.frombuffer(two, np.uint8), payload)


def test_a_result_is_writable_and_takes_wide_elements() -> None:
    first, second = channel_pair()
    words = np.arange(5, dtype=np.uint64)
    one, _ = both(lambda: first.exchange(b"", 40), lambda: second.exchange(words, 0))
    received = np.frombuffer(one, np.uint64)
    received += 1
    assert received.tolist() == [1, 2, 3, 4, 5]


def test_phases_are_counted_apart() -> None:
    first, second = channel_pair()
    with first.meter.counting("setup") as setup:
        first.exchange(b"abc", 0)
    with first.meter.counting("online"):
        first.exchange(b"d", 0)
    second.exchange(b"", 3)
    second.exchange(b"", 1)
    assert (setup.bytes_sent, setup.rounds) == (3, 1)
    assert first.meter.counters["online"].bytes_sent == 1
    assert setup.seconds > 0


def test_sequence_numbers_wrap() -> None:
    first, second = channel_pair()
    for channel in (first, second):
        channel._next_sent = channel._next_received = (1 << 16) - 2

    def play(channel: StreamChannel) -> None:
        for _ in range(5):
            channel.exchange(b"x", 1)

    both(lambda: play(first), lambda: play(second))


def test_port_in_use() -> None:
    with Listener(Address(LOOPBACK, 0), PLAIN) as listener:
        assert error_of(lambda: Listener(Address(LOOPBACK, listener.port), PLAIN)).code == "MPC-R001"


def test_peer_never_connects() -> None:
    with Listener(Address(LOOPBACK, 0), PLAIN) as listener:
        assert error_of(lambda: listener.accept(0.1)).code == "MPC-R002"


def test_peer_never_listens() -> None:
    started = time.monotonic()
    with quiet_port() as port:
        assert error_of(lambda: connect(Address(LOOPBACK, port), 0.3, PLAIN, Role.PARTY0)).code == "MPC-R003"
    assert time.monotonic() - started < BAR


def test_unknown_host() -> None:
    for host in ("no-such-host.invalid", "x" * 70):
        error = error_of(lambda: connect(Address(host, 1), 0.3, PLAIN, Role.PARTY0))  # noqa: B023
        assert error.code == "MPC-R003"


def test_connecting_before_the_listener_exists() -> None:
    with quiet_port() as port, ThreadPoolExecutor(1) as pool:
        address = Address(LOOPBACK, port)
        client = pool.submit(connect, address, PATIENT, PLAIN, Role.PARTY0)
        time.sleep(0.2)
        with Listener(address, PLAIN) as listener:
            listener.accept(PATIENT).close()
        client.result().close()


def test_silent_peer() -> None:
    channel, peer = raw_peer(timeout=0.2)
    started = time.monotonic()
    assert error_of(lambda: channel.exchange(b"hello", 5)).code == "MPC-R005"
    assert time.monotonic() - started < BAR
    peer.close()


def test_what_has_come_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """However late the party is that takes it."""
    monkeypatch.setattr(stream, "SLOWEST_RATE", math.inf)
    channel, peer = raw_peer(timeout=1e-9)
    peer.sendall(FrameHeader(FrameType.DATA, 0, 5).pack() + b"hello")
    assert bytes(channel.exchange(b"", 5)) == b"hello"
    peer.close()


def test_peer_that_does_not_read() -> None:
    channel, peer = raw_peer(timeout=0.2)
    assert error_of(lambda: channel.exchange(bytes(16 << 20), 0)).code == "MPC-R005"
    peer.close()


def test_peer_that_trickles_is_bounded() -> None:
    channel, peer = raw_peer(timeout=0.3)
    stop = threading.Event()

    def trickle() -> None:
        peer.sendall(FrameHeader(FrameType.DATA, 0, 1000).pack())
        while not stop.wait(0.05):
            peer.send(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    started = time.monotonic()
    assert error_of(lambda: channel.exchange(b"", 1000)).code == "MPC-R005"
    assert time.monotonic() - started < BAR
    stop.set()
    thread.join()
    peer.close()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"", "MPC-R004"),
        (b"GET / HTTP/1.1\r\n\r\n", "MPC-R006"),
        (FrameHeader(FrameType.DATA, 0, 6).pack() + b"x" * 6, "MPC-R006"),
        (FrameHeader(FrameType.DATA, 0, 1 << 60).pack(), "MPC-R006"),
        (FrameHeader(FrameType.DATA, 3, 5).pack() + b"x" * 5, "MPC-R007"),
        (FrameHeader(FrameType.FINISH, 0, 0).pack(), "MPC-R006"),
        (FrameHeader(FrameType.DATA, 0, 5).pack() + b"xx", "MPC-R004"),
        (FrameHeader(FrameType.ABORT, 0, 8).pack() + b"MPC-S006", "MPC-R008"),
        (FrameHeader(FrameType.ABORT, 0, 8).pack() + b"\xff" * 8, "MPC-R008"),
        (FrameHeader(FrameType.ABORT, 0, 1 << 40).pack(), "MPC-R006"),
    ],
)
def test_dead_or_lying_peer(sent: bytes, code: str) -> None:
    channel, peer = raw_peer()
    peer.sendall(sent)
    peer.shutdown(socket.SHUT_WR)
    assert error_of(lambda: channel.exchange(b"", 5)).code == code


def test_control_payload_is_bounded() -> None:
    channel, peer = raw_peer()
    peer.sendall(FrameHeader(FrameType.HELLO, 0, 1 << 50).pack())
    assert error_of(lambda: channel.exchange_control(FrameType.HELLO, b"", 100)).code == "MPC-R006"


def test_abort_reaches_a_waiting_peer() -> None:
    first, second = tcp_pair()
    _, error = both(lambda: first.abort("MPC-S006"), lambda: error_of(lambda: second.exchange(b"x", 4)))
    assert error.code == "MPC-R008"
    assert "MPC-S006" in error.message


def test_abort_reaches_a_sending_peer() -> None:
    first, second = tcp_pair()

    def keep_sending() -> None:
        while True:
            second.exchange(bytes(1 << 20), 0)

    started = time.monotonic()
    _, error = both(lambda: first.abort("MPC-K001"), lambda: error_of(keep_sending))
    assert error.code == "MPC-R008"
    assert time.monotonic() - started < BAR


@pytest.mark.parametrize(
    "endless",
    [
        FrameHeader(FrameType.DATA, 0, 1 << 50).pack() + bytes(1 << 20),
        b"".join(FrameHeader(FrameType.DATA, number, 0).pack() for number in range(1 << 16)),
    ],
    ids=["of one frame", "of frames"],
)
def test_a_peer_that_floods_while_its_abort_is_looked_for(endless: bytes) -> None:
    """Not for longer than it may take a peer to say why it ended."""
    channel, peer = raw_peer()
    stop = threading.Event()

    def flood() -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                peer.sendall(endless)

    peer.shutdown(socket.SHUT_RD)  # so that sending to it fails
    thread = threading.Thread(target=flood)
    thread.start()
    started = time.monotonic()
    assert error_of(lambda: channel.exchange(bytes(1 << 20), 0)).code == "MPC-R004"
    assert time.monotonic() - started < BAR
    stop.set()
    channel.close()
    thread.join()
    peer.close()


def test_finish_waits_for_the_other_party() -> None:
    channel, peer = raw_peer()
    peer.close()
    assert error_of(channel.finish).code == "MPC-R004"


def test_header_is_sixteen_bytes() -> None:
    header = FrameHeader(FrameType.DATA, 65535, 1 << 40)
    assert len(header.pack()) == HEADER_BYTES == 16
    assert FrameHeader.unpack(header.pack()) == header


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":7000", Address("", 7000)),
        ("server:0", Address("server", 0)),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_address(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize("text", ["7000", "host:", "host:65536", "host:-1", "::1:7000", "host:٣"])
def test_bad_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|brackets"):
        Address.parse(text)
