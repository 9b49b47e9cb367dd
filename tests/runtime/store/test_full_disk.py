"""A full disk, or a limit on a file's size: a coded error, nothing partial, and a store that goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.store import Session, Store
from tests.runtime.store.stores import (
    BATCH,
    PAYLOAD,
    PAYLOADS,
    PROGRAM,
    client_store,
    code_of,
    deal,
    names,
)

DISK = 1 << 20
ID = bytes(16)
BULKY = [bytes(100_000)] * 30  # more than the disk has


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(path)]
    if not shutil.which("mount") or subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@contextlib.contextmanager
def full(disk: Path, left: int = 0) -> Iterator[None]:
    """All but `left` bytes taken, in pages."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(filler, max(filler.stat().st_size - left, 0))
    yield
    filler.unlink()


def keep(session: Session) -> None:
    assert session.kept is not None
    with session.kept.write(bytes(32)) as writer:
        for piece in BULKY:
            writer.add(piece)


@pytest.mark.parametrize("left", [0, 4096, 8192, 12288, 40960])
def test_a_session_that_does_not_fit(disk: Path, left: int) -> None:
    ids = deal(disk / "store")
    store = client_store(disk / "store")
    store.add_batch(BATCH, None)
    before = names(disk / "store/party1")
    with full(disk, left):
        assert code_of(lambda: store.add(BATCH, ID, ID, BULKY)) == "MPC-S011"
    assert names(disk / "store/party1") == before
    assert store.unused(9) == ids
    assert store.add(BATCH, ID, ID, PAYLOADS) == len(PAYLOAD)
    assert client_store(disk / "store").take(ID).payload[:] == PAYLOAD


@pytest.mark.parametrize("action", ["take", "discard", "add_batch"])
def test_a_mark_that_does_not_fit(disk: Path, action: str) -> None:
    """What cannot be marked used is not used."""
    ids = deal(disk / "store")
    store = client_store(disk / "store")
    actions: dict[str, Callable[[], object]] = {
        "take": lambda: store.take(ids[0]),
        "discard": lambda: store.discard(ids),
        "add_batch": lambda: store.add_batch(BATCH, None),
    }
    with full(disk):
        assert code_of(actions[action]) == "MPC-S011"
        assert store.unused(9) == client_store(disk / "store").unused(9) == ids
    actions[action]()
    assert store.take(ids[1]).payload[:] == PAYLOAD if action == "take" else True


def test_weight_differences_that_do_not_fit(disk: Path) -> None:
    ids = deal(disk / "store")
    store = client_store(disk / "store")
    session = store.take(ids[0])
    assert code_of(lambda: keep(session)) == "MPC-S011"
    assert names(disk / "store/party1") == [f"session-{ids[1].hex()}.bin"]
    assert session.payload[:] == PAYLOAD


def test_a_store_that_does_not_fit(disk: Path) -> None:
    with full(disk, 4096):
        assert code_of(lambda: Store.create(disk / "store", 1, PROGRAM)) == "MPC-S011"
        assert code_of(lambda: deal(disk / "dealt")) == "MPC-S011"
        assert not (disk / "dealt").exists()
        assert code_of(lambda: Store(disk / "store", 1, PROGRAM)) == "MPC-S001"
    Store.create(disk / "store", 1, PROGRAM)
    assert sorted(path.name for path in disk.iterdir()) == ["store"]
    deal(disk / "dealt")


def test_a_key_that_does_not_fit(disk: Path) -> None:
    with full(disk):
        assert code_of(lambda: StoreKey.write(disk / "key")) == "MPC-S011"
        assert not (disk / "key").exists()


def within_a_limit(path: Path, ids: list[bytes]) -> None:
    store = client_store(path)
    store.add_batch(BATCH, None)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    assert code_of(lambda: store.add(BATCH, ID, ID, BULKY)) == "MPC-S011"
    session = store.take(ids[0])
    assert code_of(lambda: keep(session)) == "MPC-S011"
    assert store.add(BATCH, ID, ID, PAYLOADS) == len(PAYLOAD)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    assert code_of(lambda: store.take(ids[1])) == "MPC-S011"
    assert code_of(lambda: Store.create(path / "new", 1, PROGRAM)) == "MPC-S011"


def test_a_limit_on_a_files_size(tmp_path: Path) -> None:
    ids = deal(tmp_path)
    worker = multiprocessing.get_context("spawn").Process(target=within_a_limit, args=(tmp_path, ids))
    worker.start()
    worker.join(120)
    assert worker.exitcode == 0
    assert client_store(tmp_path).unused(9) == [ids[1], ID]
    assert names(tmp_path / "party1") == sorted(f"session-{i.hex()}.bin" for i in (ids[1], ID))
    assert client_store(tmp_path).take(ids[1]).payload[:] == PAYLOAD


def test_a_store_that_may_not_be_written(disk: Path) -> None:
    ids = deal(disk / "store")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert code_of(lambda: client_store(disk / "store").take(ids[0])) == "MPC-S011"
    assert code_of(lambda: deal(disk / "other")) == "MPC-S011"
    assert code_of(lambda: StoreKey.write(disk / "key")) == "MPC-S011"
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert client_store(disk / "store").take(ids[0]).payload[:] == PAYLOAD
