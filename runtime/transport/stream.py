"""A channel over any connected stream socket: TCP between machines, a socket pair inside one process."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections import deque

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
from mpcc.runtime.transport.outbox import Outbox

DEFAULT_TIMEOUT = 30.0  # seconds without a byte from, or to, the other party
SLOWEST_RATE = 50_000.0  # bytes/s; bounds the time of one message from a peer that trickles it
ABORT_LINGER = 1.0  # seconds an aborting party waits for the other to read why
FRAME_BYTES = 1 << 16
_EMPTY = memoryview(b"")
_ERROR_CODE = re.compile(rb"MPC-[A-Z][0-9]{3}")


class StreamChannel:
    """Frames over a connected stream socket, which it owns. See `Channel` for the contract.

    A tick's messages are gathered into frames of at least `FRAME_BYTES`, but for the last: an error between
    two of them can still be told. Sends and receives are driven together by one poll loop, so that large
    frames in both directions cannot block each other. Every wait ends after `timeout` seconds without
    progress (MPC-R005).
    """

    def __init__(self, connection: socket.socket, timeout: float = DEFAULT_TIMEOUT) -> None:
        connection.setblocking(False)
        self.meter = Meter()
        self._socket = connection
        self._timeout = timeout
        self._outbox = Outbox(connection)
        self._next_sent = 0
        self._next_received = 0
        self._open = True
        self._unannounced: list[memoryview] = []  # of the tick's outgoing bytes, not yet in a frame
        self._outgoing_due = 0  # bytes of the tick that are still to be handed over
        self._incoming_due: deque[int] = deque()  # bytes still to be received, tick by tick
        self._frame_due = 0  # bytes still to be received of a frame whose header was read

    def start_tick(self, outgoing_length: int, incoming_length: int) -> None:
        if self._outgoing_due:
            raise RuntimeError(f"a tick ends {self._outgoing_due} bytes early")
        self._outgoing_due = outgoing_length
        if incoming_length:
            self._incoming_due.append(incoming_length)
        self.meter.record(outgoing_length, incoming_length)

    def send(self, data: BytesLike) -> None:
        view = byte_view(data)
        if len(view) > self._outgoing_due:
            raise RuntimeError(f"a tick sends {len(view)} bytes where {self._outgoing_due} are due")
        self._outgoing_due -= len(view)
        self._unannounced.append(view)
        size = sum(map(len, self._unannounced))
        if size and (size >= FRAME_BYTES or not self._outgoing_due):
            self._queue(FrameType.DATA, *self._unannounced)
            self._unannounced.clear()
            self.meter.record_frame()
            self._send_some()
            self._outbox.leave()

    def receive(self, length: int) -> memoryview:
        if not length:
            return _EMPTY
        if not self._incoming_due or length > self._incoming_due[0]:
            raise RuntimeError(f"{length} bytes are asked for that no tick announced")
        buffer = np.empty(length, np.uint8).data
        deadline = self._deadline(length)
        filled = 0
        while filled < length:
            if not self._frame_due:
                self._frame_due = self._data_frame(self._incoming_due[0], deadline)
            part = min(length - filled, self._frame_due)
            self._pump(buffer[filled : filled + part], deadline)
            filled += part
            self._frame_due -= part
            self._incoming_due[0] -= part
        if not self._incoming_due[0]:
            self._incoming_due.popleft()
        self._outbox.leave()
        return buffer

    def exchange(self, outgoing: BytesLike, incoming_length: int) -> memoryview:
        payload = byte_view(outgoing)
        self.start_tick(len(payload), incoming_length)
        self.send(payload)
        received = self.receive(incoming_length)
        self._flush(self._deadline(0))
        return received

    def synchronise(self) -> None:
        self.exchange_control(FrameType.READY, b"", maximum=0)

    def exchange_control(self, kind: FrameType, payload: bytes, maximum: int) -> bytes:
        """Swap one control frame of the same kind with the other party, of at most `maximum` payload bytes.

        Not counted. Raises MPC-R004..R008.
        """
        self._queue(kind, memoryview(payload))
        deadline = self._deadline(maximum)
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
            if not self._outbox:  # inside a half-sent frame the code would read as its payload
                self._queue(FrameType.ABORT, memoryview(code.encode("ascii")))
                self._flush(time.monotonic() + ABORT_LINGER)
            self._socket.shutdown(socket.SHUT_WR)
            self._drain(time.monotonic() + ABORT_LINGER)
        self.close()

    def close(self) -> None:
        self._open = False
        self._outbox.close()
        self._socket.close()

    def _deadline(self, size: int) -> float:
        """For `size` bytes to come, and all that is queued."""
        return time.monotonic() + self._timeout + (size + self._outbox.size) / SLOWEST_RATE

    def _queue(self, kind: FrameType, *payload: memoryview) -> None:
        header = FrameHeader(kind, self._next_sent % SEQUENCE_MODULUS, sum(map(len, payload))).pack()
        self._next_sent += 1
        self._outbox.put(memoryview(header), *payload)

    def _data_frame(self, most: int, deadline: float) -> int:
        """Length of the next frame of a tick of which `most` bytes are due."""
        length = self._receive_header(FrameType.DATA, deadline).length
        if not 0 < length <= most:
            raise _wrong_length(length, f"at most {most}")
        return length

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
        if self._outbox:
            self._pump(_EMPTY, deadline, until_sent=True)

    def _pump(self, incoming: memoryview, deadline: float, until_sent: bool = False) -> None:
        """Send what is queued and fill `incoming`; return when it is full (and, if asked, all is sent)."""
        self._outbox.enter()
        idle_deadline = time.monotonic() + self._timeout
        while len(incoming) or (until_sent and self._outbox):
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
        events = (select.POLLIN if reading else 0) | (select.POLLOUT if self._outbox else 0)
        poller.register(self._socket, events)
        return bool(poller.poll(seconds * 1000))

    def _send_some(self) -> int:
        try:
            return self._outbox.push()
        except OSError:
            raise self._find_abort() from None

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
        self._outbox.clear()
        deadline = time.monotonic() + ABORT_LINGER
        try:
            self._skip(self._frame_due, deadline)
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
