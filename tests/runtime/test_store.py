"""One-time stores: every session is handed out once, and a damaged store is a coded error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.store.store import Store, read_index
from mpcc.runtime.store.writer import write_pair
from tests.support import flip

PROGRAM = "ab" * 32
WEIGHTS = "cd" * 32
MASK_SEED = bytes(range(16))
PAYLOAD = np.arange(1000, dtype=np.uint64)
PAYLOADS = PAYLOAD[:300], PAYLOAD[300:]
PIECES = slice(2400), slice(2400, 8000)


def deal(path: Path, sessions: int = 2) -> list[bytes]:
    ids = [os.urandom(16) for _ in range(sessions)]
    with write_pair(path, PROGRAM, WEIGHTS, MASK_SEED) as (server, client):
        for number, session_id in enumerate(ids):
            server.add(session_id, bytes([number]) * 16, [])
            client.add(session_id, bytes([100 + number]) * 16, [PAYLOADS[0], b"", PAYLOADS[1]])
    return ids


def server_store(path: Path) -> Store:
    return Store(path / "party0", 0, PROGRAM, WEIGHTS)


def client_store(path: Path) -> Store:
    return Store(path / "party1", 1, PROGRAM)


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(MpccError) as caught:
        action()
    return caught.value.code


def test_both_parties_get_their_parts(tmp_path: Path) -> None:
    ids = deal(tmp_path / "store")
    server, client = server_store(tmp_path / "store"), client_store(tmp_path / "store")
    assert server.unused() == client.unused() == ids
    session = client.take(ids[1])
    assert (session.id, session.seed, session.weight_mask_seed) == (ids[1], bytes([101]) * 16, None)
    assert np.array_equal(np.frombuffer(session.payload[:], np.uint64), PAYLOAD)
    assert client.unused() == ids[:1]
    session = server.take(ids[0])
    assert (session.seed, bytes(session.payload[:]), session.weight_mask_seed) == (bytes(16), b"", MASK_SEED)


def test_party_1_never_gets_the_weight_mask(tmp_path: Path) -> None:
    deal(tmp_path / "store")
    for file in (tmp_path / "store/party1").iterdir():
        contents = file.read_bytes()
        assert MASK_SEED not in contents
        assert MASK_SEED.hex().encode() not in contents
        assert WEIGHTS.encode() not in contents


def test_only_the_owner_reads_a_store(tmp_path: Path) -> None:
    deal(tmp_path / "store")
    for file in (tmp_path / "store").rglob("*.*"):
        assert file.stat().st_mode & 0o077 == 0


def test_a_session_is_given_once(tmp_path: Path) -> None:
    ids = deal(tmp_path / "store")
    store = client_store(tmp_path / "store")
    store.take(ids[0])
    assert code_of(lambda: store.take(ids[0])) == "MPC-S009"
    assert code_of(lambda: client_store(tmp_path / "store").take(ids[0])) == "MPC-S009"
    assert code_of(lambda: store.take(bytes(16))) == "MPC-S009"
    store.take(ids[1])
    assert code_of(lambda: client_store(tmp_path / "store")) == "MPC-S006"
    assert sorted(file.name for file in (tmp_path / "store/party1").iterdir()) == ["index.json"]


def test_racing_takers_get_a_session_once(tmp_path: Path) -> None:
    [session_id] = deal(tmp_path / "store", 1)
    stores = [client_store(tmp_path / "store") for _ in range(8)]

    def try_take(store: Store) -> str:
        try:
            store.take(session_id)
        except MpccError as error:
            return error.code
        return "taken"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(try_take, stores)) == ["MPC-S009"] * 7 + ["taken"]


def test_a_crash_after_the_mark_uses_the_session_up(tmp_path: Path) -> None:
    """The process dies between the mark and the read: the session may not be given again."""
    ids = deal(tmp_path / "store")
    script = f"""
import os
from pathlib import Path
import mpcc.runtime.store.store as store
store.open_session = lambda *_: os._exit(9)
store.Store(Path({str(tmp_path / "store/party1")!r}), 1, {PROGRAM!r}).take(bytes.fromhex({ids[0].hex()!r}))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert client_store(tmp_path / "store").unused() == ids[1:]
    assert (tmp_path / "store/party1/session-0000.bin").exists()


@pytest.mark.parametrize(
    ("name", "code"), [("party0", "MPC-S005"), ("party2", "MPC-S001"), ("party1/index.json", "MPC-S001")]
)
def test_not_this_party(tmp_path: Path, name: str, code: str) -> None:
    deal(tmp_path / "store")
    assert code_of(lambda: Store(tmp_path / "store" / name, 1, PROGRAM)) == code


