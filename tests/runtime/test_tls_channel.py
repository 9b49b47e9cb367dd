"""A channel over TLS: the same bytes, counters and errors as over a plain socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.channel import Counters
from mpcc.runtime.transport.connection import TlsConnection
from mpcc.runtime.transport.frame import FrameType
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.transport.stream import FRAME_BYTES, StreamChannel
from mpcc.runtime.transport.tcp import Listener, connect
from mpcc.runtime.transport.tls import Credentials, Role
from tests.runtime.certificate_folders import secured
from tests.runtime.party_processes import BAR, PATIENT
from tests.runtime.test_tls import PARTY1
from tests.runtime.test_transport import LOOPBACK, both, error_of

Pair = tuple[StreamChannel, StreamChannel]
pytestmark = pytest.mark.usefixtures("short_linger")


@pytest.fixture
def make_pair(certificates: Path) -> Callable[[float], Pair]:
    def make(timeout: float) -> Pair:
        """They wait so long when they are connected."""
        server = secured(certificates / "party0")
        client = secured(certificates / "party1")
        with Listener(Address(LOOPBACK, 0), server) as listener, ThreadPoolExecutor(1) as pool:
            address = Address(LOOPBACK, listener.port)
            other = pool.submit(connect, address, PATIENT, client, Role.PARTY0)
            pair = listener.accept(PATIENT).channel(PATIENT, PARTY1), other.result()
        for channel in pair:
            channel._timeout = timeout
        return pair

    return make


@pytest.fixture
def pair(make_pair: Callable[[float], Pair]) -> Pair:
    return make_pair(PATIENT)


@pytest.fixture
def relayed(certificates: Path) -> tuple[Pair, list[socket.socket]]:
    """Two channels after their TLS handshake, and the two sockets of who is between them."""
    ours, between = zip(*(socket.socketpair() for _ in (0, 1)), strict=True)
    forwarding = threading.Event()
    forwarding.set()
    threads = [
        threading.Thread(target=_forward, args=(between[i], between[1 - i], forwarding)) for i in (0, 1)
    ]
    for thread in threads:
        thread.start()
    server, client = (Credentials.load(certificates / role) for role in ("party0", "party1"))
    connections = (
        TlsConnection(ours[0], server.server_context),
        TlsConnection(ours[1], client.client_context, server_hostname="localhost"),
    )
    deadline = time.monotonic() + PATIENT
    both(lambda: connections[0].handshake(deadline), lambda: connections[1].handshake(deadline))
    forwarding.clear()
    for thread in threads:
        thread.join()
    return (StreamChannel(connections[0], PATIENT), StreamChannel(connections[1], PATIENT)), list(between)


def _forward(source: socket.socket, sink: socket.socket, forwarding: threading.Event) -> None:
    source.settimeout(0.02)
    while True:
        try:
            sink.sendall(source.recv(1 << 16))
        except TimeoutError:
            if not forwarding.is_set():
                return


def test_large_messages_in_both_directions_at_once(pair: Pair) -> None:
    payload = np.random.default_rng(1).integers(0, 256, 50_000_000, dtype=np.uint8)
    one, two = both(
        lambda: pair[0].exchange(payload, payload.nbytes), lambda: pair[1].exchange(payload, payload.nbytes)
    )
    assert np.array_equal(np.frombuffer(one, np.uint8), payload)
    assert np.array_equal(np.frombuffer(two, np.uint8), payload)
    both(pair[0].finish, pair[1].finish)


SIZES = [0, 1, 100, (1 << 14) - 16, (1 << 14) - 15, FRAME_BYTES - 1, FRAME_BYTES, (1 << 18) + 1, 1 << 21]


def play(channel: StreamChannel, mine: int) -> Counters:
    """Messages of many sizes each way, cut at random; what they contain follows from their number."""
    order = np.random.default_rng(3)
    channel.synchronise()
    for number in range(30):
        sizes = [order.choice(SIZES, 3).tolist() for _ in (0, 1)]
        channel.start_tick(sum(sizes[mine]), sum(sizes[1 - mine]))
        for size in sizes[mine]:
            channel.send(np.full(size, number, np.uint8))
        for size in sizes[1 - mine]:
            assert np.array_equal(
                np.frombuffer(channel.receive(size), np.uint8), np.full(size, number, np.uint8)
            )
    channel.finish()
    return channel.meter.counters["online"]


def test_the_same_counters_as_over_a_plain_socket(pair: Pair) -> None:
    counted = []
    for one, two in (pair, channel_pair(PATIENT)):
        counted.append(both(lambda: play(one, 0), lambda: play(two, 1)))  # noqa: B023
    assert counted[0] == counted[1]
    assert counted[0][0].bytes_sent == counted[0][1].bytes_received > 0


def test_a_message_travels_while_its_party_computes(pair: Pair) -> None:
    first, second = pair
    payload = np.random.default_rng(2).integers(0, 256, 64 << 20, dtype=np.uint8)
    first.start_tick(payload.nbytes, 1)
    first.send(payload)
    second.start_tick(1, payload.nbytes)
    assert np.array_equal(np.frombuffer(second.receive(payload.nbytes), np.uint8), payload)
    second.send(b"x")
    assert bytes(first.receive(1)) == b"x"
    both(first.finish, second.finish)


def test_an_abort_reaches_a_waiting_peer(pair: Pair) -> None:
    _, error = both(lambda: pair[0].abort("MPC-S006"), lambda: error_of(lambda: pair[1].exchange(b"x", 4)))
    assert error.code == "MPC-R008"
    assert "MPC-S006" in error.message


def test_an_abort_reaches_a_sending_peer(pair: Pair) -> None:
    def keep_sending() -> None:
        while True:
            pair[1].exchange(bytes(1 << 20), 0)

    started = time.monotonic()
    _, error = both(lambda: pair[0].abort("MPC-K001"), lambda: error_of(keep_sending))
    assert error.code == "MPC-R008"
    assert time.monotonic() - started < BAR


@pytest.mark.parametrize("attempt", range(3))
def test_aborting_while_a_message_travels(pair: Pair, attempt: int) -> None:
    """The sending thread and its owner are both at the connection; the rest of the message is lost."""
    first, second = pair
    first.start_tick(64 << 20, 0)
    first.send(bytes(64 << 20))
    second.start_tick(0, 64 << 20)
    aborted = threading.Event()

    def receive() -> None:
        second.receive(32 << 20)
        assert aborted.wait(PATIENT)  # however late that is, not all can have been sent before
        second.receive(32 << 20)

    def abort() -> None:
        first.abort("MPC-R042")
        aborted.set()

    time.sleep(attempt * 0.005)
    _, error = both(abort, lambda: error_of(receive))
    assert error.code == "MPC-R004"


def test_closing_ends_the_sending_thread(pair: Pair) -> None:
    before = threading.enumerate()
    pair[0].start_tick(64 << 20, 0)
    pair[0].send(bytes(64 << 20))
    (sending,) = set(threading.enumerate()) - set(before)
    pair[0].close()
    assert not sending.is_alive()
    pair[1].close()


@pytest.mark.parametrize("end", ["close", "shut down"])
def test_an_end_before_the_end(pair: Pair, end: str) -> None:
    """With TLS's own mark of an end, and without."""
    if end == "close":
        pair[1].close()
    else:
        pair[1]._connection.shutdown()
    assert error_of(lambda: pair[0].exchange(b"x", 1)).code == "MPC-R004"
    pair[0].close()
    pair[1].close()


