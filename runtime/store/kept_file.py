"""What party 1 keeps of a batch beside its sessions: the weight differences, sent once for all of them."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from mpcc.runtime.atomic_file import sync_folder
from mpcc.runtime.store.bulk import OpenLocalFile, create_locked, not_written
from mpcc.runtime.store.pieces import Pieces, PieceWriter
from mpcc.runtime.store.sealing import Damaged, Sealing


class KeptFile:
    """A file of pieces under a token, which says what it was made from."""

    def __init__(
        self,
        folder: Path,
        batch: bytes,
        sealing: Sealing,
        transaction: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`transaction` is that of the store's index."""
        self._path = kept_path(folder, batch)
        self._context = b"kept" + batch
        self._sealing = sealing
        self._transaction = transaction

    @contextlib.contextmanager
    def read(self, token: bytes, sizes: list[int]) -> Iterator[Pieces | None]:
        """The pieces kept under a token, if all of them are undamaged and of these sizes in bytes."""
        try:
            file = OpenLocalFile(self._path)
        except OSError:
            yield None
            return
        try:
            yield self._intact(file, token, sizes)
        finally:
            file.close()

    def _intact(self, file: OpenLocalFile, token: bytes, sizes: list[int]) -> Pieces | None:
        try:
            pieces = Pieces(file, self._sealing, self._context, len(token))
            intact = pieces.secret == token and [len(piece) for piece in pieces] == sizes
        except Damaged:
            return None
        return pieces if intact else None

    @contextlib.contextmanager
    def write(self, token: bytes) -> Iterator[PieceWriter]:
        """Keep what is added; what was kept before stays unless the block succeeds. Raises MPC-S011."""
        partial = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}.partial")
        try:
            with self._transaction():  # so that nobody who opens the store meets it before it is locked
                descriptor = create_locked(partial)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    writer = PieceWriter(file, self._sealing, self._context)
                    yield writer
                    writer.finish(token)
                    file.flush()
                    os.fsync(file.fileno())
                    os.replace(partial, self._path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            sync_folder(self._path.parent)
        except OSError as error:
            raise not_written(self._path.parent, error) from None


def kept_path(folder: Path, batch: bytes) -> Path:
    return folder / f"weight-differences-{batch.hex()}.bin"
