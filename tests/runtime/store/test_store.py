"""One-time stores: every session is handed out once, to the party, program and weights it was dealt for."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.store.store import Store
from mpcc.runtime.store.writer import write_pair
from tests.runtime.store.stores import (
    BATCH,
    INDEX,
    MASK_SEED,
    PAYLOAD,
    PAYLOADS,
    PIECES,
    PROGRAM,
    WEIGHTS,
    client_file,
    client_store,
    code_of,
    deal,
    names,
    server_store,
)
from tests.support import open_below

either = pytest.mark.parametrize("encrypted", [False, True])


@either
def test_both_parties_get_their_parts(tmp_path: Path, encrypted: bool) -> None:
    ids = deal(tmp_path / "store", 2, encrypted)
    server, client = server_store(tmp_path / "store", encrypted), client_store(tmp_path / "store", encrypted)
    assert server.unused(9) == client.unused(9) == ids
    session = client.take(ids[1])
    assert (session.id, session.seed, session.weight_mask_seed) == (ids[1], bytes([101]) * 16, None)
    assert session.payload[:] == PAYLOAD
    assert [session.payload[part] for part in PIECES] == list(PAYLOADS)
    assert client.unused(9) == ids[:1]
    session = server.take(ids[0])
    assert (session.seed, bytes(session.payload[:]), session.weight_mask_seed) == (bytes(16), b"", MASK_SEED)


def test_party_1_never_gets_the_weight_mask(tmp_path: Path) -> None:
    deal(tmp_path / "store")
    for file in (tmp_path / "store/party1").iterdir():
        contents = file.read_bytes()
        assert MASK_SEED not in contents
        assert WEIGHTS.encode() not in contents
    assert MASK_SEED in (tmp_path / "store/party0" / INDEX).read_bytes()


@either
def test_only_the_owner_reads_a_store(tmp_path: Path, encrypted: bool) -> None:
    umask = os.umask(0)
    try:
        deal(tmp_path / "store", 2, encrypted)
    finally:
        os.umask(umask)
    for file in (tmp_path / "store").rglob("*"):
        assert file.stat().st_mode & 0o077 == 0


def test_a_session_is_given_once(tmp_path: Path) -> None:
    ids = deal(tmp_path / "store")
    store = client_store(tmp_path / "store")
    store.take(ids[0])
    assert code_of(lambda: store.take(ids[0])) == "MPC-S009"
    assert code_of(lambda: client_store(tmp_path / "store").take(ids[0])) == "MPC-S009"
    assert code_of(lambda: store.take(bytes(16))) == "MPC-S009"
    store.require_unused()
    store.take(ids[1])
    assert code_of(client_store(tmp_path / "store").require_unused) == "MPC-S006"
    assert names(tmp_path / "store/party1") == []


def test_the_first_that_is_unused(tmp_path: Path) -> None:
    ids = deal(tmp_path / "store", 3)
    store = server_store(tmp_path / "store")
    store.take(ids[1])
    unknown = bytes(16)
    session = store.take_first([unknown, ids[1], ids[2], ids[0]])
    assert session is not None
    assert session.id == ids[2]
    assert store.used([ids[2], unknown, ids[0], ids[1]]) == [ids[2], ids[1]]
    assert store.take_first([unknown, ids[1], ids[2]]) is None
    assert store.take_first([]) is None
    assert (store.unused(9), store.count_unused()) == ([ids[0]], 1)


def test_discarded_sessions_are_gone(tmp_path: Path) -> None:
    ids = deal(tmp_path / "store", 3)
    store = client_store(tmp_path / "store")
    store.discard([ids[0], bytes(16), ids[2]])
    store.discard([])
    assert store.unused(9) == [ids[1]]
    assert store.used(ids) == [ids[0], ids[2]]
    assert code_of(lambda: store.take(ids[0])) == "MPC-S009"
    assert names(tmp_path / "store/party1") == [client_file(tmp_path, ids[1]).name]
    store.take(ids[1])
    store.discard([ids[1]])  # changes nothing


def test_a_limit(tmp_path: Path) -> None:
    ids = deal(tmp_path / "store", 3)
    store = server_store(tmp_path / "store")
    assert (store.unused(2), store.unused(0)) == (ids[:2], [])


def test_racing_threads_get_a_session_once(tmp_path: Path) -> None:
    [session_id] = deal(tmp_path / "store", 1)
    stores = [client_store(tmp_path / "store") for _ in range(4)] * 2  # also two threads with one store

    def try_take(store: Store) -> str:
        try:
            store.take(session_id)
        except MpccError as error:
            return error.code
        return "taken"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(try_take, stores)) == ["MPC-S009"] * 7 + ["taken"]


def take_all(path: Path) -> list[bytes]:
    store, taken = client_store(path), []
    while (session := store.take_first(store.unused(2))) or store.count_unused():
        if session is not None:
            assert session.payload[:] == PAYLOAD
            taken.append(session.id)
    return taken


def test_racing_processes_share_a_store(tmp_path: Path) -> None:
    """Each session goes to one of them, and opening meanwhile removes nobody's files."""
    dealt = deal(tmp_path / "store", 24)
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        taken = list(pool.map(take_all, [tmp_path / "store"] * 4))
    assert sorted(session_id for ids in taken for session_id in ids) == sorted(dealt)
    assert names(tmp_path / "store/party1") == []


