"""A party's side of streaming: fills its store from a dealer, ahead of time or whenever it runs low."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.dealing.wire import (
    BATCH_BYTES,
    COUNT,
    MOST_AT_ONCE,
    Request,
    introduce,
    piece_sizes,
)
from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.store.session_file import SEED_BYTES, SESSION_ID_BYTES
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.transport.tcp import connect
from mpcc.runtime.transport.tls import Role, Security

Progress = Callable[[int, int], None]
"""Called with (done, total) in bytes."""


@dataclass(frozen=True)
class Dealer:
    """Where a dealer listens, and how it is reached."""

    address: Address
    security: Security
    timeout: float

    def connect(self, folder: PartyFolder) -> StreamChannel:
        """A channel on which the party is introduced. Raises MPC-R003.., MPC-R010, MPC-R011, MPC-S004."""
        channel = connect(self.address, self.timeout, self.security, Role.DEALER)
        try:
            introduce(channel, folder.party, folder.program_hash, folder.weights_sha256 or "")
        except MpccError as error:
            channel.abort(error.code)
            raise
        return channel

    @contextlib.contextmanager
    def channel(self, folder: PartyFolder) -> Iterator[StreamChannel]:
        """The same for a block, at whose end the party has what it wanted. Errors say where they arose."""
        try:
            channel = self.connect(folder)
            try:
                yield channel
                _send(channel, Request.END)
                channel.finish()
            except BaseException as error:
                channel.abort(error.code if isinstance(error, MpccError) else "MPC-R041")
                raise
        except MpccError as error:
            error.where = error.where or f"the dealer, {self.address}"
            raise


def fill(
    folder: PartyFolder,
    store: Store,
    dealer: Dealer,
    sessions: int,
    progress: Progress,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Party 1: ask for sessions until `sessions` are unused. What is stored stays, whatever happens later.

    `stopped` is asked before each session, and ends it early.

    Raises MPC-R003.., MPC-S004, MPC-S011.
    """
    missing = sessions - store.count_unused()
    if missing <= 0:
        return
    sizes = piece_sizes(folder.program_text, str(folder.path))
    done, total = 0, missing * sum(sizes)

    def pieces() -> Iterator[memoryview]:
        nonlocal done
        for size in sizes:
            piece = channel.exchange(b"", size)
            yield piece
            done += size
            progress(done, total)

    with dealer.channel(folder) as channel:
        for _ in range(missing):
            if stopped():
                break
            _send(channel, Request.MORE)
            head = bytes(channel.exchange(b"", BATCH_BYTES + SESSION_ID_BYTES + SEED_BYTES))
            batch, session_id, seed = _split(head, BATCH_BYTES, SESSION_ID_BYTES, SEED_BYTES)
            store.add_batch(batch, None)
            store.add(batch, session_id, seed, pieces())


def collect(
    folder: PartyFolder, store: Store, dealer: Dealer, stopped: Callable[[], bool] | None = None
) -> int:
    """Party 0: take its part of the sessions that party 1 has been given; returns how many were new.

    Without `stopped` it returns when there is none left; with it, it goes on until that is true, which is
    asked about every second. Raises as `fill`.
    """
    new = 0
    with dealer.channel(folder) as channel:
        head = bytes(channel.exchange(b"", BATCH_BYTES + SEED_BYTES))
        batch, mask_seed = _split(head, BATCH_BYTES, SEED_BYTES)
        store.add_batch(batch, mask_seed)
        while not (stopped and stopped()):
            _send(channel, Request.WAIT if stopped else Request.NOW)
            (count,) = COUNT.unpack(channel.exchange(b"", COUNT.size))
            if count > MOST_AT_ONCE:
                raise MpccError("MPC-R006", f"the dealer announced {count} sessions at once")
            entries = bytes(channel.exchange(b"", count * (SESSION_ID_BYTES + SEED_BYTES)))
            for start in range(0, len(entries), SESSION_ID_BYTES + SEED_BYTES):
                session_id, seed = _split(entries[start:], SESSION_ID_BYTES, SEED_BYTES)
                new += store.add(batch, session_id, seed, []) is not None
            if not (count or stopped):
                break
    return new


def _send(channel: StreamChannel, request: Request) -> None:
    channel.exchange(bytes([request]), 0)


def _split(data: bytes, *lengths: int) -> list[bytes]:
    parts, position = [], 0
    for length in lengths:
        parts.append(data[position : position + length])
        position += length
    return parts
