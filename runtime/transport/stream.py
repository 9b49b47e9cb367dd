"""A channel over any connected stream socket: TCP between machines, a socket pair inside one process."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.error_codes import ERROR_CODES
from mpcc.runtime.transport.channel import BytesLike, Meter, byte_view
from mpcc.runtime.transport.frame import (
    ABORT_BYTES,
    HEADER_BYTES,
    SEQUENCE_MODULUS,
    FrameHeader,
    FrameType,
)

DEFAULT_TIMEOUT = 30.0  # seconds without a byte from, or to, the other party
SLOWEST_RATE = 50_000.0  # bytes/s; bounds the time of one message from a peer that trickles it
ABORT_LINGER = 1.0  # seconds an aborting party waits for the other to read why
_EMPTY = memoryview(b"")
_ERROR_CODE = re.compile(rb"MPC-[A-Z][0-9]{3}")


class StreamChannel:
    """Frames over a connected stream socket, which it owns. See `Channel` for the contract.

    Sends and receives are driven together by one poll loop, so that large frames in both directions cannot
    block each other. Every wait ends after `timeout` seconds without progress (MPC-R005).
    """

    def __init__(self, connection: socket.socket, timeout: float = DEFAULT_TIMEOUT) -> None:
        connection.setblocking(False)
        self.meter = Meter()
        self._socket = connection
        self._timeout = timeout
        self._unsent: list[memoryview] = []
        self._next_sent = 0
        self._next_received = 0
        self._open = True

    def exchange(self, outgoing: BytesLike, incoming_length: int) -> memoryview:
        payload = byte_view(outgoing)
        received = _EMPTY
        deadline = self._deadline(len(payload) + incoming_length)
        if len(payload):
            self._queue(FrameType.DATA, payload)
        if incoming_length:
            received = self._receive(FrameType.DATA, incoming_length, deadline)
        self._flush(deadline)
        self.meter.record(len(payload), incoming_length)
        return received

    def synchronise(self) -> None:
        self.exchange_control(FrameType.READY, b"", maximum=0)

    def exchange_control(self, kind: FrameType, payload: bytes, maximum: int) -> bytes:
        """Swap one control frame of the same kind with the other party, of at most `maximum` payload bytes.

        Not counted. Raises MPC-R004..R008.
        """
        deadline = self._deadline(len(payload) + maximum)
        self._queue(kind, memoryview(payload))
        header = self._receive_header(kind, deadline)
        if header.length > maximum:
            raise _wrong_length(header.length, f"at most {maximum}")
        reply = bytes(self._receive_body(header.length, deadline))
        self._flush(deadline)
        return reply

    def finish(self) -> None:
        """Both parties say that they are done, then close. Raises MPC-R004..R008."""
        self.exchange_control(FrameType.FINISH, b"", maximum=0)
        self.close()

    def abort(self, code: str) -> None:
        """Tell the other party the error code (never the message), then close. Raises nothing."""
        if not self._open:
            return
        with contextlib.suppress(OSError, MpccError):
            if not self._unsent:  # inside a half-sent frame the code would read as its payload
                self._queue(FrameType.ABORT, memoryview(code.encode("ascii")))
                self._flush(time.monotonic() + ABORT_LINGER)
            self._socket.shutdown(socket.SHUT_WR)
            self._drain(time.monotonic() + ABORT_LINGER)
        self.close()

    def close(self) -> None:
        self._open = False
        self._socket.close()

    def _deadline(self, size: int) -> float:
        return time.monotonic() + self._timeout + size / SLOWEST_RATE

    def _queue(self, kind: FrameType, payload: memoryview) -> None:
        header = FrameHeader(kind, self._next_sent % SEQUENCE_MODULUS, len(payload)).pack()
        self._next_sent += 1
        self._unsent.append(memoryview(header))
        if len(payload):
            self._unsent.append(payload)

    def _receive(self, kind: FrameType, length: int, deadline: float) -> memoryview:
        header = self._receive_header(kind, deadline)
        if header.length != length:
            raise _wrong_length(header.length, str(length))
        return self._receive_body(length, deadline)

    def _receive_header(self, kind: FrameType, deadline: float) -> FrameHeader:
        header = self._parse_header(deadline)
        if header.type is FrameType.ABORT:
            raise self._peer_error(header, deadline)
        if header.type is not kind:
            raise MpccError(
                "MPC-R006",
                f"the other party sent a {header.type.name} message where {kind.name} was due",
                remedy="run the two folders of one compilation on both sides",
            )
        return header

    def _parse_header(self, deadline: float) -> FrameHeader:
        header = FrameHeader.unpack(self._receive_body(HEADER_BYTES, deadline))
        expected = self._next_received % SEQUENCE_MODULUS
        if header.sequence != expected:
            raise MpccError(
                "MPC-R007",
                f"the other party sent message {header.sequence} where {expected} was due",
                remedy="run the two folders of one compilation on both sides",
            )
        self._next_received += 1
        return header

    def _receive_body(self, length: int, deadline: float) -> memoryview:
        buffer = np.empty(length, np.uint8).data if length else _EMPTY
        self._pump(buffer, deadline)
        return buffer

    def _flush(self, deadline: float) -> None:
        if self._unsent:
            self._pump(_EMPTY, deadline, until_sent=True)

    def _pump(self, incoming: memoryview, deadline: float, until_sent: bool = False) -> None:
        """Send what is queued and fill `incoming`; return when it is full (and, if asked, all is sent)."""
        idle_deadline = time.monotonic() + self._timeout
        while len(incoming) or (until_sent and self._unsent):
            sent = self._send_some()
            received = self._receive_some(incoming) if len(incoming) else 0
            incoming = incoming[received:]
            now = time.monotonic()
            if sent or received:
                idle_deadline = now + self._timeout
            elif not self._wait(bool(len(incoming)), min(deadline, idle_deadline) - now):
                raise MpccError(
                    "MPC-R005",
                    f"the other party did not answer within {self._timeout:g} s",
                    remedy="see the other party's output; raise --timeout if it is only slow",
                )

    def _wait(self, reading: bool, seconds: float) -> bool:
        """Wait until the socket is ready; False when the time is over."""
        if seconds <= 0:
            return False
        poller = select.poll()
        events = (select.POLLIN if reading else 0) | (select.POLLOUT if self._unsent else 0)
        poller.register(self._socket, events)
        return bool(poller.poll(seconds * 1000))

    def _send_some(self) -> int:
        if not self._unsent:
            return 0
        try:
            sent = total = self._socket.sendmsg(self._unsent)
        except BlockingIOError:
            return 0
        except OSError:
            raise self._find_abort() from None
        while sent:
            taken = min(sent, len(self._unsent[0]))
            self._unsent[0] = self._unsent[0][taken:]
            sent -= taken
            if not len(self._unsent[0]):
                self._unsent.pop(0)
        return total

    def _receive_some(self, buffer: memoryview) -> int:
        try:
            received = self._socket.recv_into(buffer)
        except BlockingIOError:
            return 0
        except OSError:
            received = 0
        if not received:
            raise _connection_lost()
        return received

    def _find_abort(self) -> MpccError:
        """After a failed send: the peer's error code if it left one, else that the connection is lost."""
        self._unsent.clear()
        deadline = time.monotonic() + ABORT_LINGER
        try:
            while True:
                header = self._parse_header(deadline)
                if header.type is FrameType.ABORT:
                    return self._peer_error(header, deadline)
                self._skip(header.length, deadline)
        except MpccError:
            return _connection_lost()

    def _peer_error(self, header: FrameHeader, deadline: float) -> MpccError:
        if header.length != ABORT_BYTES:
            return _wrong_length(header.length, str(ABORT_BYTES))
        raw = bytes(self._receive_body(ABORT_BYTES, deadline))
        code = raw.decode("ascii") if _ERROR_CODE.fullmatch(raw) else ""
        cause = ERROR_CODES.get(code)
        detail = f"{code}, {cause}" if cause else "a code this version does not know"
        return MpccError(
            "MPC-R008",
            f"the other party stopped with an error: {detail}",
            remedy="the other party's own output says more",
        )

    def _skip(self, length: int, deadline: float) -> None:
        while length:
            chunk = min(length, 1 << 16)
            self._receive_body(chunk, deadline)
            length -= chunk

    def _drain(self, deadline: float) -> None:
        """Discard what the peer still sends: closing with unread bytes would reset the connection."""
        while self._wait(True, deadline - time.monotonic()) and self._socket.recv(1 << 16):
            pass


def _connection_lost() -> MpccError:
    return MpccError(
        "MPC-R004",
        "the other party closed the connection before the run was complete",
        remedy="see the other party's output, then start both parties again",
    )


def _wrong_length(length: int, expected: str) -> MpccError:
    return MpccError(
        "MPC-R006",
        f"the other party announced a message of {length} bytes where {expected} were due",
        remedy="run the two folders of one compilation on both sides",
    )
