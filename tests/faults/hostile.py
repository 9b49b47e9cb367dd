"""Callers that mean harm: what they say to a server, or do not say."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

from mpcc.runtime.handshake import PROTOCOL_VERSION
from mpcc.runtime.transport.frame import FrameHeader, FrameType

Act = Callable[[socket.socket, Random], None]
AT_ONCE = 200
PATIENCE = 1.5  # seconds that a caller stays who says nothing
_HELLO = struct.Struct("<HBB32s16sdd")


def garbage(connection: socket.socket, random: Random) -> None:
    connection.sendall(random.randbytes(random.randrange(1, 5000)))


def silence(connection: socket.socket, random: Random) -> None:
    _listen(connection)


def half_tls_hello(connection: socket.socket, random: Random) -> None:
    hello = _client_hello()
    connection.sendall(hello[: random.randrange(1, len(hello))])
    _listen(connection)


def http(connection: socket.socket, random: Random) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
    _listen(connection)


def huge_length(connection: socket.socket, random: Random) -> None:
    kind = random.choice(list(FrameType))
    connection.sendall(FrameHeader(kind, 0, random.choice((1 << 20, 1 << 40, (1 << 64) - 1))).pack())
    for _ in range(16):
        connection.sendall(bytes(1 << 16))


def reset(connection: socket.socket, random: Random) -> None:
    connection.sendall(b"mpcc")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def tls_without_certificate(connection: socket.socket, random: Random) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connection, server_hostname="localhost") as secured:
        secured.sendall(b"mpcc" * 10)
        secured.recv(1)


def trickle(connection: socket.socket, random: Random) -> None:
    for byte in random.choice((_client_hello(), FrameHeader(FrameType.HELLO, 0, 67).pack())):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def other_program(connection: socket.socket, random: Random) -> None:
    """Knows the protocol, and then says nothing more."""
    hello = _HELLO.pack(PROTOCOL_VERSION, 1, 1, bytes(32), random.randbytes(16), 30.0, float("inf"))
    connection.sendall(FrameHeader(FrameType.HELLO, 0, len(hello)).pack() + hello)
    _listen(connection)


ACTS: tuple[Act, ...] = (
    *(garbage, silence, half_tls_hello, http, huge_length, reset, tls_without_certificate, trickle),
    other_program,
)


def call_often(port: int, times: int, random: Random, enough: threading.Event) -> None:
    """So many connections to a port of this machine, `AT_ONCE` at a time, and more until it is `enough`.
    Returns when all have ended.
    """
    numbers = itertools.count()

    def call(_: int) -> None:
        while (number := next(numbers)) < times or not enough.is_set():
            _call(port, ACTS[number % len(ACTS)], Random(random.getrandbits(64)))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(call, range(AT_ONCE)))


def _call(port: int, act: Act, random: Random) -> None:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        act(connection, random)


def _listen(connection: socket.socket) -> None:
    """Until the other side ends the connection, or patience does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and connection.recv(1 << 16):
        pass


def _client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()
