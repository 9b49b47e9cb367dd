"""TCP: one side listens, the other connects; both with TLS, or on this machine only."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import time
from typing import Any

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.connection import PlainConnection, TlsConnection
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.transport.tls import Credentials, Role, Security, read_certificate
from mpcc.runtime.transport.tls_errors import handshake_failure, no_tls, wrong_role

RETRY_SECONDS = 0.05
BACKLOG = 128  # connections that the system completes before they are accepted
_TLS_HANDSHAKE = 0x16  # the first byte of every TLS client
_WHO_LISTENS = {  # and how it is started
    Role.PARTY0: ("the other party", "party 0"),
    Role.DEALER: ("the dealer", "mpcc dealer"),
}


class ListenerClosed(Exception):
    """The listener was closed while, or before, it was asked for a caller."""


class Listener:
    """A bound, listening socket. Use as a context manager."""

    def __init__(self, address: Address, security: Security) -> None:
        """Raises MPC-R001 when the address cannot be bound, MPC-R050 when it must not be. Port 0 takes a free
        port, see `port`.
        """
        self._security = security
        try:
            # IPv4 first: one socket cannot serve both, and a client tries all addresses of a name
            family, where = min(_resolve(address, security, listening=True), key=lambda one: one[0])
            self._socket = socket.create_server(where, family=family, backlog=BACKLOG)
        except (OSError, ValueError) as error:
            raise MpccError(
                "MPC-R001",
                f"cannot listen on {address}: {_cause(error) or 'address not usable'}",
                remedy="end the process that uses the port, or give another one with --listen",
            ) from None
        self._socket.setblocking(False)
        self._woken, self._waker = socket.socketpair()
        self._poller = select.poll()
        self._poller.register(self._socket, select.POLLIN)
        self._poller.register(self._woken, select.POLLIN)
        self._open = True
        self.port: int = self._socket.getsockname()[1]

    def accept(self, wait: float | None) -> Caller:
        """The next connection, of which nothing is known yet.

        Raises MPC-R002 when none came within `wait` seconds; None waits for ever. Raises ListenerClosed when
        another thread closes the listener.
        """
        deadline = None if wait is None else time.monotonic() + wait
        while self._wait(deadline):
            try:
                connection, address = self._socket.accept()
            except BlockingIOError:
                continue  # the caller is gone again
            except OSError:  # too many open files, say: an old connection must end first
                time.sleep(RETRY_SECONDS)
                continue
            return Caller(_tuned(connection), Address(address[0], address[1]), self._security)
        raise MpccError(
            "MPC-R002",
            f"the other party did not connect within {wait:g} s",
            remedy="start party 1 with --connect and this machine's address and port, or raise --timeout",
        )

    def close(self) -> None:
        """May be called from another thread, and again."""
        self._open = False
        self._waker.close()
        self._socket.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, deadline: float | None) -> bool:
        """Whether there is a connection before the deadline."""
        milliseconds = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
        arrived = bool(self._poller.poll(milliseconds))
        if not self._open:
            raise ListenerClosed
        return arrived


class Caller:
    """An accepted connection. Who it is, `channel` finds out; `address` is where it comes from."""

    def __init__(self, connection: socket.socket, address: Address, security: Security) -> None:
        self.address = address
        self._socket = connection
        self._security = security

    def channel(self, timeout: float, expected: frozenset[Role]) -> StreamChannel:
        """A channel with `timeout`, after the TLS handshake, which takes no longer either.

        Raises MPC-R004, R005, R053..R059; the connection is closed then, and the caller told why.
        """
        tls = self._security.tls
        if tls is None:
            return StreamChannel(PlainConnection(self._socket), timeout)
        deadline = time.monotonic() + timeout
        try:
            if self._first_byte(deadline) != _TLS_HANDSHAKE:
                StreamChannel(PlainConnection(self._socket), timeout).abort("MPC-R059")
                raise no_tls("it does not speak TLS")
        except OSError as error:
            self.close()
            raise handshake_failure(error) from None
        return _secured(self._socket, tls, deadline, timeout, expected)

    def wait(self, seconds: float) -> bool:
        """Whether it says anything, or hangs up, within so many seconds."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return bool(poller.poll(seconds * 1000))

    def hang_up(self) -> None:
        """From another thread: ends whatever `wait` or `channel` waits for, and the channel."""
        with contextlib.suppress(OSError):  # it is closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    def _first_byte(self, deadline: float) -> int:
        self._socket.settimeout(max(deadline - time.monotonic(), 0))
        first = self._socket.recv(1, socket.MSG_PEEK)
        if not first:
            raise ConnectionResetError
        return first[0]


