"""F = W - B is sent once for a batch, kept by party 1, and asked for again when the file does not fit."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from mpcc.runtime import weight_differences
from mpcc.runtime.store.kept_file import KeptFile, kept_path
from mpcc.runtime.store.sealing import Sealing, StoreKey
from mpcc.runtime.transport.in_process import channel_pair
from tests.runtime.party_processes import PATIENT
from tests.support import flip

BATCH = b"a batch's 16 ids"
SALT = bytes(32)
KEY = StoreKey(b"k" * 32)
PIECES = [b"first", b"", b"second piece"]
WHOLE = b"".join(PIECES)
either = pytest.mark.parametrize("key", [None, KEY])


def kept_in(folder: Path, key: StoreKey | None = None, batch: bytes = BATCH) -> KeptFile:
    return KeptFile(folder, batch, Sealing(key, SALT), contextlib.nullcontext)


class FakeInterpreter:
    """What the exchange of differences needs of an interpreter."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.sent = 0
        self.received = b""
        self.fails = False

    def load_weights(self) -> None:
        pass

    def prepare(self, differences: Iterable[memoryview]) -> None:
        self.received = b"".join(differences)
        if self.fails:
            raise ValueError("no shares")

    def setup_message(self, mask_seed: bytes) -> list[bytes]:
        self.sent += 1
        return self.pieces

    def setup_sizes(self) -> list[int]:
        return [len(piece) for piece in self.pieces]


def transfer(
    kept: KeptFile | None, seed: bytes = b"s" * 16, weights: str = "w", pieces: list[bytes] = PIECES
) -> tuple[bytes, int]:
    """What party 1 ends up with, and how often party 0 sent the differences."""
    interpreter = FakeInterpreter(pieces)
    channels = channel_pair(PATIENT)
    client = threading.Thread(target=weight_differences.receive, args=(interpreter, channels[1], kept))
    client.start()
    weight_differences.send(interpreter, channels[0], seed, weights)  # type: ignore[arg-type]
    client.join()
    for channel in channels:
        channel.close()
    return interpreter.received, interpreter.sent


@either
def test_sent_once_and_kept(tmp_path: Path, key: StoreKey | None) -> None:
    assert transfer(kept_in(tmp_path, key)) == (WHOLE, 1)
    assert transfer(kept_in(tmp_path, key)) == (WHOLE, 0)
    contents = kept_path(tmp_path, BATCH).read_bytes()
    assert (PIECES[2] in contents) == (key is None)


def test_without_a_store_sent_every_time() -> None:
    assert transfer(None)[1] == transfer(None)[1] == 1


@pytest.mark.parametrize("other", [{"seed": b"t" * 16}, {"weights": "v"}, {"pieces": [WHOLE]}])
def test_another_mask_weights_or_pieces_are_not_served_from_the_file(
    tmp_path: Path, other: dict[str, object]
) -> None:
    transfer(kept_in(tmp_path))
    assert transfer(kept_in(tmp_path), **other)[1] == 1  # type: ignore[arg-type]


def test_each_batch_has_its_own(tmp_path: Path) -> None:
    """Also when one's file lies in the other's place."""
    other = b"another 16-b. id"
    transfer(kept_in(tmp_path))
    assert transfer(kept_in(tmp_path, batch=other)) == (WHOLE, 1)
    kept_path(tmp_path, other).rename(kept_path(tmp_path, BATCH))
    assert transfer(kept_in(tmp_path)) == (WHOLE, 1)


@either
def test_a_damaged_file_is_replaced(tmp_path: Path, key: StoreKey | None) -> None:
    """Wherever the damage is."""
    transfer(kept_in(tmp_path, key))
    for position in range(0, kept_path(tmp_path, BATCH).stat().st_size, 7):
        flip(kept_path(tmp_path, BATCH), position)
        assert transfer(kept_in(tmp_path, key)) == (WHOLE, 1)
    assert transfer(kept_in(tmp_path, key)) == (WHOLE, 0)


@pytest.mark.parametrize("length", [-1, 0, 20])
def test_a_truncated_file_is_replaced(tmp_path: Path, length: int) -> None:
    transfer(kept_in(tmp_path))
    kept_path(tmp_path, BATCH).write_bytes(kept_path(tmp_path, BATCH).read_bytes()[:length])
    assert transfer(kept_in(tmp_path)) == (WHOLE, 1)


@pytest.mark.parametrize("kept", [False, True])
def test_what_a_failed_set_up_leaves_is_whole_or_nothing(tmp_path: Path, kept: bool) -> None:
    if kept:
        transfer(kept_in(tmp_path))
    interpreter = FakeInterpreter(PIECES)
    interpreter.fails = True
    channels = channel_pair(PATIENT)
    server = threading.Thread(target=weight_differences.send, args=(interpreter, channels[0], b"s" * 16, "w"))
    server.start()
    with pytest.raises(ValueError, match="no shares"):
        weight_differences.receive(interpreter, channels[1], kept_in(tmp_path))  # type: ignore[arg-type]
    server.join()
    for channel in channels:
        channel.close()
    assert list(tmp_path.iterdir()) == [kept_path(tmp_path, BATCH)] * kept
    assert transfer(kept_in(tmp_path)) == (WHOLE, 0 if kept else 1)