def test_a_silent_peer(make_pair: Callable[[float], Pair]) -> None:
    first, second = make_pair(0.2)
    assert error_of(lambda: first.exchange(b"hello", 5)).code == "MPC-R005"
    second.close()


def test_a_peer_that_does_not_read(make_pair: Callable[[float], Pair]) -> None:
    first, second = make_pair(0.2)
    assert error_of(lambda: first.exchange(bytes(32 << 20), 0)).code == "MPC-R005"
    second.close()


@pytest.mark.parametrize("position", [0, 2, 5, 40, -1])
def test_a_changed_byte_fails_both(relayed: tuple[Pair, list[socket.socket]], position: int) -> None:
    """Type, length, or content of a record."""
    (first, second), (near, far) = relayed

    def meddle() -> None:
        near.settimeout(PATIENT)
        record = bytearray(near.recv(1 << 16))
        record[position] ^= 1
        far.sendall(record + bytes(1 << 15))
        answer = far.recv(1 << 16)  # the alert
        near.sendall(answer)
        near.shutdown(socket.SHUT_WR)
        far.shutdown(socket.SHUT_WR)

    def receiver() -> str:
        error = error_of(lambda: second.receive_control(FrameType.HELLO, 50))
        second.abort(error.code)
        return error.code

    def sender() -> str:
        def send_and_wait() -> None:  # the alert may come before sending returns
            first.send_control(FrameType.HELLO, bytes(50))
            first.receive_control(FrameType.READY, 0)

        error = error_of(send_and_wait)
        first.abort(error.code)
        return error.code

    with ThreadPoolExecutor(3) as pool:
        sent, received = pool.submit(sender), pool.submit(receiver)
        pool.submit(meddle).result()
    assert (sent.result(), received.result()) == ("MPC-R060", "MPC-R060")


@pytest.mark.parametrize("kind", ["repeated", "cut"])
def test_a_record_repeated_or_cut(relayed: tuple[Pair, list[socket.socket]], kind: str) -> None:
    (first, second), (near, far) = relayed
    first.start_tick(100, 0)
    first.send(bytes(100))
    near.settimeout(PATIENT)
    record = near.recv(1 << 16)
    far.sendall(record * 2 if kind == "repeated" else record[:-1])
    far.shutdown(socket.SHUT_WR)

    def receive_all() -> None:
        for _ in range(2):
            second.start_tick(0, 100)
            second.receive(100)

    assert error_of(receive_all).code == ("MPC-R060" if kind == "repeated" else "MPC-R004")
    first.close()
    second.close()


def test_nothing_is_ever_sent_in_the_clear(relayed: tuple[Pair, list[socket.socket]]) -> None:
    (first, second), (near, _) = relayed
    first.start_tick(1 << 16, 0)
    first.send(b"secret--" * (1 << 13))
    first.abort("MPC-R042")
    with pytest.raises(OSError, match="shutdown"):
        first._connection.send([memoryview(b"secret--")])
    near.settimeout(PATIENT)
    seen = b""
    while piece := near.recv(1 << 16):
        seen += piece
    assert len(seen) > 1 << 16
    assert b"secret" not in seen
    assert b"MPC-R042" not in seen
    second.close()
