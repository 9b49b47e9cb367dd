"""Where the sessions' files lie: in the store's own folder, or at a URL that fsspec knows.

Whatever a file's place, its name stands in the store's folder while it is written, read or removed, locked by
the process that is at it: before anything is elsewhere, and until nothing is. So whoever opens a store finds
there what a process that ended has left (`leftovers`). For files in the store's folder the name is the file.

Names are made, locked and looked through inside a transaction of the index: one process at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.atomic_file import sync_folder


def session_path(folder: Path, session_id: bytes) -> Path:
    """A session's name in the store's folder."""
    return folder / f"session-{session_id.hex()}.bin"


class NewFile(Protocol):
    """A session's file while it is written; `close` in any case."""

    def write(self, data: bytes | memoryview, /) -> object: ...

    def finish(self) -> None:
        """What was written survives a crash."""
        ...

    def settle(self) -> None:
        """The index names it now."""
        ...

    def abandon(self) -> None:
        """The index will not name it."""
        ...

    def close(self) -> None: ...


class OpenFile(Protocol):
    """A session's file while it is read."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Fewer bytes where the file is shorter."""
        ...

    def forget(self) -> None:
        """Its session is marked used: it goes now or when it is closed."""
        ...

    def close(self) -> None: ...


class Bulk(Protocol):
    """Raises OSError for the store's folder, MPC-S019 for a place elsewhere."""

    def create(self, session_id: bytes) -> NewFile: ...

    def open(self, session_id: bytes) -> OpenFile:
        """Raises FileNotFoundError."""
        ...

    def condemn(self, session_id: bytes) -> None:
        """`remove` follows, now or when the store is opened again."""
        ...

    def remove(self, session_id: bytes) -> None: ...

    def settle(self, session_id: bytes) -> None:
        """A leftover that the index names."""
        ...


class LocalBulk:
    """Files in the store's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, session_id: bytes) -> NewFile:
        return _NewLocalFile(session_path(self._folder, session_id))

    def open(self, session_id: bytes) -> OpenFile:
        return OpenLocalFile(session_path(self._folder, session_id))

    def condemn(self, session_id: bytes) -> None:
        """Its name is the file."""

    def remove(self, session_id: bytes) -> None:
        session_path(self._folder, session_id).unlink(missing_ok=True)

    def settle(self, session_id: bytes) -> None:
        """Its name stays."""


class _NewLocalFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.fdopen(create_locked(path), "wb")

    def write(self, data: bytes | memoryview, /) -> object:
        return self._file.write(data)

    def finish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        sync_folder(self._path.parent)

    def settle(self) -> None:
        """Its name stays."""

    def abandon(self) -> None:
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # of what a failed write left unwritten
            self._file.close()


class OpenLocalFile:
    """A file in a store's folder: once forgotten it has no name, and lives until it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        return read_at(self._descriptor, offset, length)

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._descriptor)


def read_at(descriptor: int, offset: int, length: int) -> bytes:
    """Fewer bytes where the file is shorter, or cannot be read."""
    parts = []
    while length:
        try:
            part = os.pread(descriptor, length, offset)
        except OSError:
            part = b""
        if not part:
            break
        parts.append(part)
        offset, length = offset + len(part), length - len(part)
    return b"".join(parts)


def create_locked(path: Path) -> int:
    """A descriptor of a new file, which nobody finds unlocked. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else is in such a block of the same file, which is made if need be. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def unlocked(path: Path) -> Iterator[bool]:
    """Whether a file is there and no process is at it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except BlockingIOError:
        free = False
    try:
        yield free
    finally:
        os.close(descriptor)


def leftovers(folder: Path) -> Iterator[bytes]:
    """Ids of the names in a store's folder that no process is at."""
    for path in sorted(folder.glob("session-*.bin")):
        try:
            session_id = bytes.fromhex(path.stem.removeprefix("session-"))
        except ValueError:  # somebody else's
            continue
        with unlocked(path) as free:
            if free:
                yield session_id


def not_written(where: Path, error: OSError) -> MpccError:
    return MpccError(
        "MPC-S011",
        f"the store could not be written: {error.strerror}",
        where=str(where),
        remedy="check the folder's permissions and the free space (`mpcc cost` gives a session's bytes)",
    )