def connect(address: Address, timeout: float, security: Security, expected: Role) -> StreamChannel:
    """Connect to a listener, trying again until `timeout` s are over: it may start later.

    The TLS handshake may take as long again. Raises MPC-R003..R005, R050, R053..R059.
    """
    deadline = time.monotonic() + timeout
    address = Address(address.host or "localhost", address.port)
    while True:
        try:
            connection = _dial(address, security, max(deadline - time.monotonic(), RETRY_SECONDS))
            break
        except (OSError, ValueError) as error:
            name_unknown = isinstance(error, socket.gaierror | ValueError)
            if name_unknown or time.monotonic() + RETRY_SECONDS >= deadline:
                who, start = _WHO_LISTENS[expected]
                raise MpccError(
                    "MPC-R003",
                    f"cannot reach {who} at {address}: {_cause(error) or 'no answer'}"
                    + ("" if name_unknown else f" (tried for {timeout:g} s)"),
                    remedy=f"start {start} with --listen first, and check host, port and firewall",
                ) from None
        time.sleep(RETRY_SECONDS)
    if security.tls is None:
        return StreamChannel(PlainConnection(connection), timeout)
    handshake_end = time.monotonic() + timeout
    return _secured(connection, security.tls, handshake_end, timeout, frozenset([expected]), address.host)


def _dial(address: Address, security: Security, seconds: float) -> socket.socket:
    """Connect to the first of the host's addresses that answers. Raises OSError, ValueError, MPC-R050."""
    failure: OSError | None = None
    for family, where in _resolve(address, security, listening=False):
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(seconds)
        try:
            connection.connect(where)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return _tuned(connection)
    raise failure or OSError


def _secured(
    connection: socket.socket,
    credentials: Credentials,
    deadline: float,
    timeout: float,
    expected: frozenset[Role],
    server_hostname: str | None = None,
) -> StreamChannel:
    """The TLS handshake and the check of the other side's role."""
    from cryptography import x509

    context = credentials.client_context if server_hostname else credentials.server_context
    tls = TlsConnection(connection, context, server_hostname=server_hostname)
    try:
        tls.handshake(deadline)
    except MpccError:
        tls.close()
        raise
    channel = StreamChannel(tls, timeout)
    channel.own = credentials.own
    try:
        _, channel.peer = read_certificate(x509.load_der_x509_certificate, tls.certificate())
        if channel.peer.role not in expected:
            raise ValueError(
                f"it is that of {channel.peer.role}, and {' or '.join(sorted(expected))} was expected"
            )
    except ValueError as error:
        channel.abort("MPC-R057")
        raise wrong_role(str(error)) from None
    return channel


def _resolve(address: Address, security: Security, *, listening: bool) -> list[tuple[int, Any]]:
    """Address family and socket address of the host's addresses. Raises OSError, ValueError, MPC-R050."""
    flags = socket.AI_PASSIVE if listening else 0
    entries = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=flags)
    if security.needs_loopback and not all(
        ipaddress.ip_address(where[0]).is_loopback for *_, where in entries
    ):
        host = address.host or "every interface"
        raise MpccError(
            "MPC-R050",
            f"{host} is not only this machine, and without TLS everybody on the way could read and change "
            "what the parties send",
            remedy="give --tls FOLDER, 127.0.0.1 for this machine alone, or --insecure-plaintext if the "
            "network itself is protected",
        )
    return [(family, where) for family, _, _, _, where in entries]


def _tuned(connection: socket.socket) -> socket.socket:
    # Buffer sizes stay the kernel's: setting them turns off its tuning to the link's bandwidth-delay product.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _cause(error: Exception) -> str | None:
    if isinstance(error, ValueError):
        return "not a valid host name"
    reason: str | None = getattr(error, "strerror", None)
    return reason and reason.partition(" (while")[0]  # Python adds the address, as a tuple
