"""Whatever calls: a coded error in bounded time, and no memory for what it only announces."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.frame import FrameHeader, FrameType
from mpcc.runtime.transport.tcp import Listener, ListenerClosed, connect
from mpcc.runtime.transport.tls import Role, Security
from tests.runtime.certificate_folders import secured
from tests.runtime.party_processes import BAR, PATIENT
from tests.runtime.test_tls import PARTY1
from tests.runtime.test_transport import LOOPBACK

TIMEOUT = 0.4  # seconds of silence
HELLO_LIMIT = 256
pytestmark = pytest.mark.usefixtures("short_linger")
Act = Callable[[socket.socket], None]


def says(data: bytes, *, then_ends: bool = False) -> Act:
    def act(connection: socket.socket) -> None:
        connection.sendall(data)
        if then_ends:
            connection.shutdown(socket.SHUT_WR)

    return act


def trickles(data: bytes) -> Act:
    """One byte after the other, each before the silence is too long."""

    def act(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(TIMEOUT / 4)

    return act


def floods(data: bytes) -> Act:
    def act(connection: socket.socket) -> None:
        connection.sendall(data)
        while True:
            connection.sendall(bytes(1 << 16))

    return act


def resets(connection: socket.socket) -> None:
    connection.sendall(b"mp")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def speaks_tls(version: ssl.TLSVersion, then: bytes = b"") -> Act:
    """Without a certificate."""

    def act(connection: socket.socket) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        with context.wrap_socket(connection) as secure:
            secure.sendall(then)
            secure.recv(1)

    return act


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def header(length: int, sequence: int = 0, kind: FrameType = FrameType.HELLO) -> bytes:
    return FrameHeader(kind, sequence, length).pack()


ANYWHERE: list[tuple[str, Act, set[str]]] = [
    ("nothing", says(b""), {"MPC-R005"}),
    ("gone at once", says(b"", then_ends=True), {"MPC-R004"}),
    ("a reset", resets, {"MPC-R004", "MPC-R059"}),
    ("HTTP", says(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), {"MPC-R006", "MPC-R059"}),
    ("garbage", says(bytes(range(7, 107))), {"MPC-R006", "MPC-R059"}),
    ("endless garbage", floods(b"\xff" * 100), {"MPC-R006", "MPC-R059"}),
]
PLAIN: list[tuple[str, Act, set[str]]] = [
    ("half a header", says(header(0)[:9]), {"MPC-R005"}),
    ("half a header and gone", says(header(0)[:9], then_ends=True), {"MPC-R004"}),
    ("a huge length", says(header(1 << 62)), {"MPC-R006"}),
    ("a huge length, and all of it", floods(header(1 << 40)), {"MPC-R006"}),
    ("a huge abort", floods(header(1 << 40, kind=FrameType.ABORT)), {"MPC-R006"}),
    ("less than announced", says(header(HELLO_LIMIT) + bytes(9)), {"MPC-R005"}),
    ("slow bytes", trickles(header(HELLO_LIMIT) + bytes(HELLO_LIMIT)), {"MPC-R005"}),
    ("another order", says(header(0, sequence=5)), {"MPC-R007"}),
    ("an abort of no known code", says(header(8, kind=FrameType.ABORT) + b"MPC-X999"), {"MPC-R008"}),
    ("TLS", says(client_hello()), {"MPC-R059"}),
]
TLS: list[tuple[str, Act, set[str]]] = [
    ("plain frames", says(header(0)), {"MPC-R059"}),
    ("half a TLS header", says(b"\x16\x03"), {"MPC-R005"}),
    ("half a client hello", says(client_hello()[:100]), {"MPC-R005"}),
    ("half a client hello and gone", says(client_hello()[:100], then_ends=True), {"MPC-R004"}),
    ("a client hello, then nothing", says(client_hello()), {"MPC-R005"}),
    ("a client hello, then garbage", floods(client_hello() + b"\xff" * 100), {"MPC-R059"}),
    ("a huge record", floods(b"\x16\x03\x01\xff\xff"), {"MPC-R059"}),
    ("a huge client hello", floods(b"\x16\x03\x01\x40\x00\x01\xff\xff\xff\x03\x03"), {"MPC-R059"}),
    ("slow bytes", trickles(client_hello()), {"MPC-R005"}),
    ("TLS 1.2", speaks_tls(ssl.TLSVersion.TLSv1_2), {"MPC-R059"}),
    ("no certificate", speaks_tls(ssl.TLSVersion.TLSv1_3), {"MPC-R054"}),
    ("no certificate, and much to say", speaks_tls(ssl.TLSVersion.TLSv1_3, bytes(1 << 20)), {"MPC-R054"}),
]
CASES = [
    pytest.param(kind, act, codes, id=f"{kind}: {name}")
    for kind, cases in (("plain", [*ANYWHERE, *PLAIN]), ("tls", [*ANYWHERE, *TLS]))
    for name, act, codes in cases
]


@pytest.fixture
def security(certificates: Path, request: pytest.FixtureRequest) -> Security:
    return secured(certificates / "party0") if "tls" in request.node.callspec.params["kind"] else Security()


def patience(codes: set[str]) -> float:
    """Seconds of silence, which is waited for only where silence comes."""
    return TIMEOUT if "MPC-R005" in codes else PATIENT


def code_of_one(listener: Listener, timeout: float) -> str:
    try:
        channel = listener.accept(PATIENT).channel(timeout, PARTY1)
    except MpccError as error:
        return error.code
    try:
        channel.exchange_control(FrameType.HELLO, bytes(67), HELLO_LIMIT)
    except MpccError as error:
        channel.abort(error.code)
        return error.code
    return "served"


@pytest.mark.parametrize(("kind", "act", "codes"), CASES)
def test_a_hostile_caller(security: Security, kind: str, act: Act, codes: set[str]) -> None:
    with Listener(Address(LOOPBACK, 0), security) as listener:
        connection = socket.create_connection((LOOPBACK, listener.port))
        caller = threading.Thread(target=_until_refused, args=(act, connection))
        tracemalloc.start()
        started = time.monotonic()
        caller.start()
        code = code_of_one(listener, patience(codes))
        seconds, (_, memory) = time.monotonic() - started, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        connection.close()
        caller.join()
    assert code in codes
    assert seconds < BAR
    assert memory < 4 << 20


def _until_refused(act: Act, connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # ssl.SSLError, too
        act(connection)


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_silent_callers_do_not_keep_others_waiting(security: Security, kind: str, certificates: Path) -> None:
    """Accepting takes no part in anyone's handshake."""
    client = secured(certificates / "party1") if kind == "tls" else security
    with Listener(Address(LOOPBACK, 0), security) as listener, ThreadPoolExecutor(64) as pool:
        silent = [socket.create_connection((LOOPBACK, listener.port)) for _ in range(40)]
        waiting = [pool.submit(listener.accept(PATIENT).channel, PATIENT, PARTY1) for _ in silent]
        address = Address(LOOPBACK, listener.port)
        ours = pool.submit(connect, address, PATIENT, client, Role.PARTY0)
        started = time.monotonic()
        listener.accept(PATIENT).channel(PATIENT, PARTY1).close()
        ours.result().close()
        assert time.monotonic() - started < BAR  # behind one of them it would be PATIENT
        for connection in silent:
            connection.close()
        for future in waiting:
            if kind == "tls":
                assert isinstance(future.exception(), MpccError)
            else:
                future.result().close()  # it has said nothing yet, which only a receive would see


def test_closing_from_another_thread_ends_accept() -> None:
    listener = Listener(Address(LOOPBACK, 0), Security())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(listener.accept, None)
        time.sleep(0.05)
        listener.close()
        assert isinstance(waiting.exception(BAR), ListenerClosed)
    listener.close()
    with pytest.raises(ListenerClosed):
        listener.accept(None)
