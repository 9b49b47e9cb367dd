"""Sessions that the two parties make ahead of time, into both stores. After both HELLO:

    PREPARING  party 1  how many sessions it wants to have in common with party 0
    SESSIONS   party 1  those that it has unused
               party 0  of each, whether it is here: unused, or used, which party 1 never uses then. Both go
                        on until party 1 has no more
    PREPARING  party 0  how many are made
    CONFIRM    both     as for a run
    then, for each session, its generation, and
    READY      both     all of this party's part is on the disk; now both put it into their store

A session's id follows from both parties' nonces, its seed is new and each party's own: nothing of a session
that was broken off is ever in another one. One that a single party has is never used, and does not count.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from dataclasses import dataclass
from enum import IntEnum

from mpcc.runtime.handshake import Greeting, Transcript, confirm, malformed, split_ids
from mpcc.runtime.store.session_file import SEED_BYTES, SESSION_ID_BYTES
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.channel import Counters
from mpcc.runtime.transport.frame import FrameType
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.just_in_time import Workshop, watched

BATCH = hashlib.sha256(b"mpcc sessions between two parties").digest()[
    :16
]  # they share no mask of the weights
ASKED_AT_ONCE = 4096  # sessions
QUESTIONS = 1024  # until party 0 gives up
_COUNT = struct.Struct("<I")
_MOST = (1 << 32) - 1


class _Here(IntEnum):
    """What party 0 knows of a session."""

    NOTHING = 0
    UNUSED = 1
    USED = 2


@dataclass(frozen=True)
class Preparation:
    """`made` sessions are new, of `missing` that party 1 wanted; `counters` are those of making them."""

    made: int
    missing: int
    counters: Counters


def prepare_sessions(
    channel: StreamChannel, party: int, store: Store, workshop: Workshop, greeting: Greeting, sessions: int
) -> Preparation:
    """Make sessions after a greeting, and close the channel. Party 1 wants to have so many in common with
    party 0, which makes no more than so many. What is stored stays, whatever happens later.

    Each may take as long as the limits of the greeting allow for a session.
    Raises MPC-R004..R008, R013, R014, MPC-S011, MPC-S019; the caller aborts the channel.
    """
    transcript = greeting.transcript
    agree = _answer if party == 0 else _ask
    made, missing = agree(channel, store, transcript, min(sessions, _MOST))
    preparation_id = confirm(channel, party, transcript)
    store.add_batch(BATCH, None)
    with channel.meter.counting("preparation") as counters, watched(channel, workshop, made) as ended:
        make = workshop.open(channel) if made else None
        for number in range(made):
            assert make is not None
            channel.limit(greeting.limits.silence_seconds, greeting.limits.session_seconds)
            seed = secrets.token_bytes(SEED_BYTES)
            session_id = _session_id(preparation_id, number)
            store.add(BATCH, session_id, seed, make(seed), written=channel.synchronise)
            ended()
    channel.finish()
    return Preparation(made, missing, counters)


def _ask(channel: StreamChannel, store: Store, transcript: Transcript, wanted: int) -> tuple[int, int]:
    """Party 1: how many are made, of how many that are missing. Raises MPC-R006."""
    message = _COUNT.pack(wanted)
    channel.send_control(FrameType.PREPARING, message)
    transcript.add(message)
    with store.offering():  # what a run is just given would seem used
        ids, common = store.unused(store.count_unused()), 0
        for start in range(0, len(ids), ASKED_AT_ONCE):
            asked = ids[start : start + ASKED_AT_ONCE]
            offer = b"".join(asked)
            channel.send_control(FrameType.SESSIONS, offer)
            answer = channel.receive_control(FrameType.SESSIONS, len(asked))
            if len(answer) != len(asked) or max(answer) > max(_Here):
                raise malformed("an answer that says nothing of the sessions asked for")
            transcript.add(offer, answer)
            store.discard(i for i, here in zip(asked, answer, strict=True) if here == _Here.USED)
            common += answer.count(_Here.UNUSED)
    channel.send_control(FrameType.SESSIONS, b"")
    message = channel.receive_control(FrameType.PREPARING, _COUNT.size)
    transcript.add(message)
    made, missing = _count(message), max(wanted - common, 0)
    if made > missing:
        raise malformed("more sessions than are wanted")
    return made, missing


def _answer(channel: StreamChannel, store: Store, transcript: Transcript, most: int) -> tuple[int, int]:
    """Party 0: the same."""
    message = channel.receive_control(FrameType.PREPARING, _COUNT.size)
    transcript.add(message)
    wanted, common = _count(message), 0
    for _ in range(QUESTIONS):
        offer = channel.receive_control(FrameType.SESSIONS, ASKED_AT_ONCE * SESSION_ID_BYTES)
        if not offer:
            break
        asked = split_ids(offer)
        used, unused = set(store.used(asked)), set(store.still_unused(asked))
        answer = bytes(
            _Here.UNUSED if i in unused else _Here.USED if i in used else _Here.NOTHING for i in asked
        )
        channel.send_control(FrameType.SESSIONS, answer)
        transcript.add(offer, answer)
        common += answer.count(_Here.UNUSED)
    else:
        raise malformed("more sessions than a store can have")
    missing = max(wanted - common, 0)
    message = _COUNT.pack(min(missing, most))
    channel.send_control(FrameType.PREPARING, message)
    transcript.add(message)
    return min(missing, most), missing


def _session_id(preparation_id: bytes, number: int) -> bytes:
    return hashlib.sha256(b"mpcc session" + preparation_id + _COUNT.pack(number)).digest()[:SESSION_ID_BYTES]


def _count(message: bytes) -> int:
    if len(message) != _COUNT.size:
        raise malformed("a number of sessions that is none")
    (count,) = _COUNT.unpack(message)
    return int(count)
