"""One-time correlation stores: one party's folder, with an index and one file per session.

Correlations are one-time pads: two messages masked with the same ones give their difference away. So a
session is marked used, durably, before a byte of it is read, and its file is removed then; nothing in a store
is ever marked unused again. What a process that was killed has left is removed when the store is opened next.

A store that is copied, or restored from a backup, has forgotten which of its sessions were used. The other
party's store has not: the handshake takes a session only if both sides have it unused, and those the other
side has used are discarded. That fails where the stores of *both* parties are set back, so this must not be
done: after a loss, deal again. For the same reason a store is moved, never shared between two places.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.atomic_file import sync_folder
from mpcc.runtime.store.bulk import (
    Bulk,
    LocalBulk,
    NewFile,
    OpenFile,
    leftovers,
    locked,
    not_written,
    session_path,
    unlocked,
)
from mpcc.runtime.store.index import DEAL_AGAIN, Index, Owner, Row, State
from mpcc.runtime.store.kept_file import KeptFile, kept_path
from mpcc.runtime.store.remote_bulk import RemoteBulk
from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.session_file import (
    SESSION_ID_BYTES,
    Payload,
    StoredPayload,
    missing,
    session_context,
    write_session,
)
from mpcc.runtime.transport.channel import BytesLike

OFFERING_NAME = "offering.lock"


@dataclass(frozen=True)
class Session:
    """One party's part of one session's correlations. Its bytes must be used once and by one run.

    `weight_mask_seed` (party 0 only) expands to B, the mask of the weights, which a batch's sessions share.
    In `kept`, its store's, party 1 keeps the weight differences. `close` when the session has ended.
    """

    id: bytes
    seed: bytes
    payload: Payload
    weight_mask_seed: bytes | None
    kept: KeptFile | None = None
    close: Callable[[], object] = lambda: None


class Store:
    """One party's store, opened for a program; hands each session out once, to any thread or process."""

    def __init__(
        self,
        folder: Path,
        party: int,
        program_hash: str,
        weights_sha256: str | None = None,
        key: StoreKey | None = None,
    ) -> None:
        """`weights_sha256` is given by party 0, whose weight masks are bound to one version of the weights.

        Raises MPC-S001..S005, MPC-S011, MPC-S016..S018, MPC-S019 for a URL that fsspec does not know.
        """
        self._folder = folder
        self._program_hash = program_hash
        self._index = Index(folder, key)
        try:
            self._check_owner(self._index.owner, party, weights_sha256)
            url = self._index.owner.bulk
            self._bulk: Bulk = LocalBulk(folder) if url is None else RemoteBulk(folder, url)
            self._clean()
        except OSError as error:
            self._index.close()
            raise not_written(folder, error) from None
        except BaseException:
            self._index.close()
            raise

    @classmethod
    def create(
        cls,
        folder: Path,
        party: int,
        program_hash: str,
        weights_sha256: str | None = None,
        key: StoreKey | None = None,
        bulk: str | None = None,
    ) -> Store:
        """An empty store in a folder that has none yet; with `bulk`, a URL, its sessions' files lie there.

        Raises MPC-S011, MPC-S019, and MPC-S020 for `bulk` without a key.
        """
        if bulk is not None and key is None:
            raise MpccError(
                "MPC-S020",
                "sessions' files outside of the store's folder must be encrypted",
                where=str(folder),
                remedy="give a key with --store-key; mpcc store-key makes one",
            )
        owner = Owner(party, program_hash, weights_sha256 if party == 0 else None, bulk)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(folder.parent)
            if bulk is not None:
                RemoteBulk(folder, bulk).make()
            Index.create(folder, owner, key)
        except FileExistsError:
            raise MpccError(
                "MPC-S011",
                "the store to write exists already",
                where=str(folder),
                remedy="give a new folder; a store is never overwritten",
            ) from None
        except OSError as error:
            raise not_written(folder, error) from None
        return cls(folder, party, program_hash, weights_sha256, key)

    def close(self) -> None:
        """Sessions taken stay open."""
        self._index.close()

    @contextlib.contextmanager
    def offering(self) -> Iterator[None]:
        """Party 1, while it finds a session with the other party: one handshake at a time, of all threads and
        processes, as what another one was just given would seem used to this one. Raises MPC-S011.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self._folder / OFFERING_NAME))
            except OSError as error:
                raise not_written(self._folder, error) from None
            yield

    def unused(self, limit: int) -> list[bytes]:
        """Ids of at most `limit` sessions not used yet, in the order they were dealt."""
        return [row.id for row in self._index.unused(limit)]

    def count_unused(self) -> int:
        return self._index.count_unused()

    def require_unused(self) -> None:
        """Raises MPC-S006."""
        if not self.count_unused():
            raise MpccError(
                "MPC-S006",
                "every session of the store has been used",
                where=str(self._folder),
                remedy=DEAL_AGAIN,
            )

    def used(self, session_ids: Iterable[bytes]) -> list[bytes]:
        """Those of the ids that were in this store and must not be used any more."""
        found = map(self._index.find, session_ids)
        return [row.id for row in found if row is not None and row.state is not State.UNUSED]

    def still_unused(self, session_ids: Iterable[bytes]) -> list[bytes]:
        """Those of the ids that are in this store and may be used."""
        found = map(self._index.find, session_ids)
        return [row.id for row in found if row is not None and row.state is State.UNUSED]

    def take(self, session_id: bytes) -> Session:
        """Mark the session used, then open its file and check its tail.

        Raises MPC-S007, MPC-S008 (damaged: the session stays used; also while the payload is read),
        MPC-S009 (used already), MPC-S011, MPC-S019.
        """
        session = self.take_first([session_id])
        if session is None:
            raise MpccError(
                "MPC-S009",
                "the session agreed on has been used already",
                where=str(self._folder),
                remedy="start both parties again: they agree on the next unused session",
            )
        return session

    def take_first(self, session_ids: Sequence[bytes]) -> Session | None:
        """Take the first of these that is unused here; None if there is none. Raises as `take`."""
        file = None
        try:
            with self._index.transaction():
                found = map(self._index.find, session_ids)
                row = next((row for row in found if row is not None and row.state is State.UNUSED), None)
                if row is None:
                    return None
                with contextlib.suppress(OSError):
                    file = self._bulk.open(row.id)
                self._index.mark(row, State.USED)
        except BaseException:  # the session is unused, still
            if file is not None:
                file.close()
            raise
        where = str(session_path(self._folder, row.id))
        if file is None:
            raise missing(where)
        return self._session(row, file, where)

    def discard(self, session_ids: Iterable[bytes]) -> None:
        """Never use these: the other party has used them already. Unknown ids are left alone."""
        with self._index.transaction():
            found = map(self._index.find, session_ids)
            rows = [row for row in found if row is not None and row.state is State.UNUSED]
            for row in rows:
                self._bulk.condemn(row.id)
                self._index.mark(row, State.DISCARDED)
        for row in rows:
            self._bulk.remove(row.id)

    def add_batch(self, batch: bytes, weight_mask_seed: bytes | None) -> None:
        """Begin a batch, whose sessions share a weight mask; only party 0 has its seed. A batch that is there
        already stays as it is.
        """
        with self._index.transaction():
            if not self._index.has_batch(batch):
                self._index.add_batch(batch, weight_mask_seed)

    def add(
        self,
        batch: bytes,
        session_id: bytes,
        seed: bytes,
        pieces: Iterable[BytesLike],
        written: Callable[[], None] = lambda: None,
    ) -> int | None:
        """Add a session to a batch, durably, whole or not at all. Returns the payload's bytes; None, with
        nothing changed and no piece taken, for a session that is or was in the store.

        `pieces` are the payload as it will be read: one a derived slot. One is in memory at a time. `written`
        is called when all of it is on the disk, just before the session is there.
        Raises MPC-S011, MPC-S019, and what `pieces` and `written` raise.
        """
        assert len(session_id) == SESSION_ID_BYTES
        try:
            with self._index.transaction():
                assert self._index.has_batch(batch)
                if self._index.find(session_id) is not None:
                    return None
                file = self._bulk.create(session_id)
            with contextlib.closing(file):
                return self._write(file, batch, session_id, seed, pieces, written)
        except OSError as error:
            raise not_written(self._folder, error) from None

    def _write(
        self,
        file: NewFile,
        batch: bytes,
        session_id: bytes,
        seed: bytes,
        pieces: Iterable[BytesLike],
        written: Callable[[], None],
    ) -> int:
        context = session_context(self._program_hash, session_id)
        try:
            length = write_session(file, self._index.sealing, context, seed, pieces)
            written()
            with self._index.transaction():
                self._index.add(session_id, batch)
        except BaseException:
            with contextlib.suppress(MpccError, OSError):  # what is left goes when the store is opened again
                if self._index.find(session_id) is None:
                    file.abandon()
            raise
        file.settle()
        return length

    def _session(self, row: Row, file: OpenFile, where: str) -> Session:
        payload = StoredPayload(file, self._index.sealing, session_context(self._program_hash, row.id), where)
        try:
            file.forget()
            payload.check()
            mask_seed = self._index.mask_seed(row.batch)
        except BaseException:
            payload.close()
            raise
        kept = KeptFile(self._folder, row.batch, self._index.sealing, self._index.transaction)
        return Session(row.id, payload.seed, payload, mask_seed, kept, payload.close)

    def _clean(self) -> None:
        """Remove what processes that ended have left: files that no unused session names, parts of files, and
        weight differences of batches that are used up.
        """
        with self._index.transaction():
            for session_id in leftovers(self._folder):
                row = self._index.find(session_id)
                if row is not None and row.state is State.UNUSED:
                    self._bulk.settle(session_id)
                else:
                    with contextlib.suppress(MpccError):  # elsewhere and out of reach: the next time
                        self._bulk.remove(session_id)
            live = {kept_path(self._folder, batch) for batch in self._index.live_batches()}
            for pattern in (".*.partial", "weight-differences-*.bin"):
                for path in set(self._folder.glob(pattern)) - live:
                    with unlocked(path) as free:
                        if free:
                            path.unlink()

    def _check_owner(self, owner: Owner, party: int, weights_sha256: str | None) -> None:
        where = str(self._folder)
        if owner.party != party:
            raise MpccError(
                "MPC-S005",
                f"this store belongs to party {owner.party}, and this is party {party}",
                where=where,
                remedy=f"give --store STORE/party{party}",
            )
        if owner.program_hash != self._program_hash:
            raise MpccError(
                "MPC-S003", "the store was dealt for another program", where=where, remedy=DEAL_AGAIN
            )
        if party == 0 and owner.weights_sha256 != weights_sha256:
            raise MpccError(
                "MPC-S004", "the store was dealt for other weights", where=where, remedy=DEAL_AGAIN
            )
