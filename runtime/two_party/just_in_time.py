"""A session that the two parties make for one run, just before it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mpcc.runtime.store.passing import passing_session
from mpcc.runtime.store.session_file import SEED_BYTES
from mpcc.runtime.store.store import Session
from mpcc.runtime.transport.channel import Channel

Make = Callable[[bytes], Iterator[memoryview]]
"""This party's payload of a session, from its seed, in pieces: one a derived slot. The other party makes its
own at the same time.
"""
Progress = Callable[[int, int], None]
"""Called with (done, total) in bytes of this party's payload."""


@dataclass(frozen=True)
class Workshop:
    """Where a party of a program makes its `payload_bytes` of a session.

    `open` begins to work with the other party over a channel: what it makes once is for all sessions of the
    channel.
    """

    program_hash: str
    payload_bytes: int
    open: Callable[[Channel], Make]
    progress: Progress = lambda done, total: None


def make_session(channel: Channel, workshop: Workshop, session_id: bytes) -> Session:
    """One session for the run with this id. Raises MPC-R004..R008, MPC-S011."""
    from mpcc.runtime import kernels  # here: who only asks for --help needs none

    seed, done = secrets.token_bytes(SEED_BYTES), 0

    def pieces() -> Iterator[memoryview]:
        nonlocal done
        for piece in workshop.open(channel)(seed):
            yield piece
            done += len(piece)
            workshop.progress(done, workshop.payload_bytes)

    with channel.meter.counting("preparation"):
        session = passing_session(workshop.program_hash, session_id, seed, pieces())
        kernels.return_memory()  # making takes more than the run does
        channel.synchronise()
    return session
