"""The index of a store: an SQLite database in its folder, safe for many threads and processes.

    owner     one row: party, program hash, weights hash (party 0), where the sessions' files lie, salt, and
              what tells whether the store's key is the right one
    batches   one row a weight mask: 16-byte id, the mask's seed (party 0), sealed
    sessions  one row a session: position (the order of dealing), 16-byte id, batch, state

Every row has a digest of its values, so that damage is never taken for a state. A commit is on the disk when
it returns (synchronous=EXTRA: the rollback journal's removal, too); the one file holds everything that was
committed, so that a copy of a store at rest is a whole one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.atomic_file import sync_folder
from mpcc.runtime.store.sealing import SALT_BYTES, Damaged, Sealing, StoreKey

INDEX_NAME = "index.sqlite"
DEAL_AGAIN = (
    "get new sessions for this program: from a dealer with --dealer or mpcc prepare, or by "
    "mpcc deal PROG --sessions N -o STORE, which writes STORE/party0 and STORE/party1; without a dealer, by "
    "mpcc prepare on both sides, into new stores"
)
_PRAGMAS = {
    "application_id": 0x6D706363,  # "mpcc"
    "user_version": 3,  # of the format, that of the sessions' files included
}
_SCHEMA = "SELECT sql FROM sqlite_master WHERE sql NOT NULL"
ID_BYTES = 16  # of a session, of a batch
_BUSY_SECONDS = 30.0
_MASK = b"mask"
_TABLES = (
    "CREATE TABLE owner (party INTEGER, program_hash TEXT, weights_sha256 TEXT, bulk TEXT, salt BLOB, "
    "key_check BLOB, digest BLOB)",
    "CREATE TABLE batches (batch BLOB PRIMARY KEY, mask_seed BLOB, digest BLOB)",
    "CREATE TABLE sessions (position INTEGER PRIMARY KEY, id BLOB UNIQUE, batch BLOB, state TEXT, "
    "digest BLOB)",
    "CREATE INDEX unused ON sessions (position) WHERE state = 'unused'",
)
_COLUMNS = "position, id, batch, state, digest"
_NOT_WRITABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


class State(StrEnum):
    UNUSED = "unused"
    USED = "used"
    DISCARDED = "discarded"  # the other party has used it: it is never used here


@dataclass(frozen=True)
class Owner:
    """Whose store it is; `bulk` is the URL of the sessions' files unless they lie in the store's folder."""

    party: int
    program_hash: str
    weights_sha256: str | None
    bulk: str | None


@dataclass(frozen=True)
class Row:
    position: int
    id: bytes
    batch: bytes
    state: State


class Index:
    """Raises MPC-S002 for damage, MPC-S011 where the database cannot be written, from every method."""

    def __init__(self, folder: Path, key: StoreKey | None) -> None:
        """Opens and checks it, row by row. Raises MPC-S001, MPC-S002, MPC-S016..S018."""
        self._path = folder / INDEX_NAME
        self._lock = threading.RLock()
        if not os.path.isfile(self._path):
            raise _no_store(self._path)
        if not os.access(self._path, os.R_OK | os.W_OK):  # SQLite would open it for reading only
            raise MpccError(
                "MPC-S011",
                "the store's index cannot be read and written: permission denied",
                where=str(self._path),
                remedy="run as the user whose store it is",
            )
        with _coded(self._path):
            self._database = _connect(self._path)
            try:
                self.owner, self.sealing = self._check(key)
            except (TypeError, ValueError):  # what is not even of the right type
                self._database.close()
                raise _damaged(self._path) from None
            except BaseException:
                self._database.close()
                raise

    @classmethod
    def create(cls, folder: Path, owner: Owner, key: StoreKey | None) -> None:
        """Write an empty index into an existing folder, whole or not at all. Raises OSError."""
        path = folder / INDEX_NAME
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        salt = secrets.token_bytes(SALT_BYTES)
        values = (*dataclasses.astuple(owner), salt, Sealing(key, salt).key_check)
        plain = Sealing(None, salt)  # so that a wrong key is told from damage
        with _coded(path), contextlib.closing(_connect(path)) as database:
            database.execute("BEGIN IMMEDIATE")
            if database.execute(_SCHEMA).fetchall():
                raise FileExistsError
            for name, value in _PRAGMAS.items():
                database.execute(f"PRAGMA {name} = {value}")
            for table in _TABLES:
                database.execute(table)
            database.execute("INSERT INTO owner VALUES (?,?,?,?,?,?,?)", (*values, plain.digest(*values)))
            database.execute("COMMIT")
        sync_folder(folder)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """One writer at a time, across threads and processes; durable when the block has ended."""
        with self._lock, _coded(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise

    def find(self, session_id: bytes) -> Row | None:
        rows = self._rows("WHERE id = ?", session_id)
        return rows[0] if rows else None

    def unused(self, limit: int) -> list[Row]:
        """In the order dealt."""
        return self._rows("WHERE state = 'unused' ORDER BY position LIMIT ?", limit)

    def count_unused(self) -> int:
        [(count,)] = self._query("SELECT count(*) FROM sessions WHERE state = 'unused'")
        return int(count)

    def add(self, session_id: bytes, batch: bytes) -> None:
        """Only inside a transaction."""
        [(position,)] = self._query("SELECT coalesce(max(position), 0) + 1 FROM sessions")
        values = (position, session_id, batch, str(State.UNUSED))
        self._query("INSERT INTO sessions VALUES (?,?,?,?,?)", *values, self.sealing.digest(*values))

    def mark(self, row: Row, state: State) -> None:
        """Only inside the transaction that found the row."""
        digest = self.sealing.digest(row.position, row.id, row.batch, str(state))
        self._query(
            "UPDATE sessions SET state = ?, digest = ? WHERE position = ?", str(state), digest, row.position
        )

    def add_batch(self, batch: bytes, mask_seed: bytes | None) -> None:
        """Only inside a transaction."""
        values = (batch, None if mask_seed is None else self.sealing.seal(_MASK + batch, mask_seed))
        self._query("INSERT INTO batches VALUES (?,?,?)", *values, self.sealing.digest(*values))

    def has_batch(self, batch: bytes) -> bool:
        return bool(self._query("SELECT 1 FROM batches WHERE batch = ?", batch))

    def mask_seed(self, batch: bytes) -> bytes | None:
        """The seed of a batch's weight mask, if this is party 0's store."""
        for *values, digest in self._query("SELECT * FROM batches WHERE batch = ?", batch):
            if self.sealing.digest(*values) != digest or not _is_id(values[0]):
                break
            with contextlib.suppress(Damaged):
                return None if values[1] is None else self.sealing.open(_MASK + batch, values[1])
        raise _damaged(self._path)

    def live_batches(self) -> set[bytes]:
        """Those with an unused session, and the newest."""
        found = self._query("SELECT DISTINCT batch FROM sessions WHERE state = 'unused'")
        newest = self._query("SELECT batch FROM batches ORDER BY rowid DESC LIMIT 1")
        return {batch for (batch,) in (*found, *newest)}

    def _rows(self, condition: str, *parameters: Any) -> list[Row]:
        found = self._query(f"SELECT {_COLUMNS} FROM sessions {condition}", *parameters)
        return [self._row(*values) for values in found]

    def _row(self, position: Any, session_id: Any, batch: Any, state: Any, digest: Any) -> Row:
        if self.sealing.digest(position, session_id, batch, state) != digest:
            raise _damaged(self._path)
        if not (_is_id(session_id) and _is_id(batch) and state in State.__members__.values()):
            raise _damaged(self._path)  # without a key everybody can make the digest
        return Row(position, session_id, batch, State(state))

    def _query(self, statement: str, *parameters: Any) -> list[Any]:
        with self._lock, _coded(self._path):
            return self._database.execute(statement, parameters).fetchall()

    def _check(self, key: StoreKey | None) -> tuple[Owner, Sealing]:
        """The database is one of ours, with nothing in it but what was written."""
        tables = self._database.execute(_SCHEMA).fetchall()
        if not tables:  # nobody has finished making it
            raise _no_store(self._path)
        pragmas = {name: self._database.execute(f"PRAGMA {name}").fetchone()[0] for name in _PRAGMAS}
        if (pragmas, tables) != (_PRAGMAS, [(table,) for table in _TABLES]):
            raise _damaged(self._path)
        if self._database.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
            raise _damaged(self._path)
        [(*values, digest)] = self._database.execute("SELECT * FROM owner").fetchall()
        if Sealing(None, values[4]).digest(*values) != digest:
            raise _damaged(self._path)
        party, program_hash, weights_sha256, bulk, salt, key_check = values
        if not isinstance(bulk, str | None) or not isinstance(salt, bytes):
            raise _damaged(self._path)
        self.sealing = Sealing(key, salt)
        self.sealing.require(key_check, str(self._path.parent))
        self._rows("")
        for (batch,) in self._query("SELECT batch FROM batches"):
            self.mask_seed(batch)
        return Owner(party, program_hash, weights_sha256, bulk), self.sealing


@contextlib.contextmanager
def _coded(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except UnicodeDecodeError:  # of a message that quotes what is damaged
        raise _damaged(path) from None
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _NOT_WRITABLE:
            raise _damaged(path) from None
        raise MpccError(
            "MPC-S011",
            f"the store's index cannot be written: {error}",
            where=str(path),
            remedy="make room, and the store writable; a session that cannot be marked must not be used",
        ) from None


def _is_id(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == ID_BYTES


def _no_store(path: Path) -> MpccError:
    return MpccError("MPC-S001", "there is no store here", where=str(path.parent), remedy=DEAL_AGAIN)


def _damaged(path: Path) -> MpccError:
    return MpccError(
        "MPC-S002", "the store's index is damaged or of another version", where=str(path), remedy=DEAL_AGAIN
    )


def _connect(path: Path) -> sqlite3.Connection:
    """Statements commit by themselves unless they stand in a transaction."""
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    database.execute("PRAGMA synchronous = EXTRA")
    database.execute("PRAGMA secure_delete = ON")
    return database
