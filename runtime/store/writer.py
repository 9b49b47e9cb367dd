"""How the dealer writes a pair of stores: complete, or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.atomic_file import sync_folder
from mpcc.runtime.store.bulk import not_written
from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.channel import BytesLike

BATCH_BYTES = 16
_PLAIN = (None, None)


class StoreWriter:
    """One party's store, whose sessions are one batch."""

    def __init__(self, store: Store, batch: bytes) -> None:
        self._store = store
        self._batch = batch

    def add(self, session_id: bytes, seed: bytes, pieces: Iterable[BytesLike]) -> int:
        """Write one session: 16-byte id, 16-byte seed, payload in pieces. Returns the payload's bytes."""
        length = self._store.add(self._batch, session_id, seed, pieces)
        assert length is not None  # ids are random
        return length


@contextmanager
def write_pair(
    path: Path,
    program_hash: str,
    weights_sha256: str,
    weight_mask_seed: bytes,
    keys: tuple[StoreKey | None, StoreKey | None] = _PLAIN,
) -> Iterator[tuple[StoreWriter, StoreWriter]]:
    """Write STORE/party0 and STORE/party1; `path` appears when the block succeeds, with both complete.

    The weight mask's seed is fresh for each pair, so that one mask never meets two versions of the weights.
    `keys` are the parties' own, one each: a party must not be able to open the other's store, which it may
    meet on its way. Raises MPC-S011 when `path` exists or cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise MpccError(
            "MPC-S011",
            "the store to write exists already",
            where=str(path),
            remedy="give a new folder with -o; stores are never overwritten or added to",
        )
    batch = secrets.token_bytes(BATCH_BYTES)
    try:
        with _partial_folder(path) as partial, contextlib.ExitStack() as stores:
            writers = []
            for party, (seed, weights) in enumerate(((weight_mask_seed, weights_sha256), (None, None))):
                store = Store.create(partial / f"party{party}", party, program_hash, weights, keys[party])
                stores.callback(store.close)
                store.add_batch(batch, seed)
                writers.append(StoreWriter(store, batch))
            yield writers[0], writers[1]
            stores.close()
            os.rename(partial, path)
            sync_folder(path.parent)
    except OSError as error:
        raise not_written(path, error) from None


@contextmanager
def _partial_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path`, removed at the end; those of dealers that were killed are removed now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):  # so that no folder is met before it is locked
        for left in path.parent.glob(f".{path.name}.*.partial"):
            with contextlib.suppress(BlockingIOError), _locked(left, fcntl.LOCK_NB):
                shutil.rmtree(left)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        partial.mkdir(mode=0o700)
        lock = os.open(partial, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)


@contextmanager
def _locked(folder: Path, how: int = 0) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
        yield
    finally:
        os.close(descriptor)
