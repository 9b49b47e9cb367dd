"""The file of one session's correlations: written piece by piece, read piece by piece, just before use.

A 128-byte header (format, program hash, session id, seed, payload length, digest), the payload (party 1's
corrections in pieces, one a derived slot; nothing for party 0) and a table of the pieces: each one's length
and SHA-256. The header's digest covers its fields and the table, so that a piece is as certain as the header
once its own digest agrees: no byte is used before that, and none but the piece being read is in memory.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import struct
import weakref
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport.channel import BytesLike, byte_view

SEED_BYTES = 16
SESSION_ID_BYTES = 16
SESSION_HEADER_BYTES = 128
_MAGIC = b"mpccses2"
_FIELDS = struct.Struct("<8s32s16s16sQ")
_PIECE = struct.Struct("<Q32s")
_NEXT_SESSION = "start both parties again for the next session, or copy the store again, completely"


class Payload(Protocol):
    """Party 1's corrections: bytes in memory, or those of a session's file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> memoryview: ...


class StoredPayload:
    """The payload in a session's file, closed with this object. Threads may read at the same time."""

    def __init__(self, path: Path, descriptor: int, table: list[tuple[int, bytes]]) -> None:
        self._path = path
        self._descriptor = descriptor
        self._digests = [digest for _, digest in table]
        self._starts = [0, *itertools.accumulate(length for length, _ in table)]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, part: slice, /) -> memoryview:
        """Whole pieces, read and checked. Raises MPC-S008, and RuntimeError for a part of a piece."""
        start, stop, _ = part.indices(len(self))
        first, last = (bisect_left(self._starts, position) for position in (start, stop))
        if (self._starts[first], self._starts[last]) != (start, stop):
            raise RuntimeError("the program draws other corrections than were dealt")
        offset = SESSION_HEADER_BYTES + start
        contents = memoryview(_read(self._descriptor, offset, stop - start, self._path))
        for number in range(first, last):
            piece = contents[self._starts[number] - start : self._starts[number + 1] - start]
            if hashlib.sha256(piece).digest() != self._digests[number]:
                raise _damaged(self._path)
        return contents


def write_session(
    path: Path, program_hash: str, session_id: bytes, seed: bytes, pieces: Iterable[BytesLike]
) -> int:
    """Write a session's file, durably: 16-byte id, 16-byte seed, payload. Returns the payload's bytes."""
    assert len(session_id) == SESSION_ID_BYTES
    assert len(seed) == SEED_BYTES
    table, length = bytearray(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.seek(SESSION_HEADER_BYTES)
        for piece in pieces:
            view = byte_view(piece)
            if view.nbytes:
                table += _PIECE.pack(view.nbytes, hashlib.sha256(view).digest())
                length += file.write(view)
        file.write(table)
        fields = _FIELDS.pack(_MAGIC, bytes.fromhex(program_hash), session_id, seed, length)
        file.seek(0)
        file.write(_header(fields, bytes(table)))
        file.flush()
        os.fsync(file.fileno())
    return length


def open_session(path: Path, program_hash: str, session_id: bytes) -> tuple[bytes, StoredPayload]:
    """Seed and payload of a session's file, whose header and table are checked here and whose pieces are when
    they are read. Raises MPC-S007, MPC-S008.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise _missing(path) from None
    try:
        size = os.fstat(descriptor).st_size
        if size < SESSION_HEADER_BYTES:
            raise _missing(path)
        header = _read(descriptor, 0, SESSION_HEADER_BYTES, path)
        seed, length = _FIELDS.unpack_from(header)[3:]
        fields = _FIELDS.pack(_MAGIC, bytes.fromhex(program_hash), session_id, seed, length)
        end = SESSION_HEADER_BYTES + length
        if not header.startswith(fields) or end > size or (size - end) % _PIECE.size:
            raise _damaged(path)
        contents = _read(descriptor, end, size - end, path)
        table = list(_PIECE.iter_unpack(contents))
        if header != _header(fields, contents) or sum(n for n, _ in table) != length:
            raise _damaged(path)
        payload = StoredPayload(path, descriptor, table)
    except BaseException:
        os.close(descriptor)
        raise
    weakref.finalize(payload, os.close, descriptor)
    return seed, payload


def _header(fields: bytes, table: bytes) -> bytes:
    return (fields + hashlib.sha256(fields + table).digest()).ljust(SESSION_HEADER_BYTES, b"\0")


def _read(descriptor: int, offset: int, length: int, path: Path) -> bytes:
    parts = []
    while length:
        try:
            part = os.pread(descriptor, length, offset)
        except OSError:
            part = b""
        if not part:
            raise _damaged(path)
        parts.append(part)
        offset, length = offset + len(part), length - len(part)
    return b"".join(parts)


def _missing(path: Path) -> MpccError:
    return MpccError(
        "MPC-S007",
        "the session's file is missing or truncated; the session is used up",
        where=str(path),
        remedy=_NEXT_SESSION,
    )


def _damaged(path: Path) -> MpccError:
    return MpccError(
        "MPC-S008",
        "the session's file is damaged, truncated or of another store; the session is used up",
        where=str(path),
        remedy=_NEXT_SESSION,
    )
