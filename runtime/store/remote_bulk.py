"""Sessions' files at a URL that fsspec knows: read piece by piece, and removed when their session ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.atomic_file import sync_folder
from mpcc.runtime.store.bulk import NewFile, OpenFile, create_locked, session_path


class RemoteBulk:
    """Files at a URL. Whatever fsspec raises is MPC-S019, except for a file that is missing."""

    def __init__(self, folder: Path, url: str) -> None:
        """`folder` is the store's, where the names stand."""
        self._folder = folder
        self._shown = _without_credentials(url)
        with self.reached():
            if not urlsplit(url).scheme:
                raise ValueError  # a path would be looked for from wherever one stands
            import fsspec  # here: most stores need nothing of it

            self.files, root = fsspec.url_to_fs(url)
        self._root = root.rstrip("/")

    def make(self) -> None:
        """Make the place itself."""
        with self.reached():
            self.files.makedirs(self._root, exist_ok=True)

    def create(self, session_id: bytes) -> NewFile:
        descriptor = create_locked(session_path(self._folder, session_id))
        sync_folder(self._folder)
        return _NewRemoteFile(self, session_id, descriptor)

    def open(self, session_id: bytes) -> OpenFile:
        with self.reached():
            size = self.files.info(self.path(session_id))["size"]
        return _OpenRemoteFile(self, session_id, self._claim(session_id), size)

    def condemn(self, session_id: bytes) -> None:
        os.close(self._claim(session_id))

    def remove(self, session_id: bytes) -> None:
        with contextlib.suppress(FileNotFoundError), self.reached():
            self.files.rm_file(self.path(session_id))
        self.settle(session_id)

    def settle(self, session_id: bytes) -> None:
        session_path(self._folder, session_id).unlink(missing_ok=True)

    def path(self, session_id: bytes) -> str:
        return f"{self._root}/{session_path(self._folder, session_id).name}"

    @contextlib.contextmanager
    def reached(self) -> Iterator[None]:
        """Every file system's library has exceptions of its own. Only their type is told, never their text,
        which could hold credentials.
        """
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            raise MpccError(
                "MPC-S019",
                f"the sessions' files cannot be reached: {type(error).__name__}",
                where=self._shown,
                remedy="check the address, the credentials and the network, then start again",
            ) from None

    def _claim(self, session_id: bytes) -> int:
        """The name of a file that is there, locked. Whoever has just added it is about to remove the name."""
        path = session_path(self._folder, session_id)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    sync_folder(self._folder)
                    return descriptor
            os.close(descriptor)


class _NewRemoteFile:
    def __init__(self, bulk: RemoteBulk, session_id: bytes, descriptor: int) -> None:
        self._bulk = bulk
        self._session_id = session_id
        self._descriptor = descriptor
        self._upload: Any = None

    def write(self, data: bytes | memoryview, /) -> object:
        with self._bulk.reached():
            if self._upload is None:
                self._upload = self._bulk.files.open(self._bulk.path(self._session_id), "wb")
            return self._upload.write(data)

    def finish(self) -> None:
        with self._bulk.reached():
            self._upload.close()

    def settle(self) -> None:
        self._bulk.settle(self._session_id)

    def abandon(self) -> None:
        with contextlib.suppress(Exception):  # an upload that failed may fail to end, too
            self._upload.close()
        self._bulk.remove(self._session_id)

    def close(self) -> None:
        os.close(self._descriptor)


class _OpenRemoteFile:
    def __init__(self, bulk: RemoteBulk, session_id: bytes, descriptor: int, size: int) -> None:
        self._bulk = bulk
        self._session_id = session_id
        self._descriptor = descriptor
        self._forgotten = False
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        path = self._bulk.path(self._session_id)
        with self._bulk.reached():
            return bytes(self._bulk.files.cat_file(path, start=offset, end=offset + length))

    def forget(self) -> None:
        self._forgotten = True

    def close(self) -> None:
        try:
            if not self._forgotten:
                self._bulk.settle(self._session_id)
            else:
                with contextlib.suppress(MpccError):  # what is left goes when the store is opened again
                    self._bulk.remove(self._session_id)
        finally:
            os.close(self._descriptor)


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