@pytest.mark.parametrize(
    ("name", "code"), [("party0", "MPC-S005"), ("party2", "MPC-S001"), (f"party1/{INDEX}", "MPC-S001")]
)
def test_not_this_party(tmp_path: Path, name: str, code: str) -> None:
    deal(tmp_path / "store")
    assert code_of(lambda: Store(tmp_path / "store" / name, 1, PROGRAM)) == code


def test_other_program_or_weights(tmp_path: Path) -> None:
    deal(tmp_path / "store")
    server = tmp_path / "store/party0"
    assert code_of(lambda: Store(server, 0, "00" * 32, WEIGHTS)) == "MPC-S003"
    assert code_of(lambda: Store(server, 0, PROGRAM, "00" * 32)) == "MPC-S004"


def test_sessions_are_added_to_a_store(tmp_path: Path) -> None:
    """By somebody else, while it is open; a batch has its own weight mask."""
    store = Store.create(tmp_path / "store", 0, PROGRAM, WEIGHTS)
    assert store.count_unused() == 0
    other = Store(tmp_path / "store", 0, PROGRAM, WEIGHTS)
    seeds = [bytes([number]) * 16 for number in range(4)]
    other.add_batch(BATCH, seeds[0])
    assert other.add(BATCH, seeds[2], seeds[3], []) == 0
    other.add_batch(BATCH[::-1], seeds[1])
    other.add_batch(BATCH, bytes(16))  # is there
    assert other.add(BATCH[::-1], seeds[1], seeds[0], [b"ab", bytearray(3)]) == 5
    assert store.unused(9) == [seeds[2], seeds[1]]
    first, second = store.take(seeds[2]), store.take(seeds[1])
    assert (first.seed, first.weight_mask_seed) == (seeds[3], seeds[0])
    assert (second.seed, second.weight_mask_seed) == (seeds[0], seeds[1])
    assert bytes(second.payload[:]) == b"ab\0\0\0"


def test_a_session_is_never_added_again(tmp_path: Path) -> None:
    """Not unused, not used, not discarded; nothing is asked of whoever gives the pieces."""
    ids = deal(tmp_path / "store", 3)
    store = client_store(tmp_path / "store")
    store.take(ids[0])
    store.discard([ids[1]])

    def untouched() -> Iterator[bytes]:
        raise AssertionError
        yield

    store.add_batch(BATCH, None)
    for session_id in ids:
        assert store.add(BATCH, session_id, bytes(16), untouched()) is None
    assert store.take(ids[2]).payload[:] == PAYLOAD


