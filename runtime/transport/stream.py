"""A channel over any connected stream: TLS between machines, a socket pair inside one process."""

from __future__ import annotations

import contextlib
import math
import re
import select
import time
from collections import deque

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.interrupts import step
from mpcc.runtime.transport.channel import BytesLike, Meter, byte_view
from mpcc.runtime.transport.channel_errors import (
    PeerError,
    connection_lost,
    endless_work,
    idle_talk,
    session_over,
    silence,
    wrong_kind,
    wrong_length,
    wrong_number,
)
from mpcc.runtime.transport.connection import Connection
from mpcc.runtime.transport.frame import (
    ABORT_BYTES,
    HEADER_BYTES,
    SEQUENCE_MODULUS,
    FrameHeader,
    FrameType,
)
from mpcc.runtime.transport.outbox import Outbox
from mpcc.runtime.transport.tls import Peer
from mpcc.runtime.transport.tls_errors import ConnectionFailed
from mpcc.runtime.transport.working import LONGEST_WORK, Deadline, period

DEFAULT_TIMEOUT = 30.0  # seconds without a byte from, or to, the other party
LONGEST_TIMEOUT = 604_800.0  # a week; some system calls take no more than 24 days
SLOWEST_RATE = 50_000.0  # bytes/s; bounds the time of one message from a peer that trickles it
ABORT_LINGER = 1.0  # seconds an aborting party waits for the other to read why
FRAME_BYTES = 1 << 16
_PATIENCE = 0.2  # seconds between looks at whether the session's time is over, or `stop` was called
_EMPTY = memoryview(b"")
_ERROR_CODE = re.compile(rb"MPC-[A-Z][0-9]{3}")


