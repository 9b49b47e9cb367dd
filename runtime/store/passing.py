"""A session for the run that made it: in no store, in a file without a name.

So it can be used by no other run, and nothing of it is left when the process ends, however it does. What is
on the disk meanwhile is encrypted with a key that is in memory only.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path

from mpcc.runtime.store.bulk import not_written, read_at
from mpcc.runtime.store.sealing import KEY_BYTES, SALT_BYTES, Sealing, StoreKey
from mpcc.runtime.store.session_file import StoredPayload, session_context, write_session
from mpcc.runtime.store.store import Session
from mpcc.runtime.transport.channel import BytesLike


def passing_session(
    program_hash: str, session_id: bytes, seed: bytes, pieces: Iterable[BytesLike]
) -> Session:
    """`pieces` are the payload as it will be read, one a derived slot; one is in memory at a time.

    Raises MPC-S011, and what `pieces` raises.
    """
    sealing = Sealing(StoreKey(secrets.token_bytes(KEY_BYTES)), secrets.token_bytes(SALT_BYTES))
    context = session_context(program_hash, session_id)
    try:
        file = _NamelessFile()
        try:
            write_session(file, sealing, context, seed, pieces)
            payload = StoredPayload(file, sealing, context, "a temporary file")
            payload.check()
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise not_written(Path(tempfile.tempdir or "the temporary folder"), error) from None
    return Session(session_id, seed, payload, None, close=payload.close)


class _NamelessFile:
    """Written, then read. Nothing of it need survive a crash."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self.size = 0

    def write(self, data: bytes | memoryview, /) -> object:
        return self._file.write(data)

    def finish(self) -> None:
        self._file.flush()
        self.size = self._file.tell()

    def settle(self) -> None:
        """It has no name."""

    def abandon(self) -> None:
        """It has no name."""

    def forget(self) -> None:
        """It has no name."""

    def read(self, offset: int, length: int) -> bytes:
        return read_at(self._file.fileno(), offset, length)

    def close(self) -> None:
        self._file.close()
