"""F = W - B of all linear operations: sent by party 0 once for a batch of sessions, kept by party 1 beside
its correlations.

A token names the pair of weights and mask: it is a hash of the mask's seed, which has 128 bits party 1 does
not know. Party 1 answers whether it holds the differences of that token; only if not, they are sent
(docs/protocols/linear.md). F is uniform to party 1, as B is, and a batch's mask is bound to one
version of the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mpcc.runtime.interpreter import Interpreter
from mpcc.runtime.store.kept_file import KeptFile
from mpcc.runtime.transport.channel import Channel

TOKEN_BYTES = 32
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


def receive(interpreter: Interpreter, channel: Channel, kept: KeptFile | None) -> None:
    """Party 1. Prepares its shares with F, from the file that it has kept or else as it comes from party 0;
    then it is kept. F is never in memory whole. Raises MPC-S008, MPC-S011.
    """
    sizes = interpreter.setup_sizes()
    token = bytes(channel.exchange(b"", TOKEN_BYTES))
    if kept is None:
        channel.exchange(_MISSING, 0)
        interpreter.prepare(channel.exchange(b"", size) for size in sizes)
        return
    with kept.read(token, sizes) as pieces:
        channel.exchange(_MISSING if pieces is None else _KEPT, 0)
        if pieces is not None:
            interpreter.prepare(pieces)
            return
    with kept.write(token) as writer:

        def received() -> Iterator[memoryview]:
            for size in sizes:
                piece = channel.exchange(b"", size)
                writer.add(piece)
                yield piece

        interpreter.prepare(received())