class StreamChannel:
    """Frames over a connection, which it owns. See `Channel` for the contract.

    A tick's messages are gathered into frames of at least `FRAME_BYTES`, but for the last: an error between
    two of them can still be told. Sends and receives are driven together by one poll loop, so that large
    frames in both directions cannot block each other. Every wait ends after `timeout` seconds without
    progress (MPC-R005), and all of them when the session's time is over (MPC-R014): see `limit`. A party
    that computes for long says so, and is waited for: see `working`.
    """

    def __init__(self, connection: Connection, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.meter = Meter()
        self.own: Peer | None = None  # whom this side has shown itself as, by its certificate
        self.peer: Peer | None = None  # and the other side; both None without TLS
        self._connection = connection
        self._timeout = timeout
        self._session_end = math.inf
        self._stopped: MpccError | None = None
        self._outbox = Outbox(connection)
        self._next_sent = 0
        self._next_received = 0
        self._open = True
        self._unannounced: list[memoryview] = []  # of the tick's outgoing bytes, not yet in a frame
        self._outgoing_due = 0  # bytes of the tick that are still to be handed over
        self._incoming_due: deque[int] = deque()  # bytes still to be received, tick by tick
        self._frame_due = 0  # bytes still to be received of a frame whose header was read
        self._header = memoryview(bytearray(HEADER_BYTES))  # of the next frame
        self._header_filled = 0
        self._next_header: FrameHeader | None = None  # read already
        self._limited = False

    def limit(self, silence_seconds: float, session_seconds: float) -> None:
        """From now on, wait so long for a byte, and end so long after now (which may be infinite).

        The other party does the same: from now on both say when they compute for long.
        """
        self._timeout = silence_seconds
        self._session_end = time.monotonic() + session_seconds
        self._limited = True
        self._outbox.say_every(period(silence_seconds), lambda: self._put(FrameType.WORKING))
        self._outbox.leave()

    def stop(self, error: MpccError) -> None:
        """From another thread: the owner's present wait, or its next one, ends with this error."""
        self._stopped = error

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
            self.meter.move(size)
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
            self.meter.move(part)
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
        reply = self.receive_control(kind, maximum)
        self._flush(self._deadline(0))
        return reply

    def send_control(self, kind: FrameType, payload: bytes) -> None:
        """One control frame to the other party. Not counted. Raises MPC-R004..R008."""
        self._queue(kind, memoryview(payload))
        self._flush(self._deadline(0))

    def receive_control(self, kind: FrameType, maximum: int) -> bytes:
        """The payload of the other party's next control frame, of this kind and at most `maximum` bytes.

        Not counted. Raises MPC-R004..R008.
        """
        deadline = self._deadline(maximum)
        header = self._receive_header(kind, deadline)
        if header.length > maximum:
            raise wrong_length(header.length, f"at most {maximum}")
        payload = bytes(self._receive_body(header.length, deadline))
        self._outbox.leave()
        return payload

    def finish(self) -> None:
        """Both parties say that they are done, then close. Raises MPC-R004..R008."""
        self.exchange_control(FrameType.FINISH, b"", maximum=0)
        self.close()

    def abort(self, code: str) -> None:
        """Tell the other party the error code (never the message), then close. Raises nothing."""
        if not self._open:
            return
        self._session_end, self._stopped = math.inf, None
        self._outbox.enter()
        with contextlib.suppress(OSError, MpccError):
            if not self._outbox:  # inside a half-sent frame the code would read as its payload
                self._queue(FrameType.ABORT, memoryview(code.encode("ascii")))
                self._flush(Deadline(ABORT_LINGER))
        self._outbox.clear()
        with contextlib.suppress(OSError):
            self._connection.shutdown()
            self._drain(time.monotonic() + ABORT_LINGER)
        self.close()

    def close(self) -> None:
        self._open = False
        self._outbox.close()
        self._connection.close()

    def _deadline(self, size: int) -> Deadline:
        """For `size` bytes to come, and all that is queued."""
        patience = self._timeout + (size + self._outbox.size) / SLOWEST_RATE
        return Deadline(patience, LONGEST_WORK * self._timeout)

    def _queue(self, kind: FrameType, *payload: memoryview) -> None:
        self._outbox.enter()  # which says nothing now
        self._put(kind, *payload)

    def _put(self, kind: FrameType, *payload: memoryview) -> None:
        header = FrameHeader(kind, self._next_sent % SEQUENCE_MODULUS, sum(map(len, payload))).pack()
        with step:
            self._next_sent += 1
            self._outbox.put(memoryview(header), *payload)

    def _data_frame(self, most: int, deadline: Deadline) -> int:
        """Length of the next frame of a tick of which `most` bytes are due."""
        length = self._receive_header(FrameType.DATA, deadline).length
        if not 0 < length <= most:
            raise wrong_length(length, f"at most {most}")
        return length

    def _receive_header(self, kind: FrameType, deadline: Deadline) -> FrameHeader:
        header = self._parse_header(deadline)
        if header.type is FrameType.ABORT:
            raise self._peer_error(header, deadline)
        if header.type is not kind:
            raise wrong_kind(header.type.name, kind.name)
        return header

    def _parse_header(self, deadline: Deadline) -> FrameHeader:
        while self._next_header is None:
            self._fetch_header(deadline)
        header, self._next_header = self._next_header, None
        return header

    def _fetch_header(self, deadline: Deadline, until_sent: bool = False) -> None:
        """That of the next frame, unless it only says that the other party computes; or a part of it."""
        self._header_filled += self._pump(self._header[self._header_filled :], deadline, until_sent)
        if self._header_filled < HEADER_BYTES:
            return
        self._header_filled = 0
        header = FrameHeader.unpack(self._header)
        expected = self._next_received % SEQUENCE_MODULUS
        if header.sequence != expected:
            raise wrong_number(header.sequence, expected)
        self._next_received += 1
        if header.type is not FrameType.WORKING or not self._limited:
            self._next_header = header
        elif header.length:
            raise wrong_length(header.length, "0")
        elif not deadline.put_off():
            raise idle_talk()

    def _receive_body(self, length: int, deadline: Deadline) -> memoryview:
        buffer = np.empty(length, np.uint8).data if length else _EMPTY
        self._pump(buffer, deadline)
        return buffer

    def _flush(self, deadline: Deadline) -> None:
        """Send what is queued. The other party may compute before it reads it, and say so."""
        while self._outbox:
            if self._frame_due or self._next_header:
                self._pump(_EMPTY, deadline, until_sent=True)
            else:
                self._fetch_header(deadline, until_sent=True)
        self._outbox.leave()

    def _pump(self, incoming: memoryview, deadline: Deadline, until_sent: bool = False) -> int:
        """Send what is queued and fill `incoming`, until that is full or, if asked, until all is sent. How
        much of it is filled.
        """
        self._outbox.enter()
        idle_deadline = time.monotonic() + self._timeout
        filled = 0
        while self._outbox if until_sent else filled < len(incoming):
            sent = self._send_some()
            received = self._receive_some(incoming[filled:]) if len(incoming) else 0
            filled += received
            now = time.monotonic()
            if sent or received:
                idle_deadline = now + self._timeout
            if now >= self._session_end:
                raise session_over()
            if self._stopped is not None:
                raise self._stopped
            if filled and filled == len(incoming):
                break  # what has come is not late, though this party may be
            remaining = min(deadline.end, idle_deadline) - now
            if remaining <= 0:
                worked = LONGEST_WORK * self._timeout
                raise endless_work(worked) if now >= deadline.last else silence(self._timeout)
            if not (sent or received):
                self._wait(bool(len(incoming)), min(remaining, _PATIENCE))
        return filled

    def _wait(self, reading: bool, seconds: float) -> bool:
        """Wait until the socket is ready; False when the time is over."""
        if seconds <= 0:
            return False
        poller = select.poll()
        events = (select.POLLIN if reading else 0) | (select.POLLOUT if self._outbox else 0)
        poller.register(self._connection, events)
        return bool(poller.poll(seconds * 1000))

    def _send_some(self) -> int:
        try:
            return self._outbox.push()
        except OSError:
            raise self._find_abort() from None

    def _receive_some(self, buffer: memoryview) -> int:
        try:
            received = self._connection.receive_into(buffer)
        except OSError:
            received = 0
        if received == 0:
            raise connection_lost()
        return received or 0

    def _find_abort(self) -> MpccError:
        """After a failed send: why the peer ended, if it left word, else that the connection is lost."""
        self._outbox.clear()
        self._session_end, self._stopped = math.inf, None
        deadline = Deadline(ABORT_LINGER)
        try:
            self._skip(self._frame_due, deadline)
            while (header := self._parse_header(deadline)).type is not FrameType.ABORT:
                if time.monotonic() >= deadline.end:  # of a flood, of which there is always more
                    return connection_lost()
                self._skip(header.length, deadline)
            return self._peer_error(header, deadline)
        except ConnectionFailed as error:
            return error
        except MpccError:
            return connection_lost()

    def _peer_error(self, header: FrameHeader, deadline: Deadline) -> MpccError:
        if header.length != ABORT_BYTES:
            return wrong_length(header.length, str(ABORT_BYTES))
        raw = bytes(self._receive_body(ABORT_BYTES, deadline))
        return PeerError(raw.decode("ascii") if _ERROR_CODE.fullmatch(raw) else "")

    def _skip(self, length: int, deadline: Deadline) -> None:
        while length:
            if time.monotonic() >= deadline.end:
                raise silence(ABORT_LINGER)
            chunk = min(length, 1 << 16)
            self._receive_body(chunk, deadline)
            length -= chunk

    def _drain(self, deadline: float) -> None:
        """Discard what the peer still sends: closing with unread bytes would reset the connection."""
        while self._wait(True, deadline - time.monotonic()) and self._connection.discard():
            pass
