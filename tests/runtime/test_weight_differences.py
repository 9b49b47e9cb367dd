"""F = W - B is sent once for a store, kept by party 1, and asked for again when the file does not fit."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from mpcc.runtime import weight_differences
from mpcc.runtime.transport.in_process import channel_pair

FILE = "weight-differences.bin"


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


def transfer(folder: Path | None, seed: bytes = b"s" * 16, weights: str = "w") -> tuple[bytes, int]:
    """What party 1 ends up with, and how often party 0 sent the differences."""
    interpreter = FakeInterpreter([b"first", b"second piece"])
    channels = channel_pair(5)
    client = threading.Thread(target=weight_differences.receive, args=(interpreter, channels[1], folder))
    client.start()
    weight_differences.send(interpreter, channels[0], seed, weights)  # type: ignore[arg-type]
    client.join()
    for channel in channels:
        channel.close()
    return interpreter.received, interpreter.sent


def test_sent_once_and_kept(tmp_path: Path) -> None:
    assert transfer(tmp_path) == (b"firstsecond piece", 1)
    assert transfer(tmp_path) == (b"firstsecond piece", 0)


def test_without_a_folder_sent_every_time() -> None:
    assert transfer(None)[1] == transfer(None)[1] == 1


@pytest.mark.parametrize("other", [{"seed": b"t" * 16}, {"weights": "v"}])
def test_another_mask_or_other_weights_are_not_served_from_the_file(
    tmp_path: Path, other: dict[str, str]
) -> None:
    transfer(tmp_path)
    assert transfer(tmp_path, **other)[1] == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("position", [0, 40, 70])
def test_a_damaged_file_is_replaced(tmp_path: Path, position: int) -> None:
    transfer(tmp_path)
    content = bytearray((tmp_path / FILE).read_bytes())
    content[position] ^= 1
    (tmp_path / FILE).write_bytes(content)
    assert transfer(tmp_path) == (b"firstsecond piece", 1)
    assert transfer(tmp_path) == (b"firstsecond piece", 0)


def test_a_truncated_file_is_replaced(tmp_path: Path) -> None:
    transfer(tmp_path)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-1])
    assert transfer(tmp_path)[1] == 1


@pytest.mark.parametrize("kept", [False, True])
def test_what_a_failed_set_up_leaves_is_whole_or_nothing(tmp_path: Path, kept: bool) -> None:
    if kept:
        transfer(tmp_path)
    interpreter = FakeInterpreter([b"first", b"second piece"])
    interpreter.fails = True
    channels = channel_pair(5)
    server = threading.Thread(target=weight_differences.send, args=(interpreter, channels[0], b"s" * 16, "w"))
    server.start()
    with pytest.raises(ValueError, match="no shares"):
        weight_differences.receive(interpreter, channels[1], tmp_path)  # type: ignore[arg-type]
    server.join()
    for channel in channels:
        channel.close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE] * kept
    assert transfer(tmp_path) == (b"firstsecond piece", 0 if kept else 1)
