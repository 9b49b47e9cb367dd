"""The file of one session's correlations: party 1's corrections in pieces, one a derived slot (nothing for
party 0), and the seed. It is read piece by piece, just before use; none but the piece that is read is in
memory.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Protocol

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.store.bulk import NewFile, OpenFile
from mpcc.runtime.store.pieces import TRAILER_BYTES, Pieces, PieceWriter
from mpcc.runtime.store.sealing import Damaged, Sealing
from mpcc.runtime.transport.channel import BytesLike

SEED_BYTES = 16
SESSION_ID_BYTES = 16
NEXT_SESSION = "start both parties again for the next session, or copy the store again, completely"


class Payload(Protocol):
    """Party 1's corrections: bytes in memory, or those of a session's file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> memoryview: ...


class StoredPayload:
    """The payload in a session's file. Threads may read at the same time."""

    def __init__(self, file: OpenFile, sealing: Sealing, context: bytes, where: str) -> None:
        """Reads nothing yet. `close` closes the file, once; who forgets it leaves that to the interpreter."""
        self._file = file
        self._sealing = sealing
        self._context = context
        self._where = where
        self.close = weakref.finalize(self, file.close)

    def check(self) -> None:
        """Reads the file's tail; `seed` and `len` are known then. Raises MPC-S007, MPC-S008."""
        if self._file.size < TRAILER_BYTES:
            raise missing(self._where)
        try:
            self._pieces = Pieces(self._file, self._sealing, self._context, SEED_BYTES)
        except Damaged:
            raise _damaged(self._where) from None
        self.seed = self._pieces.secret

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, part: slice, /) -> memoryview:
        """Whole pieces, read and checked. Raises MPC-S008, and RuntimeError for a part of a piece."""
        try:
            return self._pieces[part]
        except Damaged:
            raise _damaged(self._where) from None


def session_context(program_hash: str, session_id: bytes) -> bytes:
    """What a session's pieces are bound to."""
    return b"session" + bytes.fromhex(program_hash) + session_id


def write_session(
    file: NewFile, sealing: Sealing, context: bytes, seed: bytes, pieces: Iterable[BytesLike]
) -> int:
    """Write a session's file, durably: 16-byte seed, payload. Returns the payload's bytes."""
    assert len(seed) == SEED_BYTES
    writer = PieceWriter(file, sealing, context)
    length = sum(map(writer.add, pieces))
    writer.finish(seed)
    file.finish()
    return length


def missing(where: str) -> MpccError:
    return MpccError(
        "MPC-S007",
        "the session's file is missing or truncated; the session is used up",
        where=where,
        remedy=NEXT_SESSION,
    )


def _damaged(where: str) -> MpccError:
    return MpccError(
        "MPC-S008",
        "the session's file is damaged, truncated or of another store; the session is used up",
        where=where,
        remedy=NEXT_SESSION,
    )