def test_other_program_or_weights(tmp_path: Path) -> None:
    deal(tmp_path / "store")
    server = tmp_path / "store/party0"
    assert code_of(lambda: Store(server, 0, "00" * 32, WEIGHTS)) == "MPC-S003"
    assert code_of(lambda: Store(server, 0, PROGRAM, "00" * 32)) == "MPC-S004"


@pytest.mark.parametrize("position", [0, 8, 41, 60, 75, 90, 127, -80, -79, -70, -33, -1])
def test_flipped_bit_in_a_head_or_table(tmp_path: Path, position: int) -> None:
    ids = deal(tmp_path / "store")
    flip(tmp_path / "store/party1/session-0000.bin", position)
    store = client_store(tmp_path / "store")
    assert code_of(lambda: store.take(ids[0])) == "MPC-S008"
    assert store.unused() == ids[1:]


@pytest.mark.parametrize(
    ("position", "damaged", "intact"), [(128, 0, 1), (2527, 0, 1), (2528, 1, 0), (8127, 1, 0)]
)
def test_flipped_bit_in_a_payload(tmp_path: Path, position: int, damaged: int, intact: int) -> None:
    """Seen before a byte of the piece is handed out."""
    ids = deal(tmp_path / "store")
    flip(tmp_path / "store/party1/session-0000.bin", position)
    store = client_store(tmp_path / "store")
    payload = store.take(ids[0]).payload
    assert np.array_equal(np.frombuffer(payload[PIECES[intact]], np.uint64), PAYLOADS[intact])
    assert code_of(lambda: payload[PIECES[damaged]]) == "MPC-S008"
    assert code_of(lambda: payload[:]) == "MPC-S008"
    assert store.unused() == ids[1:]


def test_only_whole_pieces_are_read(tmp_path: Path) -> None:
    [session_id] = deal(tmp_path / "store", 1)
    payload = client_store(tmp_path / "store").take(session_id).payload
    assert len(payload[2400:2400]) == 0
    for part in (slice(0, 8), slice(8, 2400), slice(2400, 2401), slice(1, 1)):
        with pytest.raises(RuntimeError, match="other corrections"):
            payload[part]


def test_a_file_cut_off_while_it_is_read(tmp_path: Path) -> None:
    [session_id] = deal(tmp_path / "store", 1)
    file = tmp_path / "store/party1/session-0000.bin"
    os.link(file, tmp_path / "other name")
    payload = client_store(tmp_path / "store").take(session_id).payload
    os.truncate(tmp_path / "other name", 3000)
    assert len(payload[PIECES[0]]) == 2400
    assert code_of(lambda: payload[PIECES[1]]) == "MPC-S008"


def test_the_file_is_closed_with_the_payload(tmp_path: Path) -> None:
    [session_id] = deal(tmp_path / "store", 1)
    before = len(os.listdir("/proc/self/fd"))
    session = client_store(tmp_path / "store").take(session_id)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del session
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("size", "code"),
    [(0, "MPC-S007"), (127, "MPC-S007"), (128, "MPC-S008"), (8128, "MPC-S008"), (8207, "MPC-S008")],
)
def test_truncated_session(tmp_path: Path, size: int, code: str) -> None:
    ids = deal(tmp_path / "store")
    os.truncate(tmp_path / "store/party1/session-0000.bin", size)
    assert code_of(lambda: client_store(tmp_path / "store").take(ids[0])) == code


def test_swapped_or_missing_session(tmp_path: Path) -> None:
    ids = deal(tmp_path / "store")
    folder = tmp_path / "store/party1"
    (folder / "session-0001.bin").rename(folder / "session-0000.bin")
    store = client_store(tmp_path / "store")
    assert code_of(lambda: store.take(ids[0])) == "MPC-S008"
    assert code_of(lambda: store.take(ids[1])) == "MPC-S007"


def test_every_flipped_bit_in_the_index_is_seen(tmp_path: Path) -> None:
    deal(tmp_path / "store", 1)
    file = tmp_path / "store/party0/index.json"
    intact = file.read_bytes()
    parsed = json.loads(intact)
    outcomes = set()
    for position in range(len(intact)):
        flipped = bytearray(intact)
        flipped[position] ^= 1
        file.write_bytes(flipped)
        try:
            index = read_index(tmp_path / "store/party0")
        except MpccError as error:
            outcomes.add(error.code)
        else:  # a flip in white space changes nothing
            assert {**index, "sha256": parsed["sha256"]} == parsed
    assert outcomes == {"MPC-S002"}


def test_truncated_index(tmp_path: Path) -> None:
    deal(tmp_path / "store")
    os.truncate(tmp_path / "store/party1/index.json", 40)
    assert code_of(lambda: client_store(tmp_path / "store")) == "MPC-S002"


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
    assert client_store(tmp_path / "store").unused() == ids


def test_an_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert code_of(lambda: deal(tmp_path / "file/store")) == "MPC-S011"
