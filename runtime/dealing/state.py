"""What a dealer process must not forget: its mask of the weights, and party 0's part of sessions that party 0
does not have yet.

A session enters the queue, durably, before a byte of it goes to party 1, and leaves it when party 0 has
stored it: so whatever crashes, no session that party 1 holds is unknown to party 0 for ever. One that only
party 0 got is never asked for, and harmless. Seeds are sealed with the store key, where one is given.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.dealing.wire import BATCH_BYTES
from mpcc.runtime.store.sealing import SALT_BYTES, Damaged, Sealing, StoreKey
from mpcc.runtime.store.session_file import SEED_BYTES

STATE_NAME = "dealer.sqlite"
_SCHEMA = """
create table if not exists batch (
    program text, weights text, salt blob, key_check blob, id blob, weight_mask_seed blob);
create table if not exists waiting (place integer primary key autoincrement, id blob unique, seed blob);
"""
_NEW_STATE = "give a new --state folder; both parties then prepare new sessions"


class DealerState:
    """A dealer's folder, made when it is not there; for several threads of one process.

    `batch` is the 16-byte id of the sessions that share `weight_mask_seed`.
    """

    def __init__(
        self, folder: Path, program_hash: str, weights_sha256: str, key: StoreKey | None = None
    ) -> None:
        """Raises MPC-S002 (damaged), MPC-S003 (another program's), MPC-S004 (other weights), MPC-S011,
        MPC-S016..S018 (another key).
        """
        self._where = str(folder)
        self._changed = threading.Condition()
        path = folder / STATE_NAME
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            self._database.execute("pragma synchronous = full")
            self._database.execute("pragma locking_mode = exclusive")  # two dealers would deliver twice
            self._database.executescript(_SCHEMA)
            self._open_batch(program_hash, weights_sha256, key)
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from None

    def _open_batch(self, program_hash: str, weights_sha256: str, key: StoreKey | None) -> None:
        row = self._database.execute("select * from batch").fetchone()
        if row is None:
            batch, seed = secrets.token_bytes(BATCH_BYTES), secrets.token_bytes(SEED_BYTES)
            salt = secrets.token_bytes(SALT_BYTES)
            sealing = Sealing(key, salt)
            sealed = sealing.seal(b"weight mask" + batch, seed)
            row = (program_hash, weights_sha256, salt, sealing.key_check, batch, sealed)
            self._database.execute("insert into batch values (?, ?, ?, ?, ?, ?)", row)
        program, weights, salt, key_check, batch, sealed = row
        remedy = "give each program a --state folder of its own"
        if program != program_hash:
            raise MpccError(
                "MPC-S003", "this dealer's state is of another program", where=self._where, remedy=remedy
            )
        if weights != weights_sha256:
            raise MpccError(
                "MPC-S004", "this dealer's state is of other weights", where=self._where, remedy=remedy
            )
        self._sealing = Sealing(key, salt)
        self._sealing.require(key_check, self._where)
        self.batch = bytes(batch)
        self.weight_mask_seed = self._unseal(b"weight mask" + self.batch, sealed)

    def enqueue(self, session_id: bytes, seed: bytes) -> None:
        """Party 0's part of a new session: id and seed, 16 bytes each. Raises MPC-S011."""
        with self._changed:
            sealed = self._sealing.seal(b"waiting" + session_id, seed)
            self._execute("insert into waiting (id, seed) values (?, ?)", session_id, sealed)
            self._changed.notify_all()

    def waiting(self, limit: int, seconds: float) -> list[tuple[bytes, bytes]]:
        """The oldest `limit` entries; waits up to `seconds` for one. Raises MPC-S002, MPC-S011."""
        query = "select id, seed from waiting order by place limit ?"
        with self._changed:
            rows = self._execute(query, limit)
            if not rows and self._changed.wait(seconds):
                rows = self._execute(query, limit)
        return [(session_id, self._unseal(b"waiting" + session_id, sealed)) for session_id, sealed in rows]

    def delivered(self, session_ids: list[bytes]) -> None:
        """Party 0 has stored these. Raises MPC-S011."""
        if session_ids:
            places = ", ".join("?" * len(session_ids))
            with self._changed:
                self._execute(f"delete from waiting where id in ({places})", *session_ids)

    def count(self) -> int:
        """Sessions that party 0 does not have yet."""
        with self._changed:
            return int(self._execute("select count(*) from waiting")[0][0])

    def close(self) -> None:
        with self._changed:
            self._database.close()

    def _unseal(self, context: bytes, sealed: bytes) -> bytes:
        try:
            return self._sealing.open(context, bytes(sealed))
        except Damaged:
            raise MpccError(
                "MPC-S002", "the dealer's state is damaged", where=self._where, remedy=_NEW_STATE
            ) from None

    def _execute(self, statement: str, *values: bytes | int) -> list[tuple[bytes, bytes]]:
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> MpccError:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            message = f"the dealer's state is damaged: {error}"
            return MpccError("MPC-S002", message, where=self._where, remedy=_NEW_STATE)
        return MpccError(
            "MPC-S011",
            f"the dealer's state cannot be written: {error}",
            where=self._where,
            remedy="one dealer at a time may use it; check its permissions and the free space",
        )
