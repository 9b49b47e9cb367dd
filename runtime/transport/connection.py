"""The byte stream under a channel: a plain socket, or TLS over one. Neither ever waits."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Protocol, cast

from mpcc.runtime.transport.tls_errors import handshake_failure, no_tls, session_failure

_TLS_CHUNK = 1 << 18  # bytes encrypted at once: one release of the interpreter's lock for 16 records
_ARRIVED = 1 << 16  # bytes read from the network at once
_RECEIVED = 1 << 20  # bytes decrypted before the other direction has its turn
ALERT_LINGER = 1.0  # seconds to tell the other side why a handshake failed
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")  # how an alert and a handshake begin


class Connection(Protocol):
    """A connected, non-blocking stream, which it owns. One thread at a time receives, one sends."""

    def send(self, parts: Sequence[memoryview]) -> int:
        """Send what the network takes of the parts; its bytes. The next call begins with what is left.

        Raises OSError for a broken connection.
        """
        ...

    def receive_into(self, buffer: memoryview) -> int | None:
        """Bytes received, None when there are none yet, 0 at the end.

        Raises OSError for a broken connection, and `ConnectionFailed` where it is known why.
        """
        ...

    def shutdown(self) -> None:
        """Nothing more is sent; what arrives can be discarded. Raises OSError."""
        ...

    def discard(self) -> bool:
        """Throw away what has arrived, unread; False at the end. Raises OSError, also if nothing has."""
        ...

    def close(self) -> None: ...

    def fileno(self) -> int:
        """For poll. What has arrived must have been received first, up to None."""
        ...


class PlainConnection:
    """The socket itself."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._begun = False

    def send(self, parts: Sequence[memoryview]) -> int:
        try:
            return self._socket.sendmsg(parts)
        except BlockingIOError:
            return 0

    def receive_into(self, buffer: memoryview) -> int | None:
        try:
            received = self._socket.recv_into(buffer)
        except BlockingIOError:
            return None
        if not self._begun:
            self._begun = True
            if bytes(buffer[:2]) in _TLS_RECORDS:
                raise no_tls("it speaks TLS, and this side does not")
        return received

    def shutdown(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def discard(self) -> bool:
        return bool(self._socket.recv(_ARRIVED))

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()


class TlsConnection:
    """TLS between two buffers in memory and the socket.

    The lock is there because an OpenSSL object must not be used by two threads at once, and a channel's
    thread may send what is left while the channel's owner aborts. An end of the stream without TLS's own
    mark is an end like any other: whoever still expects something has lost the connection.
    """

    def __init__(
        self, connection: socket.socket, context: ssl.SSLContext, *, server_hostname: str | None = None
    ) -> None:
        """Connects to `server_hostname`, or is connected to when there is none. `handshake` comes first."""
        connection.setblocking(False)
        self._socket = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_hostname is None,
            server_hostname=server_hostname,
        )
        self._lock = threading.Lock()
        self._arrived = memoryview(bytearray(_ARRIVED))
        self._ciphertext = memoryview(b"")  # on its way to the socket
        self._plaintext_under_way = 0  # bytes of the parts that are in it

    def handshake(self, deadline: float) -> None:
        """Both sides prove who they are. Raises `ConnectionFailed`: MPC-R004, R005, R054..R059."""
        try:
            while not self._handshake_step():
                self._wait_flushed(deadline)
                self._wait(select.POLLIN, deadline)
                if not self._fetch():
                    raise handshake_failure(ssl.SSLEOFError())
            self._wait_flushed(deadline)
        except ssl.SSLError as error:
            self._send_alert()
            raise handshake_failure(error) from None
        except OSError as error:
            raise handshake_failure(error) from None

    def certificate(self) -> bytes:
        """The other side's certificate, DER."""
        return cast(bytes, self._tls.getpeercert(binary_form=True))

    def send(self, parts: Sequence[memoryview]) -> int:
        total = 0
        with self._lock:
            while self._flushed():
                total += self._plaintext_under_way
                chunk = _next_chunk(parts, total)
                self._plaintext_under_way = self._tls.write(chunk) if len(chunk) else 0
                if not self._plaintext_under_way:
                    break
        return total

    def receive_into(self, buffer: memoryview) -> int | None:
        buffer = buffer[:_RECEIVED]
        filled = 0
        with self._lock:
            while filled < len(buffer):
                try:
                    part = buffer[filled:]
                    count = cast(int, self._tls.read(len(part), part))
                    filled += count
                    if not count:
                        return filled
                except ssl.SSLWantReadError:
                    arrived = self._fetch()
                    if arrived is None:
                        break
                    if not arrived:
                        return filled
                except ssl.SSLError as error:
                    raise session_failure(error) from None
        return filled or None

    def shutdown(self) -> None:
        with self._lock:
            with contextlib.suppress(ssl.SSLError):  # it asks for the other side's mark, which need not come
                self._tls.unwrap()
            self._flushed()
            self._socket.shutdown(socket.SHUT_WR)

    def discard(self) -> bool:
        return bool(self._socket.recv_into(self._arrived))

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def _handshake_step(self) -> bool:
        """Whether the handshake is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def _fetch(self) -> int | None:
        """Bytes moved from the socket to TLS, None when there are none yet, 0 at the end."""
        try:
            received = self._socket.recv_into(self._arrived)
        except BlockingIOError:
            return None
        self._incoming.write(self._arrived[:received])
        return received

    def _flushed(self) -> bool:
        """Whether everything that is encrypted is with the network."""
        while len(self._ciphertext) or self._outgoing.pending:
            if not len(self._ciphertext):
                self._ciphertext = memoryview(self._outgoing.read())
            try:
                self._ciphertext = self._ciphertext[self._socket.send(self._ciphertext) :]
            except BlockingIOError:
                return False
        return True

    def _wait_flushed(self, deadline: float) -> None:
        while not self._flushed():
            self._wait(select.POLLOUT, deadline)

    def _wait(self, event: int, deadline: float) -> None:
        """Raises TimeoutError, also when the other side never lets it wait until then."""
        poller = select.poll()
        poller.register(self._socket, event)
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poller.poll(remaining * 1000):
            raise TimeoutError

    def _send_alert(self) -> None:
        """OpenSSL has written why it refuses; the other side should be able to read it."""
        deadline = time.monotonic() + ALERT_LINGER
        try:
            self._wait_flushed(deadline)
            self._socket.shutdown(socket.SHUT_WR)
            while True:  # closing with unread bytes would reset the connection
                self._wait(select.POLLIN, deadline)
                if not self.discard():
                    return
        except OSError:
            pass


def _next_chunk(parts: Sequence[memoryview], start: int) -> bytes | memoryview:
    """Of the parts' bytes from `start`: a large part as it is, small ones joined."""
    gathered: list[memoryview] = []
    size = 0
    for part in parts:
        if start >= len(part):
            start -= len(part)
            continue
        view = part[start : start + _TLS_CHUNK - size]
        start = 0
        if not gathered and len(view) == _TLS_CHUNK:
            return view
        gathered.append(view)
        size += len(view)
        if size == _TLS_CHUNK:
            break
    return b"".join(gathered)
