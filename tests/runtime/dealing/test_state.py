"""The dealer's queue: what party 0 has not stored yet outlives the dealer, and nothing else is kept."""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path

import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.dealing.state import STATE_NAME, DealerState
from mpcc.runtime.store.sealing import StoreKey

PROGRAM, WEIGHTS = "ab" * 32, "cd" * 32
KEY = StoreKey(bytes(range(32)))


def entry() -> tuple[bytes, bytes]:
    return secrets.token_bytes(16), secrets.token_bytes(16)


@pytest.mark.parametrize("key", [None, KEY])
def test_the_queue_outlives_the_process(tmp_path: Path, key: StoreKey | None) -> None:
    state = DealerState(tmp_path / "state", PROGRAM, WEIGHTS, key)
    entries = [entry() for _ in range(5)]
    for one in entries:
        state.enqueue(*one)
    batch = state.batch, state.weight_mask_seed
    assert state.waiting(3, 0) == entries[:3]
    state.delivered([session_id for session_id, _ in entries[:3]])
    state.close()
    again = DealerState(tmp_path / "state", PROGRAM, WEIGHTS, key)
    assert (again.batch, again.weight_mask_seed) == batch
    assert again.waiting(10, 0) == entries[3:]
    assert again.count() == 2
    again.close()


def test_waiting_ends_with_the_next_entry(tmp_path: Path) -> None:
    state = DealerState(tmp_path, PROGRAM, WEIGHTS)
    one = entry()
    threading.Timer(0.1, state.enqueue, one).start()
    started = time.monotonic()
    assert state.waiting(10, 200) == [one]
    assert time.monotonic() - started < 100
    assert state.waiting(0, 0) == []


def test_seeds_are_sealed_with_the_key(tmp_path: Path) -> None:
    for key in (None, KEY):
        folder = tmp_path / str(key is None)
        state = DealerState(folder, PROGRAM, WEIGHTS, key)
        session_id, seed = entry()
        state.enqueue(session_id, seed)
        state.close()
        contents = (folder / STATE_NAME).read_bytes()
        assert session_id in contents
        assert (seed in contents) == (state.weight_mask_seed in contents) == (key is None)
        assert (folder / STATE_NAME).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("program", "weights", "key", "code"),
    [
        ("00" * 32, WEIGHTS, KEY, "MPC-S003"),
        (PROGRAM, "00" * 32, KEY, "MPC-S004"),
        (PROGRAM, WEIGHTS, None, "MPC-S016"),
        (PROGRAM, WEIGHTS, StoreKey(bytes(32)), "MPC-S017"),
    ],
)
def test_another_dealers_state(
    tmp_path: Path, program: str, weights: str, key: StoreKey | None, code: str
) -> None:
    DealerState(tmp_path, PROGRAM, WEIGHTS, KEY).close()
    with pytest.raises(MpccError) as caught:
        DealerState(tmp_path, program, weights, key)
    assert caught.value.code == code


def test_one_dealer_at_a_time(tmp_path: Path) -> None:
    state = DealerState(tmp_path, PROGRAM, WEIGHTS)
    state.enqueue(*entry())
    with pytest.raises(MpccError) as caught:
        DealerState(tmp_path, PROGRAM, WEIGHTS)
    assert caught.value.code == "MPC-S011"
    state.close()


def test_damage_is_told(tmp_path: Path) -> None:
    """Every byte of the file, flipped: a coded error, or what was written."""
    state = DealerState(tmp_path / "state", PROGRAM, WEIGHTS, KEY)
    written = [entry() for _ in range(3)]
    for one in written:
        state.enqueue(*one)
    batch = state.weight_mask_seed
    state.close()
    intact = (tmp_path / "state" / STATE_NAME).read_bytes()
    told = 0
    for position in range(0, len(intact), 37):
        damaged = bytearray(intact)
        damaged[position] ^= 4
        (tmp_path / "state" / STATE_NAME).write_bytes(damaged)
        try:
            again = DealerState(tmp_path / "state", PROGRAM, WEIGHTS, KEY)
        except MpccError:
            told += 1
            continue
        try:
            entries = again.waiting(10, 0)
            assert again.weight_mask_seed == batch
            assert set(entries) <= set(written)
        except MpccError:
            told += 1
        finally:
            again.close()
    assert told
