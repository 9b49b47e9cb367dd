"""F = W - B of all linear operations: sent by party 0 once for a store, kept by party 1 beside its
correlations.

A token names the pair of weights and mask: it is a hash of the mask's seed, which has 128 bits party 1 does
not know. Party 1 answers whether it holds the differences of that token; only if not, they are sent
(protocols.md 1: once a loaded model). F is uniform to party 1, as B is, and a store's mask is bound to one
version of the weights.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mpcc.runtime.atomic_file import atomic_file
from mpcc.runtime.interpreter import Interpreter
from mpcc.runtime.transport.channel import Channel

TOKEN_BYTES = 32
FILE_NAME = "weight-differences.bin"
_DIGEST_BYTES = 32
_KEPT = b"\1"
_MISSING = b"\0"


def send(interpreter: Interpreter, channel: Channel, mask_seed: bytes, weights_sha256: str) -> None:
    """Party 0. Sends the token, then F unless party 1 holds it."""
    token = hashlib.sha256(b"weight differences" + mask_seed + weights_sha256.encode()).digest()
    channel.exchange(token, 0)
    if bytes(channel.exchange(b"", 1)) == _MISSING:
        for piece in interpreter.setup_message(mask_seed):
            channel.exchange(piece, 0)


def receive(interpreter: Interpreter, channel: Channel, folder: Path | None) -> bytes:
    """Party 1. F from the file kept in `folder`, or from party 0; then it is kept."""
    sizes = interpreter.setup_sizes()
    token = bytes(channel.exchange(b"", TOKEN_BYTES))
    kept = _read(folder, token, sum(sizes)) if folder else None
    channel.exchange(_MISSING if kept is None else _KEPT, 0)
    if kept is not None:
        return kept
    received = b"".join(bytes(channel.exchange(b"", size)) for size in sizes)
    if folder:
        with atomic_file(folder / FILE_NAME) as file:
            file.write(token + hashlib.sha256(token + received).digest())
            file.write(received)
    return received


def _read(folder: Path, token: bytes, length: int) -> bytes | None:
    """The kept differences of a token, if the file is undamaged and of the right length."""
    path = folder / FILE_NAME
    if not path.is_file() or path.stat().st_size != TOKEN_BYTES + _DIGEST_BYTES + length:
        return None
    content = path.read_bytes()
    digest, differences = (
        content[TOKEN_BYTES : TOKEN_BYTES + _DIGEST_BYTES],
        content[TOKEN_BYTES + _DIGEST_BYTES :],
    )
    intact = content[:TOKEN_BYTES] == token and hashlib.sha256(token + differences).digest() == digest
    return differences if intact else None
