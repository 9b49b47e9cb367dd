"""Sessions' files at a URL: the index stays here, and nothing stays there."""

from __future__ import annotations

import gc
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.store.index import Index
from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.store import Store
from tests.runtime.store.stores import BATCH, PAYLOAD, PAYLOADS, PIECES, PROGRAM, code_of, names
from tests.support import flip, open_below

KEY = StoreKey(b"k" * 32)
IDS = [bytes([number]) * 16 for number in range(3)]


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/elsewhere"
    return f"memory://mpcc-{secrets.token_hex(8)}/sessions"


def there(url: str) -> list[str]:
    files, root = fsspec.url_to_fs(url)
    return sorted(name.rpartition("/")[2] for name in files.ls(root, detail=False))


def filled(path: Path, url: str) -> Store:
    store = Store.create(path, 1, PROGRAM, key=KEY, bulk=url)
    store.add_batch(BATCH, None)
    for session_id in IDS:
        assert store.add(BATCH, session_id, session_id, PAYLOADS) == len(PAYLOAD)
    return store


def opened(path: Path) -> Store:
    return Store(path, 1, PROGRAM, key=KEY)


def file_names(*session_ids: bytes) -> list[str]:
    return [f"session-{session_id.hex()}.bin" for session_id in session_ids]


def test_a_sessions_life(tmp_path: Path, url: str) -> None:
    filled(tmp_path / "store", url).close()
    assert there(url) == file_names(*IDS)
    assert names(tmp_path / "store") == []
    store = opened(tmp_path / "store")
    session = store.take(IDS[0])
    assert session.seed == IDS[0]
    assert [session.payload[part] for part in PIECES] == list(PAYLOADS)
    assert names(tmp_path / "store") == file_names(IDS[0])  # whoever opens the store now leaves it alone
    opened(tmp_path / "store").close()
    assert session.payload[:] == PAYLOAD
    session.close()
    assert there(url) == file_names(*IDS[1:])
    assert names(tmp_path / "store") == []
    store.discard([IDS[2]])
    assert there(url) == file_names(IDS[1])
    assert names(tmp_path / "store") == []


def test_only_what_is_needed_is_read(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path / "store", url)
    files = type(fsspec.url_to_fs(url)[0])
    original, ranges = files.cat_file, []

    def cat_file(self: Any, path: str, start: int, end: int) -> bytes:
        ranges.append((start, end))
        data: bytes = original(self, path, start=start, end=end)
        return data

    monkeypatch.setattr(files, "cat_file", cat_file)
    session = store.take(IDS[0])
    ranges.clear()
    assert session.payload[PIECES[1]] == PAYLOADS[1]
    assert ranges == [(2416, 2416 + 5600 + 16)]


def test_a_file_that_is_missing_or_damaged_there(tmp_path: Path) -> None:
    store = filled(tmp_path / "store", f"file://{tmp_path}/elsewhere")
    missing, damaged, _ = (tmp_path / "elsewhere" / name for name in file_names(*IDS))
    missing.unlink()
    flip(damaged, 3000)
    assert code_of(lambda: store.take(IDS[0])) == "MPC-S007"
    session = store.take(IDS[1])
    assert code_of(lambda: session.payload[PIECES[1]]) == "MPC-S008"
    session.close()
    assert store.unused(9) == IDS[2:]
    assert there(f"file://{tmp_path}/elsewhere") == file_names(IDS[2])
    assert names(tmp_path / "store") == []


class Unreachable(Exception):
    """As of a library that fsspec has never heard of."""


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Names operations of the memory file system that fail from now on."""

    def refuse(*arguments: object, **more: object) -> None:
        raise Unreachable("https://user:password@host refused")

    files = type(fsspec.filesystem("memory"))
    return lambda name: monkeypatch.setattr(files, name, refuse)


def test_a_place_out_of_reach(tmp_path: Path, cut_off: Callable[[str], None]) -> None:
    """What was not opened is not used; nothing of the error's own text is told."""
    store = filled(tmp_path / "store", "memory://out-of-reach/sessions")
    session = store.take(IDS[2])
    for name in ("info", "open", "cat_file", "rm_file"):
        cut_off(name)
    with pytest.raises(MpccError) as caught:
        store.take(IDS[0])
    assert caught.value.code == "MPC-S019"
    assert "Unreachable" in caught.value.message
    assert "password" not in caught.value.render()
    assert store.unused(9) == IDS[:2]
    assert code_of(lambda: session.payload[PIECES[0]]) == "MPC-S019"
    session.close()  # its file stays there, and its name here
    assert names(tmp_path / "store") == file_names(IDS[2])
    assert code_of(lambda: store.add(BATCH, b"n" * 16, bytes(16), PAYLOADS)) == "MPC-S019"
    assert code_of(lambda: store.discard(IDS[:1])) == "MPC-S019"
    assert store.unused(9) == IDS[1:2]


def test_what_could_not_be_removed_goes_later(tmp_path: Path) -> None:
    url = "memory://later/sessions"
    with pytest.MonkeyPatch.context() as patch:
        store = filled(tmp_path / "store", url)
        session = store.take(IDS[0])
        patch.setattr(type(fsspec.filesystem("memory")), "rm_file", None)
        session.close()
        store.close()
        opened(tmp_path / "store").close()
        assert there(url) == file_names(*IDS)
    opened(tmp_path / "store").close()
    assert there(url) == file_names(*IDS[1:])
    assert names(tmp_path / "store") == []


def test_what_is_not_marked_stays(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path / "store", url)
    before = open_below(tmp_path)

    def refuse(*arguments: object) -> None:
        raise MpccError("MPC-S011", "full")

    with monkeypatch.context() as patch:
        patch.setattr(Index, "mark", refuse)
        assert code_of(lambda: store.take(IDS[0])) == "MPC-S011"
        assert open_below(tmp_path) == before
        assert names(tmp_path / "store") == []
        assert there(url) == file_names(*IDS)
    assert store.take(IDS[0]).payload[:] == PAYLOAD


def test_an_upload_that_fails_leaves_nothing(tmp_path: Path, url: str) -> None:
    store = filled(tmp_path / "store", url)

    def pieces() -> Iterator[bytes]:
        yield bytes(1000)
        raise Unreachable

    with pytest.raises(Unreachable):
        store.add(BATCH, b"n" * 16, bytes(16), pieces())
    assert there(url) == file_names(*IDS)
    assert names(tmp_path / "store") == []


@pytest.mark.parametrize("url", ["nowhere://host/path", "://", "elsewhere"])
def test_a_url_that_fsspec_does_not_know(tmp_path: Path, url: str) -> None:
    assert code_of(lambda: Store.create(tmp_path / "store", 1, PROGRAM, key=KEY, bulk=url)) == "MPC-S019"
    assert code_of(lambda: opened(tmp_path / "store")) == "MPC-S001"


def test_only_encrypted_sessions_lie_elsewhere(tmp_path: Path, url: str) -> None:
    assert code_of(lambda: Store.create(tmp_path / "store", 1, PROGRAM, bulk=url)) == "MPC-S020"
    filled(tmp_path / "store", url)
    files, root = fsspec.url_to_fs(url)
    for name in there(url):
        assert PAYLOADS[0][:64] not in files.cat_file(f"{root}/{name}")


def test_descriptors_are_given_back(tmp_path: Path, url: str) -> None:
    store = filled(tmp_path / "store", url)
    gc.collect()
    before = open_below(tmp_path)
    session = store.take(IDS[0])
    del session
    store.discard([IDS[1]])
    assert store.take_first([]) is None
    assert open_below(tmp_path) == before
