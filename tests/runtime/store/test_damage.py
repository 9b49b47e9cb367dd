"""A damaged store is a coded error: no byte of a session is used before its check, no state is guessed."""

from __future__ import annotations

import os
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from mpcc.runtime.store.store import Store
from tests.runtime.store.stores import (
    INDEX,
    KEYS,
    PAYLOAD,
    PAYLOADS,
    PIECES,
    PROGRAM,
    WEIGHTS,
    client_file,
    client_store,
    code_of,
    deal,
)
from tests.support import flip

either = pytest.mark.parametrize("encrypted", [False, True])


@either
@pytest.mark.parametrize("position", [-1, -8, -9, -30, -41, -42, -49, -50, -60, -80, -90])
def test_flipped_bit_in_a_tail(tmp_path: Path, position: int, encrypted: bool) -> None:
    ids = deal(tmp_path, encrypted=encrypted)
    flip(client_file(tmp_path, ids[0]), position)
    store = client_store(tmp_path, encrypted)
    assert code_of(lambda: store.take(ids[0])) == "MPC-S008"
    assert not client_file(tmp_path, ids[0]).exists()
    assert store.unused(9) == ids[1:]


@either
@pytest.mark.parametrize("piece", [0, 1])
@pytest.mark.parametrize("place", ["first", "last", "check"])
def test_flipped_bit_in_a_payload(tmp_path: Path, piece: int, place: str, encrypted: bool) -> None:
    """Seen before a byte of the piece is handed out; the other piece is intact."""
    ids = deal(tmp_path, encrypted=encrypted)
    check = 16 if encrypted else 32
    begin = piece * (2400 + 2 * check)  # there is an empty piece between the two
    end = begin + len(PAYLOADS[piece])
    flip(client_file(tmp_path, ids[0]), {"first": begin, "last": end - 1, "check": end}[place])
    store = client_store(tmp_path, encrypted)
    payload = store.take(ids[0]).payload
    assert payload[PIECES[1 - piece]] == PAYLOADS[1 - piece]
    assert code_of(lambda: payload[PIECES[piece]]) == "MPC-S008"
    assert code_of(lambda: payload[:]) == "MPC-S008"
    assert store.unused(9) == ids[1:]


def test_only_whole_pieces_are_read(tmp_path: Path) -> None:
    [session_id] = deal(tmp_path, 1)
    payload = client_store(tmp_path).take(session_id).payload
    for empty in (0, 2400, 8000):
        assert len(payload[empty:empty]) == 0
    for part in (slice(0, 8), slice(8, 2400), slice(2400, 2401), slice(1, 1)):
        with pytest.raises(RuntimeError, match="other corrections"):
            payload[part]


@either
def test_a_file_cut_off_while_it_is_read(tmp_path: Path, encrypted: bool) -> None:
    [session_id] = deal(tmp_path, 1, encrypted)
    os.link(client_file(tmp_path, session_id), tmp_path / "other name")
    payload = client_store(tmp_path, encrypted).take(session_id).payload
    os.truncate(tmp_path / "other name", 3000)
    assert len(payload[PIECES[0]]) == 2400
    assert code_of(lambda: payload[PIECES[1]]) == "MPC-S008"


@either
@pytest.mark.parametrize("cut", [0, 1, 48, 49, 100, 5000, None])
def test_a_truncated_session(tmp_path: Path, cut: int | None, encrypted: bool) -> None:
    """`cut` bytes are left; all but one if it is None."""
    ids = deal(tmp_path, encrypted=encrypted)
    file = client_file(tmp_path, ids[0])
    os.truncate(file, file.stat().st_size - 1 if cut is None else cut)
    code = "MPC-S008" if cut is None or cut >= 49 else "MPC-S007"
    assert code_of(lambda: client_store(tmp_path, encrypted).take(ids[0])) == code


@either
def test_additional_bytes(tmp_path: Path, encrypted: bool) -> None:
    """At the end, at the beginning, or a piece twice."""
    ids = deal(tmp_path, 3, encrypted)
    store = client_store(tmp_path, encrypted)
    for number, session_id in enumerate(ids):
        file = client_file(tmp_path, session_id)
        contents = file.read_bytes()
        piece = contents[: 2400 + (16 if encrypted else 32)]
        file.write_bytes((contents + b"\0", b"\0" + contents, piece + contents)[number])
        assert code_of(partial(store.take, session_id)) == "MPC-S008"


