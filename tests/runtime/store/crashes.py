"""Kills a process at every single call of an operation that changes a file, and looks at what is left.

    LD_PRELOAD=kill_at.so python -m tests.runtime.store.crashes OPERATION FOLDER

prints how many times it killed. Each time the operation starts anew on the same store, in its own process.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.store.kept_file import kept_path
from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.store import Store
from mpcc.runtime.store.writer import write_pair
from tests.runtime.store.stores import BATCH, INDEX, MASK_SEED, PAYLOAD, PAYLOADS, PROGRAM, WEIGHTS, names

KEY = StoreKey(b"k" * 32)
OLD, FIRST, SECOND, NEW = (bytes([number]) * 16 for number in range(4))
TOKEN = b"t" * 32
OTHER_BATCH = BATCH[::-1]


@dataclass(frozen=True)
class Operation:
    """`act` is killed; `check` asserts what must be so whenever that was. `done` says that it was not."""

    act: Callable[[Path], object]
    check: Callable[[Path, bool], None]
    bulk: bool = False  # the sessions' files lie elsewhere


def opened(path: Path) -> Store:
    return Store(path / "store", 1, PROGRAM, key=KEY)


def prepare(path: Path, bulk: bool) -> None:
    """A store with a session that is used and two that are not."""
    url = f"file://{path / 'bulk'}" if bulk else None
    store = Store.create(path / "store", 1, PROGRAM, key=KEY, bulk=url)
    store.add_batch(BATCH, None)
    for session_id in (OLD, FIRST, SECOND):
        store.add(BATCH, session_id, session_id, PAYLOADS)
    store.take(OLD).close()
    store.close()


def is_whole(path: Path, *unused: bytes) -> None:
    """Exactly these sessions are unused, and whole; nothing else is left anywhere."""
    store = opened(path)
    assert store.unused(9) == list(unused)
    files = [f"session-{session_id.hex()}.bin" for session_id in sorted(unused)]
    elsewhere = path / "bulk"
    if elsewhere.exists():
        assert sorted(file.name for file in elsewhere.iterdir()) == files
        files = []
    assert [name for name in names(path / "store") if not name.startswith("weight-")] == files
    assert store.take_first([OLD]) is None
    for session_id in unused:
        session = store.take(session_id)
        assert (session.seed, bytes(session.payload[:])) == (session_id, PAYLOAD)
        session.close()
    store.close()
    if elsewhere.exists():
        assert list(elsewhere.iterdir()) == []


def states(path: Path, *session_ids: bytes) -> list[bool]:
    """Whether they are unused."""
    store = opened(path)
    unused = store.unused(9)
    store.close()
    return [session_id in unused for session_id in session_ids]


def take(path: Path) -> None:
    session = opened(path).take(FIRST)
    (path / "taken").touch()
    assert session.payload[:] == PAYLOAD
    session.close()


def check_take(path: Path, done: bool) -> None:
    [unused] = states(path, FIRST)
    assert not (unused and (done or (path / "taken").exists()))
    is_whole(path, *([FIRST] if unused else []), SECOND)


def add(path: Path) -> None:
    store = opened(path)
    store.add_batch(OTHER_BATCH, None)
    store.add(OTHER_BATCH, NEW, NEW, PAYLOADS)


def check_add(path: Path, done: bool) -> None:
    [unused] = states(path, NEW)
    assert unused or not done
    is_whole(path, FIRST, SECOND, *([NEW] if unused else []))


def discard(path: Path) -> None:
    opened(path).discard([FIRST, SECOND])


def check_discard(path: Path, done: bool) -> None:
    first, second = states(path, FIRST, SECOND)
    assert first == second
    assert not (first and done)
    is_whole(path, *([FIRST, SECOND] if first else []))


def create(path: Path) -> None:
    Store.create(path / "new/store", 1, PROGRAM, key=KEY)


def check_create(path: Path, done: bool) -> None:
    code = ""
    try:
        Store(path / "new/store", 1, PROGRAM, key=KEY).close()
    except MpccError as error:
        code = error.code
        Store.create(path / "new/store", 1, PROGRAM, key=KEY).close()
    assert code in ("", "MPC-S001")
    assert not (code and done)
    assert sorted(file.name for file in (path / "new/store").iterdir()) == [INDEX]


def deal(path: Path) -> None:
    with write_pair(path / "dealt", PROGRAM, WEIGHTS, MASK_SEED, (KEY, None)) as (server, client):
        for session_id in (FIRST, SECOND):
            server.add(session_id, session_id, [])
            client.add(session_id, session_id, PAYLOADS)


def check_deal(path: Path, done: bool) -> None:
    assert (path / "dealt").exists() or not done
    if not (path / "dealt").exists():
        deal(path)
    assert sorted(file.name for file in path.iterdir()) == ["bulk", "dealt", "store"]
    for party, weights, key in ((0, WEIGHTS, KEY), (1, None, None)):
        store = Store(path / f"dealt/party{party}", party, PROGRAM, weights, key)
        assert store.unused(9) == [FIRST, SECOND]
        for session_id in (FIRST, SECOND):
            session = store.take(session_id)
            assert session.seed == session_id
            assert bytes(session.payload[:]) == (PAYLOAD if party else b"")
            assert session.weight_mask_seed == (None if party else MASK_SEED)
        assert names(path / f"dealt/party{party}") == []
        store.close()


def keep(path: Path) -> None:
    session = opened(path).take(FIRST)
    assert session.kept is not None
    with session.kept.write(TOKEN) as writer:
        for piece in PAYLOADS:
            writer.add(piece)


def check_keep(path: Path, done: bool) -> None:
    store = opened(path)
    assert not list((path / "store").glob(".*"))
    session = store.take(SECOND)
    assert session.kept is not None
    with session.kept.read(TOKEN, list(map(len, PAYLOADS))) as pieces:
        assert pieces is None or b"".join(pieces) == PAYLOAD
        assert kept_path(path / "store", BATCH).exists() == (pieces is not None)
        assert pieces is not None or not done
    store.close()


def open_only(path: Path) -> None:
    """With all that can be left there to clean."""
    opened(path).close()


def prepare_leftovers(path: Path) -> None:
    for name in ("session-" + NEW.hex() + ".bin", "session-" + OLD.hex() + ".bin"):
        (path / "store" / name).write_bytes(b"left")
        (path / "bulk" / name).write_bytes(b"left")
    (path / "store/.weight-differences-00.bin.1.partial").write_bytes(b"left")
    kept_path(path / "store", OTHER_BATCH).write_bytes(b"left")


def check_open(path: Path, done: bool) -> None:
    is_whole(path, FIRST, SECOND)
    assert [name for name in names(path / "store") if "weight" in name] == []


OPERATIONS = {
    "take": Operation(take, check_take),
    "take-elsewhere": Operation(take, check_take, bulk=True),
    "add": Operation(add, check_add),
    "add-elsewhere": Operation(add, check_add, bulk=True),
    "discard": Operation(discard, check_discard),
    "discard-elsewhere": Operation(discard, check_discard, bulk=True),
    "create": Operation(create, check_create),
    "deal": Operation(deal, check_deal),
    "keep": Operation(keep, check_keep),
    "open": Operation(open_only, check_open),
    "open-elsewhere": Operation(open_only, check_open, bulk=True),
}


def kill_everywhere(name: str, scratch: Path) -> int:
    """How many times."""
    operation, place = OPERATIONS[name], scratch / "place"  # always the same one: a URL is in the index
    hook = ctypes.CDLL(None)
    (place / "bulk").mkdir(parents=True)
    prepare(place, operation.bulk)
    if operation.act is open_only:
        prepare_leftovers(place)
    place.rename(scratch / "prepared")
    kills = 0
    while True:
        shutil.copytree(scratch / "prepared", place)
        if not operation.bulk:
            shutil.rmtree(place / "bulk")
            if operation.act is deal:
                (place / "bulk").mkdir()
        child = os.fork()
        if not child:
            hook.kill_at(kills + 1)
            operation.act(place)
            hook.kill_at(-1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, -signal.SIGKILL), (kills, status)
        try:
            operation.check(place, status == 0)
        except BaseException:
            print(f"{name}, killed before its change {kills + 1}", file=sys.stderr)
            raise
        shutil.rmtree(place)
        if status == 0:
            return kills
        kills += 1


if __name__ == "__main__":
    print(kill_everywhere(sys.argv[1], Path(sys.argv[2])))