class Stopped(Exception):
    pass


def stopping() -> Iterator[bytes]:
    yield b"abc"
    raise Stopped


def test_what_is_not_added_whole_is_not_added(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", 1, PROGRAM)
    store.add_batch(BATCH, None)
    with pytest.raises(Stopped):
        store.add(BATCH, bytes(16), bytes(16), stopping())
    assert (store.unused(9), names(tmp_path / "store")) == ([], [])
    assert store.add(BATCH, bytes(16), bytes(16), [b"abc"]) == 3


def test_opening_leaves_those_alone_who_add(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", 1, PROGRAM)
    store.add_batch(BATCH, None)

    def pieces() -> Iterator[bytes]:
        yield b"abc"
        Store(tmp_path / "store", 1, PROGRAM).close()
        yield b"def"

    store.add(BATCH, bytes(16), bytes(16), pieces())
    assert bytes(store.take(bytes(16)).payload[:]) == b"abcdef"


def test_pieces_are_taken_one_by_one(tmp_path: Path) -> None:
    """None is held while the next is made."""
    store = Store.create(tmp_path / "store", 1, PROGRAM)
    store.add_batch(BATCH, None)
    alive: set[int] = set()

    class Piece(bytearray):
        def __del__(self) -> None:
            alive.discard(id(self))

    def pieces() -> Iterator[bytearray]:
        for _ in range(5):
            piece = Piece(1000)
            alive.add(id(piece))
            assert len(alive) <= 2  # this one, and the one that was written last
            yield piece

    assert store.add(BATCH, bytes(16), bytes(16), pieces()) == 5000


def test_a_failed_deal_leaves_nothing(tmp_path: Path) -> None:
    def deal_and_fail() -> None:
        with write_pair(tmp_path / "store", PROGRAM, WEIGHTS, MASK_SEED) as (server, _):
            server.add(bytes(16), bytes(16), [b"x"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deal_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_never_overwritten(tmp_path: Path) -> None:
    ids = deal(tmp_path / "store")
    assert code_of(lambda: deal(tmp_path / "store")) == "MPC-S011"
    assert code_of(lambda: Store.create(tmp_path / "store/party1", 1, PROGRAM)) == "MPC-S011"
    assert client_store(tmp_path / "store").unused(9) == ids


def test_an_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert code_of(lambda: deal(tmp_path / "file/store")) == "MPC-S011"
    assert code_of(lambda: Store.create(tmp_path / "file/store", 1, PROGRAM)) == "MPC-S011"


def test_one_store_set_back_to_an_earlier_state(tmp_path: Path) -> None:
    """What the handshake does then: the other side knows what was used, and this side discards it."""
    ids = deal(tmp_path / "store")
    shutil.copytree(tmp_path / "store/party1", tmp_path / "backup")
    server = server_store(tmp_path / "store")
    server.take(ids[0])
    client_store(tmp_path / "store").take(ids[0])
    shutil.rmtree(tmp_path / "store/party1")
    shutil.copytree(tmp_path / "backup", tmp_path / "store/party1")
    client = client_store(tmp_path / "store")
    offered = client.unused(9)
    session = server.take_first(offered)
    assert session is not None
    assert session.id == ids[1]
    client.discard(server.used(offered[:1]))
    assert client.unused(9) == [ids[1]]


def test_a_payload_is_closed_with_its_session(tmp_path: Path) -> None:
    ids = deal(tmp_path / "store", 2)
    store = client_store(tmp_path / "store")
    before = open_below(tmp_path)
    session = store.take(ids[0])
    assert len(open_below(tmp_path)) == len(before) + 1
    session.close()
    session.close()
    assert open_below(tmp_path) == before
    session = store.take(ids[1])
    del session
    assert open_below(tmp_path) == before
