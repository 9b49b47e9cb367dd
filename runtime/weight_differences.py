"""F = W - B of all linear operations: sent by party 0 once for a store, kept by party 1 beside its
correlations.

A token names the pair of weights and mask: it is a hash of the mask's seed, which has 128 bits party 1 does
not know. Party 1 answers whether it holds the differences of that token; only if not, they are sent
(protocols.md 1: once a loaded model). F is uniform to party 1, as B is, and a store's mask is bound to one
version of the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mpcc.runtime.atomic_file import atomic_file
from mpcc.runtime.interpreter import Interpreter
from mpcc.runtime.transport.channel import Channel

TOKEN_BYTES = 32
FILE_NAME = "weight-differences.bin"
_DIGEST_BYTES = 32
_KEPT = b"\1"
_MISSING = b"\0"


def send(interpreter: Interpreter, channel: Channel, mask_seed: bytes, weights_sha256: str) -> None:
    """Party 0. Sends the token, loads the weights, then sends F piece by piece unless party 1 holds it."""
    token = hashlib.sha256(b"weight differences" + mask_seed + weights_sha256.encode()).digest()
    channel.exchange(token, 0)
    interpreter.load_weights()  # while party 1 checks its file
    if bytes(channel.exchange(b"", 1)) == _MISSING:
        for piece in interpreter.setup_message(mask_seed):
            channel.exchange(piece, 0)


def receive(interpreter: Interpreter, channel: Channel, folder: Path | None) -> None:
    """Party 1. Prepares its shares with F, from the file kept in `folder` or else as it comes from party 0;
    then it is kept. F is never in memory whole.
    """
    sizes = interpreter.setup_sizes()
    token = bytes(channel.exchange(b"", TOKEN_BYTES))
    with _kept(folder, token, sum(sizes)) as file:
        channel.exchange(_MISSING if file is None else _KEPT, 0)
        if file is not None:
            interpreter.prepare(file.read(size) for size in sizes)
            return
    if folder is None:
        interpreter.prepare(channel.exchange(b"", size) for size in sizes)
        return
    with atomic_file(folder / FILE_NAME) as copy:
        digest = hashlib.sha256(token)

        def kept() -> Iterator[memoryview]:
            for size in sizes:
                piece = channel.exchange(b"", size)
                digest.update(piece)
                copy.write(piece)
                yield piece

        copy.seek(TOKEN_BYTES + _DIGEST_BYTES)
        interpreter.prepare(kept())
        copy.seek(0)
        copy.write(token + digest.digest())


@contextmanager
def _kept(folder: Path | None, token: bytes, length: int) -> Iterator[BinaryIO | None]:
    """The kept differences of a token, to be read, if the file is undamaged and of the right length."""
    if folder is None or not (folder / FILE_NAME).is_file():
        yield None
        return
    with (folder / FILE_NAME).open("rb") as file:
        head = file.read(TOKEN_BYTES + _DIGEST_BYTES)
        found = hashlib.file_digest(file, lambda: hashlib.sha256(token))
        intact = head == token + found.digest() and file.tell() == len(head) + length
        file.seek(len(head))
        yield file if intact else None
