"""Stores encrypted at rest: what is readable in them, and what a wrong key is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpcc.runtime.commands import store_key
from mpcc.runtime.store.pieces import Pieces, PieceWriter
from mpcc.runtime.store.sealing import Damaged, Sealing, StoreKey
from mpcc.runtime.store.store import Store
from tests.runtime.store.stores import (
    INDEX,
    KEYS,
    MASK_SEED,
    PAYLOAD,
    PAYLOADS,
    PROGRAM,
    WEIGHTS,
    client_store,
    code_of,
    deal,
    server_store,
)

SALT = bytes(32)


class Memory:
    """A file in memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.size = 0

    def write(self, data: bytes | memoryview, /) -> None:
        self.data += data
        self.size = len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])


def test_nothing_secret_is_readable(tmp_path: Path) -> None:
    deal(tmp_path / "plain", 2)
    deal(tmp_path / "sealed", 2, encrypted=True)
    secrets = (MASK_SEED, bytes(16), b"\1" * 16, bytes([100]) * 16, bytes([101]) * 16, PAYLOADS[0][:100])
    found = {}
    for name in ("plain", "sealed"):
        files = [file for file in (tmp_path / name).rglob("*") if file.is_file()]
        found[name] = [secret for secret in secrets if any(secret in file.read_bytes() for file in files)]
    assert found["plain"] == list(secrets)
    # 16 zeros stand in unused parts of a database, and are no seed there
    assert found["sealed"] == [bytes(16)]
    sessions = (tmp_path / "sealed").rglob("session-*")
    assert not any(bytes(16) in file.read_bytes() for file in sessions)


@pytest.mark.parametrize(
    ("sealed", "key", "code"),
    [(True, None, "MPC-S016"), (True, KEYS[0], "MPC-S017"), (False, KEYS[1], "MPC-S018")],
)
def test_keys_that_do_not_fit(tmp_path: Path, sealed: bool, key: StoreKey | None, code: str) -> None:
    """The other party's is such a key."""
    ids = deal(tmp_path, encrypted=sealed)
    assert code_of(lambda: Store(tmp_path / "party1", 1, PROGRAM, key=key)) == code
    assert client_store(tmp_path, sealed).take(ids[0]).payload[:] == PAYLOAD


def test_damage_is_told_from_a_wrong_key(tmp_path: Path) -> None:
    deal(tmp_path, encrypted=True)
    index = tmp_path / "party1" / INDEX
    key_check = Store(tmp_path / "party1", 1, PROGRAM, key=KEYS[1])._index.sealing.key_check
    contents = index.read_bytes()
    index.write_bytes(contents.replace(key_check, bytes(32)))
    assert code_of(lambda: client_store(tmp_path, True)) == "MPC-S002"


def test_a_session_of_a_plain_store_in_a_sealed_one(tmp_path: Path) -> None:
    """Somebody without the key cannot put a session there."""
    ids = deal(tmp_path / "sealed", 1, encrypted=True)
    store = Store.create(tmp_path / "plain", 1, PROGRAM)
    store.add_batch(bytes(16), None)
    store.add(bytes(16), ids[0], bytes(16), PAYLOADS)
    name = f"session-{ids[0].hex()}.bin"
    (tmp_path / "plain" / name).rename(tmp_path / "sealed/party1" / name)
    assert code_of(lambda: client_store(tmp_path / "sealed", True).take(ids[0])) == "MPC-S008"


@pytest.mark.parametrize("key", [None, KEYS[0]])
def test_a_session_of_another_store_with_the_same_key(tmp_path: Path, key: StoreKey | None) -> None:
    for name in "ab":
        store = Store.create(tmp_path / name, 1, PROGRAM, key=key)
        store.add_batch(bytes(16), None)
        store.add(bytes(16), bytes(16), bytes(16), PAYLOADS)
        store.close()
    file = f"session-{bytes(16).hex()}.bin"
    (tmp_path / "a" / file).rename(tmp_path / "b" / file)
    assert code_of(lambda: Store(tmp_path / "b", 1, PROGRAM, key=key).take(bytes(16))) == "MPC-S008"


def test_each_party_has_its_own_key(tmp_path: Path) -> None:
    [session_id] = deal(tmp_path, 1, encrypted=True)
    assert server_store(tmp_path, True).take(session_id).weight_mask_seed == MASK_SEED
    assert code_of(lambda: Store(tmp_path / "party0", 0, PROGRAM, WEIGHTS, KEYS[1])) == "MPC-S017"


def test_no_two_writings_are_sealed_alike() -> None:
    """A session that is written again has another key: the numbers of its pieces are its nonces."""
    sealing, files = Sealing(KEYS[0], SALT), [Memory(), Memory()]
    for file in files:
        writer = PieceWriter(file, sealing, b"context")
        writer.add(bytes(64))
        writer.add(bytes(64))
        writer.finish(bytes(16))
    blocks = [bytes(file.data[i : i + 16]) for file in files for i in range(0, 128, 16)]
    assert len(set(blocks)) == len(blocks)
    assert sealing.seal(b"context", bytes(16)) != sealing.seal(b"context", bytes(16))


@pytest.mark.parametrize("key", [None, KEYS[0]])
def test_what_is_sealed_is_bound_to_its_context(key: StoreKey | None) -> None:
    sealing, file = Sealing(key, SALT), Memory()
    writer = PieceWriter(file, sealing, b"one")
    writer.add(b"piece")
    writer.finish(b"secret")
    assert bytes(Pieces(file, sealing, b"one", 6)[0:5]) == b"piece"
    for other in (Sealing(key, b"\1" * 32), Sealing(KEYS[1], SALT), Sealing(None if key else KEYS[0], SALT)):
        with pytest.raises(Damaged):
            Pieces(file, other, b"one", 6)
    with pytest.raises(Damaged):
        Pieces(file, sealing, b"other", 6)
    sealed = sealing.seal(b"one", b"secret")
    assert sealing.open(b"one", sealed) == b"secret"
    with pytest.raises(Damaged):
        sealing.open(b"other", sealed)


@pytest.mark.parametrize("key", [None, KEYS[0]])
def test_short_secrets_that_are_damaged(key: StoreKey | None) -> None:
    sealing = Sealing(key, SALT)
    sealed = sealing.seal(b"c", b"secret")
    for length in range(len(sealed)):
        with pytest.raises(Damaged):
            sealing.open(b"c", sealed[:length])
    for position in range(len(sealed)):
        with pytest.raises(Damaged):
            sealing.open(b"c", sealed[:position] + bytes([sealed[position] ^ 1]) + sealed[position + 1 :])


def test_a_key_is_made_by_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "key"
    assert store_key.main(["-o", str(file)]) == 0
    assert len(file.read_bytes()) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    key = StoreKey.load(file)
    assert key.secret == file.read_bytes()
    assert key.secret.hex() not in repr(key)
    assert str(key.secret) not in repr(key)
    assert store_key.main(["-o", str(file)]) == 1
    assert "MPC-S011" in capsys.readouterr().err
    assert StoreKey.load(file) == key


@pytest.mark.parametrize("contents", [None, b"", bytes(31), bytes(33)])
def test_what_is_no_key(tmp_path: Path, contents: bytes | None) -> None:
    if contents is not None:
        (tmp_path / "key").write_bytes(contents)
    assert code_of(lambda: StoreKey.load(tmp_path / "key")) == "MPC-S015"
