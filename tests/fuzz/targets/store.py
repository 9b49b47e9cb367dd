"""A store: the index and the sessions' files changed by whoever can write to the folder.

Data is one byte (party, with a key or not) and the folder's files, compressed. Where there is no key, the
digests of changed rows and files are made right again: everybody can compute them. With a key a session that
opens must be the one that was dealt.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.store.bulk import session_path
from mpcc.runtime.store.index import INDEX_NAME
from mpcc.runtime.store.pieces import PieceWriter
from mpcc.runtime.store.sealing import Sealing, StoreKey
from mpcc.runtime.store.session_file import session_context
from mpcc.runtime.store.store import Store
from tests.fuzz.mutate.raw import mutate_bytes
from tests.fuzz.target import Target, memory_folder

PROGRAM, WEIGHTS = "ab" * 32, "cd" * 32
KEY = StoreKey(b"k" * 32)
SESSION_IDS = tuple(bytes([number]) * 16 for number in range(1, 4))
BATCH = b"b" * 16
NAMES = (INDEX_NAME, *(session_path(Path(), i).name for i in SESSION_IDS), f"{INDEX_NAME}-journal")
_ENTRY = struct.Struct("<BI")
_ODD: tuple[Any, ...] = (
    None,
    0,
    -1,
    1,
    2,
    1 << 62,
    0.5,
    "",
    "unused",
    "used",
    "x",
    b"",
    b"\0" * 16,
    b"x" * 80,
)
_STATEMENTS = (
    *("DROP TABLE batches", "DELETE FROM owner", "INSERT INTO owner SELECT * FROM owner", "VACUUM"),
    *(
        "CREATE TABLE more (x)",
        "CREATE VIEW v AS SELECT 1",
        "PRAGMA user_version = 4",
        "DELETE FROM sessions",
    ),
    *("CREATE TRIGGER t AFTER UPDATE ON sessions BEGIN DELETE FROM sessions; END", "DELETE FROM batches"),
    *(
        "DELETE FROM sessions",
        "PRAGMA application_id = 7",
        "ALTER TABLE sessions ADD COLUMN more",
        "PRAGMA journal_mode = WAL",
    ),
    *("UPDATE sessions SET position = -position", "UPDATE sessions SET id = zeroblob(1000000)"),
)


class StoreFolder(Target):
    name: ClassVar[str] = "store"
    max_bytes: ClassVar[int] = 16384

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="mpcc-fuzz-", dir=memory_folder())
        self._folder = Path(self._scratch.name) / "store"
        self._changing = Path(self._scratch.name) / "changing"

    def run(self, data: bytes) -> None:
        party, key, files = _unpacked(data)
        _write(self._folder, files)
        weights = WEIGHTS if party == 0 else None
        with closing(Store(self._folder, party, PROGRAM, weights, key)) as store:
            taken: set[bytes] = set()
            for session_id in (*store.unused(8), *SESSION_IDS):
                with suppress(MpccError):
                    self._take(store, session_id, party, key, taken)
            assert not taken & set(store.unused(8)), "a session that was used is unused"
            assert store.count_unused() >= 0
            store.discard(store.used(SESSION_IDS))

    @staticmethod
    def _take(store: Store, session_id: bytes, party: int, key: StoreKey | None, taken: set[bytes]) -> None:
        with closing(store.take(session_id)) as session:
            assert session_id not in taken, "a session is used twice"
            taken.add(session_id)
            payload = bytes(session.payload[: len(session.payload)])
            if key is not None:
                assert (session.seed, payload) == (_seed(session_id), _payload(party, session_id))

    def mutate(self, data: bytes, random: Random, max_bytes: int) -> bytes:
        try:
            party, key, files = _unpacked(data)
        except MpccError:
            return mutate_bytes(data, random, max_bytes)
        for _ in range(random.choice((1, 1, 2))):
            self._change(files, party, key, random)
        return _packed(party, key, files)

    def seeds(self) -> Iterable[bytes]:
        for party in (0, 1):
            for key in (None, KEY):
                shutil.rmtree(self._folder, ignore_errors=True)
                weights = WEIGHTS if party == 0 else None
                with closing(Store.create(self._folder, party, PROGRAM, weights, key)) as store:
                    store.add_batch(BATCH, b"m" * 16 if party == 0 else None)
                    for session_id in SESSION_IDS:
                        payload = _payload(party, session_id)
                        store.add(BATCH, session_id, _seed(session_id), [payload[:40], payload[40:]])
                    yield _packed(party, key, _read(self._folder))
                    store.take(SESSION_IDS[0]).close()
                    store.discard(SESSION_IDS[1:2])
                    yield _packed(party, key, _read(self._folder))

    def _change(self, files: dict[str, bytes], party: int, key: StoreKey | None, random: Random) -> None:
        name = random.choice(sorted(files) or [INDEX_NAME])
        choice = random.randrange(9)
        if choice <= 2 and INDEX_NAME in files:
            files[INDEX_NAME] = self._changed_index(files[INDEX_NAME], key, random)
        elif choice == 3:
            files.pop(name, None)
        elif choice == 4:
            files[random.choice(NAMES)] = files.get(name, b"")
        elif choice == 5:
            content = files.get(name, b"")
            files[name] = content[: random.randrange(len(content) + 1)]
        elif choice == 6 and key is None and INDEX_NAME in files:
            number = random.randrange(len(SESSION_IDS))
            with suppress(sqlite3.Error, TypeError, ValueError):
                files[NAMES[1 + number]] = self._session_file(files[INDEX_NAME], SESSION_IDS[number], random)
        else:
            files[name] = mutate_bytes(files.get(name, b""), random, 1 << 20)

    def _changed_index(self, content: bytes, key: StoreKey | None, random: Random) -> bytes:
        """Another value in some row, or something that does not belong there."""
        self._changing.write_bytes(content)
        with suppress(sqlite3.Error, ValueError), closing(sqlite3.connect(self._changing)) as database:
            if random.random() < 0.2:
                database.execute(random.choice(_STATEMENTS))
            else:
                table = random.choice(("owner", "batches", "sessions", "sessions"))
                columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
                [rowid] = random.choice(database.execute(f"SELECT rowid FROM {table}").fetchall() or [(0,)])
                values = (random.choice(_ODD), rowid)
                database.execute(f"UPDATE {table} SET {random.choice(columns)} = ? WHERE rowid = ?", values)
                if key is None:
                    _seal_rows(database, table)
            database.commit()
        return self._changing.read_bytes()

    def _session_file(self, index: bytes, session_id: bytes, random: Random) -> bytes:
        """A whole file of pieces, with an odd secret or odd lengths."""
        self._changing.write_bytes(index)
        with closing(sqlite3.connect(self._changing)) as database:
            [(salt,)] = database.execute("SELECT salt FROM owner").fetchall()
        sink = _Sink()
        writer = PieceWriter(sink, Sealing(None, salt), session_context(PROGRAM, session_id))
        for _ in range(random.randrange(4)):
            writer.add(bytes(random.randrange(100)))
        if random.random() < 0.5:
            writer._lengths.append(random.choice((0, 1, 1 << 40, (1 << 64) - 1)))
        writer.finish(bytes(random.choice((0, 1, 15, 16, 24))))
        return sink.content


class _Sink:
    content = b""

    def write(self, data: bytes | memoryview, /) -> None:
        self.content += data


def _seal_rows(database: sqlite3.Connection, table: str) -> None:
    [(salt,)] = database.execute("SELECT salt FROM owner").fetchall()
    for rowid, *values, _ in database.execute(f"SELECT rowid, * FROM {table}").fetchall():
        with suppress(TypeError):
            digest = Sealing(None, salt).digest(*values)
            database.execute(f"UPDATE {table} SET digest = ? WHERE rowid = ?", (digest, rowid))


def _seed(session_id: bytes) -> bytes:
    return hashlib.sha256(session_id).digest()[:16]


def _payload(party: int, session_id: bytes) -> bytes:
    return hashlib.sha512(session_id).digest() * 2 if party == 1 else b""


def _packed(party: int, key: StoreKey | None, files: dict[str, bytes]) -> bytes:
    entries = [_ENTRY.pack(NAMES.index(name), len(files[name])) + files[name] for name in sorted(files)]
    return bytes([party | (2 if key else 0)]) + zlib.compress(b"".join(entries))


def _unpacked(data: bytes) -> tuple[int, StoreKey | None, dict[str, bytes]]:
    """Raises MpccError for what is not `_packed`."""
    try:
        party_and_key, rest = data[0], zlib.decompressobj().decompress(data[1:], 1 << 20)
    except (IndexError, zlib.error) as error:
        raise MpccError("MPC-S001", "nothing packed") from error
    files: dict[str, bytes] = {}
    while len(rest) >= _ENTRY.size:
        number, length = _ENTRY.unpack_from(rest)
        files[NAMES[number % len(NAMES)]] = rest[_ENTRY.size : _ENTRY.size + length]
        rest = rest[_ENTRY.size + length :]
    return party_and_key & 1, KEY if party_and_key & 2 else None, files


def _read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _write(folder: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
