"""How the dealer writes a pair of stores: complete, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.atomic_file import sync_folder
from mpcc.runtime.store.session_file import write_session
from mpcc.runtime.store.store import INDEX_FORMAT, write_index
from mpcc.runtime.transport.channel import BytesLike


class StoreWriter:
    """Writes one party's store into a new folder. `write_pair` makes the two."""

    def __init__(self, folder: Path, party: int, program_hash: str, secrets: dict[str, str]) -> None:
        folder.mkdir(mode=0o700)
        self._folder = folder
        self._program_hash = program_hash
        self._sessions: list[dict[str, Any]] = []
        self._head = {"format": INDEX_FORMAT, "party": party, "program_hash": program_hash, **secrets}

    def add(self, session_id: bytes, seed: bytes, pieces: Iterable[BytesLike]) -> int:
        """Write one session: 16-byte id, 16-byte seed, payload in pieces. Returns the payload's bytes."""
        name = f"session-{len(self._sessions):04}.bin"
        length = write_session(self._folder / name, self._program_hash, session_id, seed, pieces)
        self._sessions.append({"id": session_id.hex(), "file": name, "used": False})
        return length

    def close(self) -> None:
        write_index(self._folder, {**self._head, "sessions": self._sessions})


@contextmanager
def write_pair(
    path: Path, program_hash: str, weights_sha256: str, weight_mask_seed: bytes
) -> Iterator[tuple[StoreWriter, StoreWriter]]:
    """Write STORE/party0 and STORE/party1; `path` appears when the block succeeds, with both complete.

    The weight mask's seed is fresh for each pair, so that one mask never meets two versions of the weights.
    Raises MPC-S011 when `path` exists or cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise MpccError(
            "MPC-S011",
            "the store to write exists already",
            where=str(path),
            remedy="give a new folder with -o; stores are never overwritten or added to",
        )
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    server_secrets = {"weights_sha256": weights_sha256, "weight_mask_seed": weight_mask_seed.hex()}
    try:
        partial.mkdir(mode=0o700, parents=True)
        writers = (
            StoreWriter(partial / "party0", 0, program_hash, server_secrets),
            StoreWriter(partial / "party1", 1, program_hash, {}),
        )
        yield writers
        for writer in writers:
            writer.close()
        os.rename(partial, path)
        sync_folder(path.parent)
    except OSError as error:
        raise MpccError(
            "MPC-S011",
            f"the store could not be written: {error.strerror}",
            where=str(path),
            remedy="check the folder's permissions and the free space (`mpcc cost` gives a session's bytes)",
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
