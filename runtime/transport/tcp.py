"""TCP: party 0 listens, party 1 connects."""

from __future__ import annotations

import socket
import time

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.stream import StreamChannel

RETRY_SECONDS = 0.05


class Listener:
    """A bound, listening socket. Use as a context manager."""

    def __init__(self, address: Address) -> None:
        """Raises MPC-R001 when the address cannot be bound. Port 0 takes a free port, see `port`."""
        try:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            self._socket = socket.create_server((address.host, address.port), family=family, backlog=8)
        except OSError as error:
            raise MpccError(
                "MPC-R001",
                f"cannot listen on {address}: {error.strerror or 'address not usable'}",
                remedy="end the process that uses the port, or give another one with --listen",
            ) from None
        self.port: int = self._socket.getsockname()[1]

    def accept(self, timeout: float, wait: float | None) -> StreamChannel:
        """The next connection, as a channel with `timeout`.

        Raises MPC-R002 when none came within `wait` seconds; None waits for ever.
        """
        self._socket.settimeout(wait)
        try:
            connection, _ = self._socket.accept()
        except TimeoutError:
            raise MpccError(
                "MPC-R002",
                f"the other party did not connect within {wait:g} s",
                remedy="start party 1 with --connect and this machine's address and port, or raise --timeout",
            ) from None
        return _tuned_channel(connection, timeout)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(address: Address, timeout: float) -> StreamChannel:
    """Connect to party 0, trying again until `timeout` s are over: it may start later. Raises MPC-R003."""
    deadline = time.monotonic() + timeout
    host = address.host or "localhost"
    while True:
        remaining = deadline - time.monotonic()
        try:
            connection = socket.create_connection((host, address.port), max(remaining, RETRY_SECONDS))
            return _tuned_channel(connection, timeout)
        except OSError as error:
            name_unknown = isinstance(error, socket.gaierror)
            if name_unknown or time.monotonic() + RETRY_SECONDS >= deadline:
                raise MpccError(
                    "MPC-R003",
                    f"cannot reach the other party at {address}: {error.strerror or 'no answer'}"
                    + ("" if name_unknown else f" (tried for {timeout:g} s)"),
                    remedy="start party 0 with --listen first, and check host, port and firewall",
                ) from None
        time.sleep(RETRY_SECONDS)


def _tuned_channel(connection: socket.socket, timeout: float) -> StreamChannel:
    # Buffer sizes stay the kernel's: setting them turns off its tuning to the link's bandwidth-delay product.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return StreamChannel(connection, timeout)
