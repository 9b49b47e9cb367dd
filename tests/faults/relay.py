"""A relay between two sides of a connection that does one thing wrong, once.

What passes is taken apart into messages: the frames of a plain connection, or TLS records. The fault meets
the message of a given number in one direction; everything before it, and (mostly) after it, passes unchanged.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mpcc.runtime.transport.frame import HEADER_BYTES

_TLS_HEADER = struct.Struct(">BHH")
_SLOW_SECONDS = 0.2  # for each byte


class Kind(StrEnum):
    """What happens to the message, and to what follows it."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    REORDER = "reorder"  # it changes places with the next one
    CORRUPT = "corrupt"  # one bit of what it carries
    CORRUPT_HEADER = "corrupt header"
    TRUNCATE = "truncate"  # half of it, then an orderly end of the stream
    RESET = "reset"  # half of it, then a reset of both connections
    HALF_OPEN = "half-open"  # half of it, then nothing, and both connections stay open
    SLOW = "slow"  # from its middle on, five bytes a second
    DELAY = "delay"  # for less than the parties' patience
    DELAY_LONG = "long delay"  # for more


BORNE = (Kind.DELAY, Kind.DUPLICATE, Kind.CORRUPT, Kind.CORRUPT_HEADER)  # or told of at once
WAITED_OUT = frozenset(Kind) - frozenset(BORNE)  # a party waits, or asks again, until its patience is over


@dataclass(frozen=True)
class Fault:
    """`to` is the party that the message goes to; `message` its number in that direction."""

    kind: Kind
    to: int
    message: int


class Relay:
    """Listens on `port` and connects each caller, party 1, to party 0. Use as a context manager.

    `seconds` are what a short and a long delay last. `passed` is told of each message, after it was handed
    on, to whom it went.
    """

    def __init__(
        self,
        server_port: int,
        fault: Fault | None,
        seconds: tuple[float, float] = (0.3, 60.0),
        passed: Callable[[int, bytes], None] = lambda to, message: None,
    ) -> None:
        self._server_port = server_port
        self._fault = fault
        self._seconds = seconds
        self._passed = passed
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._closing = threading.Event()
        self.met = threading.Event()  # the fault has happened
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        _end(self._listener)  # which wakes the thread that accepts
        for connection in self._sockets:
            _end(connection)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._server_port))
                except OSError:  # it is gone, and this is a client that tries again
                    client.close()
                    continue
                self._sockets += [client, server]
                for to, (source, sink) in enumerate(((client, server), (server, client))):
                    arguments = (source, sink, to)
                    threading.Thread(target=self._forward, args=arguments, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, to: int) -> None:
        fault = self._fault if self._fault and self._fault.to == to else None
        with contextlib.suppress(OSError):
            messages = _messages(source)
            for number, message in enumerate(messages):
                if fault and fault.message == number and not self.met.is_set():
                    self.met.set()
                    if not self._wrong(fault.kind, message, messages, source, sink):
                        return
                else:
                    sink.sendall(message)
                self._passed(to, message)
            sink.shutdown(socket.SHUT_WR)

    def _wrong(
        self, kind: Kind, message: bytes, rest: Iterator[bytes], source: socket.socket, sink: socket.socket
    ) -> bool:
        """Hand the message on in the wrong way; False where nothing follows it."""
        half = message[: len(message) // 2]
        if kind is Kind.DUPLICATE:
            sink.sendall(message * 2)
        elif kind is Kind.REORDER:
            sink.sendall(next(rest, b"") + message)
        elif kind in (Kind.CORRUPT, Kind.CORRUPT_HEADER):
            place = 0 if kind is Kind.CORRUPT_HEADER else len(message) - 1
            sink.sendall(message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :])
        elif kind in (Kind.DELAY, Kind.DELAY_LONG):
            self._closing.wait(self._seconds[kind is Kind.DELAY_LONG])
            sink.sendall(message)
        elif kind is Kind.TRUNCATE:
            sink.sendall(half)
            sink.shutdown(socket.SHUT_WR)
            return False
        elif kind is Kind.RESET:
            sink.sendall(half)
            for connection in (source, sink):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                _end(connection)
            return False
        elif kind is Kind.HALF_OPEN:
            sink.sendall(half)
            self._closing.wait()
            return False
        elif kind is Kind.SLOW:
            sink.sendall(half)
            for part in (message[len(half) :], *rest):
                for byte in part:
                    sink.sendall(bytes([byte]))
                    time.sleep(_SLOW_SECONDS)
        return True


def _messages(source: socket.socket) -> Iterator[bytes]:
    """Frames or TLS records; at the end what is left."""
    received = b""
    while True:
        size = _size(received)
        if size and len(received) >= size:
            yield received[:size]
            received = received[size:]
            continue
        more = source.recv(1 << 16)
        if not more:
            break
        received += more
    if received:
        yield received


def _size(begun: bytes) -> int | None:
    """Bytes of the message that begins so; None where that is not known yet."""
    if begun[:1] == b"m":
        if len(begun) < HEADER_BYTES:
            return None
        return HEADER_BYTES + int.from_bytes(begun[HEADER_BYTES - 8 : HEADER_BYTES], "little")
    if len(begun) < _TLS_HEADER.size:
        return None
    return _TLS_HEADER.size + int(_TLS_HEADER.unpack_from(begun)[2])


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
