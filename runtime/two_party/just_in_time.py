"""A session that the two parties make for one run, just before it."""

from __future__ import annotations

import contextlib
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
"""Called with (done, total) in bytes of both directions."""


@dataclass(frozen=True)
class Workshop:
    """Where a party of a program makes its part of sessions.

    `open` begins to work with the other party over a channel: what it makes once is for all sessions of the
    channel. `making_bytes` says how many bytes of both directions the first one takes; it is asked only where
    there is a `progress`.
    """

    program_hash: str
    making_bytes: Callable[[], int]
    open: Callable[[Channel], Make]
    progress: Progress | None = None


@contextlib.contextmanager
def watched(channel: Channel, workshop: Workshop, sessions: int) -> Iterator[Callable[[], None]]:
    """Tells of the progress of so many sessions, which are made in the block; what it yields is called after
    each. Those after the first take fewer bytes, which then seem to come at once.
    """
    progress = workshop.progress
    if progress is None or not sessions:
        yield lambda: None
        return
    each, ended, moved, told = workshop.making_bytes(), 0, 0, -1

    def tell() -> None:
        nonlocal told
        done = min(ended * each + min(moved, each), sessions * each)
        if done > told:
            told = done
            progress(done, sessions * each)

    def move(count: int) -> None:
        nonlocal moved
        moved += count
        tell()

    def end() -> None:
        nonlocal ended, moved
        ended, moved = ended + 1, 0
        tell()

    with channel.meter.watching(move):
        yield end


def make_session(channel: Channel, workshop: Workshop, session_id: bytes) -> Session:
    """One session for the run with this id. Raises MPC-R004..R008, MPC-S011."""
    from mpcc.runtime import kernels  # here: who only asks for --help needs none

    seed = secrets.token_bytes(SEED_BYTES)
    with channel.meter.counting("preparation"):
        with watched(channel, workshop, 1) as ended:
            session = passing_session(workshop.program_hash, session_id, seed, workshop.open(channel)(seed))
            ended()
        kernels.return_memory()  # making takes more than the run does
        channel.synchronise()
    return session
