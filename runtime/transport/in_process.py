"""Both parties in one process, for tests: the same frames and counters over a socket pair."""

from __future__ import annotations

import socket

from mpcc.runtime.transport.connection import PlainConnection
from mpcc.runtime.transport.stream import DEFAULT_TIMEOUT, StreamChannel


def channel_pair(timeout: float = DEFAULT_TIMEOUT) -> tuple[StreamChannel, StreamChannel]:
    """Two connected channels; run each party in its own thread."""
    first, second = socket.socketpair()
    return StreamChannel(PlainConnection(first), timeout), StreamChannel(PlainConnection(second), timeout)