@either
def test_pieces_change_places(tmp_path: Path, encrypted: bool) -> None:
    """Two of the same length within a file, and between two sessions."""
    store = Store.create(tmp_path / "store", 1, PROGRAM, key=KEYS[1] if encrypted else None)
    store.add_batch(bytes(16), None)
    size = 100 + (16 if encrypted else 32)
    ids = [bytes([number]) * 16 for number in range(3)]
    files = [tmp_path / f"store/session-{session_id.hex()}.bin" for session_id in ids]
    for session_id in ids:
        store.add(bytes(16), session_id, bytes(16), [bytes([n]) * 100 for n in range(2)])
    contents = [file.read_bytes() for file in files]
    files[0].write_bytes(contents[0][size : 2 * size] + contents[0][:size] + contents[0][2 * size :])
    files[1].write_bytes(contents[2][:size] + contents[1][size:])
    first, second = (store.take(session_id).payload for session_id in ids[:2])
    assert code_of(lambda: first[0:100]) == "MPC-S008"
    assert code_of(lambda: first[100:200]) == "MPC-S008"
    assert code_of(lambda: second[0:100]) == "MPC-S008"
    assert second[100:200] == b"\1" * 100


@either
def test_swapped_or_missing_session(tmp_path: Path, encrypted: bool) -> None:
    ids = deal(tmp_path, encrypted=encrypted)
    client_file(tmp_path, ids[1]).rename(client_file(tmp_path, ids[0]))
    store = client_store(tmp_path, encrypted)
    assert code_of(lambda: store.take(ids[0])) == "MPC-S008"
    assert code_of(lambda: store.take(ids[1])) == "MPC-S007"
    assert store.count_unused() == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_index(tmp_path: Path, share: float) -> None:
    deal(tmp_path)
    index = tmp_path / "party1" / INDEX
    os.truncate(index, int(index.stat().st_size * share))
    assert code_of(lambda: client_store(tmp_path)) == ("MPC-S002" if share else "MPC-S001")


@pytest.mark.parametrize("contents", [b"[1, 2]" * 1000, b"SQLite format 3\0" + bytes(4080)])
def test_something_else_in_the_indexs_place(tmp_path: Path, contents: bytes) -> None:
    deal(tmp_path)
    (tmp_path / "party1" / INDEX).write_bytes(contents)
    assert code_of(lambda: client_store(tmp_path)) == "MPC-S002"
    assert code_of(lambda: Store.create(tmp_path / "party1", 1, PROGRAM)) == "MPC-S002"


def test_another_programs_database(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / INDEX)
    database.execute("CREATE TABLE sessions (id BLOB)")
    database.close()
    assert code_of(lambda: Store(tmp_path, 1, PROGRAM)) == "MPC-S002"
    assert code_of(lambda: Store.create(tmp_path, 1, PROGRAM)) == "MPC-S011"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sessions SET state = 'unused'",
        "UPDATE sessions SET state = 'lost'",
        "UPDATE sessions SET state = NULL",
        "UPDATE sessions SET state = x'ff'",
        "UPDATE sessions SET position = position + 1000",
        "UPDATE sessions SET id = zeroblob(16) WHERE position = 1",
        "UPDATE sessions SET batch = 'x'",
        "UPDATE sessions SET digest = NULL",
        "UPDATE batches SET batch = zeroblob(16)",
        "UPDATE batches SET mask_seed = zeroblob(80)",
        "UPDATE owner SET party = 0",
        "UPDATE owner SET salt = NULL",
        "UPDATE owner SET program_hash = 7",
        "DELETE FROM owner",
        "INSERT INTO owner SELECT * FROM owner",
        "DROP INDEX unused",
        "CREATE TABLE more (x)",
        "PRAGMA user_version = 2",
    ],
)
def test_a_changed_value_in_the_index(tmp_path: Path, change: str) -> None:
    ids = deal(tmp_path)
    client_store(tmp_path).take(ids[0])
    database = sqlite3.connect(tmp_path / "party1" / INDEX)
    with database:
        database.execute(change)
    database.close()
    assert code_of(lambda: client_store(tmp_path)) == "MPC-S002"


def test_damage_under_an_open_store(tmp_path: Path) -> None:
    ids = deal(tmp_path)
    store = Store(tmp_path / "party0", 0, PROGRAM, WEIGHTS)
    database = sqlite3.connect(tmp_path / "party0" / INDEX)
    with database:
        database.execute("UPDATE sessions SET digest = zeroblob(32)")
        database.execute("UPDATE batches SET digest = zeroblob(32)")
    database.close()
    for action in (
        lambda: store.take(ids[0]),
        lambda: store.used(ids),
        lambda: store.unused(9),
        lambda: store.discard(ids),
    ):
        assert code_of(action) == "MPC-S002"


def test_what_was_intact_is_given(tmp_path: Path) -> None:
    """The tests above would pass with a store that gives nothing."""
    ids = deal(tmp_path)
    assert client_store(tmp_path).take(ids[0]).payload[:] == PAYLOAD
