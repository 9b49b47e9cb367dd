"""Small stores for tests, and what is in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.store.bulk import session_path
from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.store import Store
from mpcc.runtime.store.writer import write_pair

PROGRAM = "ab" * 32
WEIGHTS = "cd" * 32
MASK_SEED = b"this masks a W.."
BATCH = b"a batch's 16 ids"
PAYLOADS = bytes(range(240)) * 10, bytes(range(100, 240)) * 40  # 2400 and 5600 bytes
PAYLOAD = b"".join(PAYLOADS)
PIECES = slice(2400), slice(2400, 8000)
KEYS = StoreKey(b"0" * 32), StoreKey(b"1" * 32)
INDEX = "index.sqlite"


def deal(path: Path, sessions: int = 2, encrypted: bool = False) -> list[bytes]:
    """A pair of stores; the ids of their sessions. Seeds are the session's number, 100 more for party 1."""
    ids = [os.urandom(16) for _ in range(sessions)]
    keys = KEYS if encrypted else (None, None)
    with write_pair(path, PROGRAM, WEIGHTS, MASK_SEED, keys) as (server, client):
        for number, session_id in enumerate(ids):
            server.add(session_id, bytes([number]) * 16, [])
            client.add(session_id, bytes([100 + number]) * 16, [PAYLOADS[0], b"", PAYLOADS[1]])
    return ids


def server_store(path: Path, encrypted: bool = False) -> Store:
    return Store(path / "party0", 0, PROGRAM, WEIGHTS, KEYS[0] if encrypted else None)


def client_store(path: Path, encrypted: bool = False) -> Store:
    return Store(path / "party1", 1, PROGRAM, None, KEYS[1] if encrypted else None)


def client_file(path: Path, session_id: bytes) -> Path:
    return session_path(path / "party1", session_id)


def names(folder: Path) -> list[str]:
    """Of everything in a store's folder but its index (and a journal that SQLite has not removed yet)."""
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith(INDEX))


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(MpccError) as caught:
        action()
    return caught.value.code
