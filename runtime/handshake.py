"""What both parties agree on before anything secret moves.

    HELLO      both     version, party, purpose, program hash, nonce, limits
    SESSIONS   party 1  correlation sessions that it has unused, in its order
               party 0  the first of them that it has unused, too, and which of them it has used already:
                        party 1 never uses those. If it has none, party 1 offers more; nothing ends the search
    CONFIRM    both     SHA-256 over all of the above and both certificates' fingerprints

Parties that make their correlations themselves and have no session in common make one after that, for this
run alone. For what they say when they only prepare, see `two_party.preparation`.

The digest binds what follows to what both sides saw: where TLS ends at something between the parties, or
(without TLS) somebody changed a message, the digests differ.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import math
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.store.session_file import SESSION_ID_BYTES
from mpcc.runtime.store.store import Session, Store
from mpcc.runtime.transport.frame import FrameType
from mpcc.runtime.transport.stream import StreamChannel

PROTOCOL_VERSION = 4
OFFERED_AT_ONCE = 64  # sessions
OFFERS = 64  # until party 0 gives up
_HELLO = struct.Struct("<HBB32s16sdd")
_HELLO_LIMIT = 256  # bytes a later version's hello may have
_NONCE_BYTES = 16
_OFFER_LIMIT = OFFERED_AT_ONCE * SESSION_ID_BYTES
_FOUND, _NONE = b"\1", b"\0"


class Purpose(IntFlag):
    """What a connection is for: party 1 wants one of these, party 0 says what it is there for."""

    RUN = 1
    PREPARE = 2


@dataclass(frozen=True)
class Limits:
    """How long a side waits for a byte from the other, which says so when it computes for longer, and how
    long a session may take, in seconds.
    """

    silence_seconds: float
    session_seconds: float = math.inf

    def within(self, other: Limits) -> Limits:
        """The smaller of both."""
        return Limits(
            min(self.silence_seconds, other.silence_seconds), min(self.session_seconds, other.session_seconds)
        )


@dataclass(frozen=True)
class Agreement:
    """`session_id` is this run's, the same on both sides and in their logs and reports; `session` is the
    session of correlations that it uses up.
    """

    session: Session
    session_id: bytes
    limits: Limits


class Transcript:
    """What was said, in the order in which both sides know it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(b"mpcc handshake")

    def add(self, *messages: bytes) -> None:
        for message in messages:
            self._hash.update(len(message).to_bytes(8, "little") + message)

    def digest(self) -> bytes:
        return self._hash.digest()


@dataclass(frozen=True)
class Greeting:
    """What both sides' first words amount to. `transcript` has them."""

    purpose: Purpose
    limits: Limits
    transcript: Transcript


def greet(channel: StreamChannel, folder: PartyFolder, limits: Limits, purposes: Purpose) -> Greeting:
    """The beginning of the handshake, on a fresh channel: from here on it keeps the limits agreed on.

    `purposes`: of party 1 one, of party 0 those that it is there for. Raises MPC-R004..R008, R010..R012,
    R015, on both sides.
    """
    transcript = Transcript()
    purpose, agreed = _exchange_hello(channel, folder, limits, purposes, transcript)
    channel.limit(agreed.silence_seconds, agreed.session_seconds)
    return Greeting(purpose, agreed, transcript)


def agree(
    channel: StreamChannel,
    folder: PartyFolder,
    store: Store | None,
    greeting: Greeting,
    taken: Callable[[], None] = lambda: None,
    make: Callable[[bytes], Session] | None = None,
) -> Agreement:
    """The rest of the handshake of a run.

    The session is taken from the store, at which `taken` is called, and the caller closes it. If there is
    none in common (or no store), both sides `make` one for the run with this id.
    Raises MPC-R004..R008, R013, R014, MPC-S010 on both sides, and what `Store.take` and `make` raise.
    """
    transcript = greeting.transcript
    if folder.party == 0:
        session = _choose(channel, store, transcript)
    else:
        with store.offering() if store else contextlib.nullcontext():
            session = _offer(channel, store, transcript)
    if session is None and make is None:
        raise _nothing_in_common()
    taken()
    try:
        session_id = confirm(channel, folder.party, transcript)
    except BaseException:
        if session is not None:
            session.close()
        raise
    if session is None:
        assert make is not None
        session = make(session_id)
        channel.limit(greeting.limits.silence_seconds, greeting.limits.session_seconds)
    return Agreement(session, session_id, greeting.limits)


def confirm(channel: StreamChannel, party: int, transcript: Transcript) -> bytes:
    """Both sides saw the same, and each other; returns an id that is new. Raises MPC-R013, on both sides."""
    transcript.add(*_fingerprints(channel, party))
    digest = transcript.digest()
    reply = channel.exchange_control(FrameType.CONFIRM, digest, len(digest))
    if not hmac.compare_digest(reply, digest):
        raise MpccError(
            "MPC-R013",
            "the two parties saw different handshakes",
            remedy="something between them changed what they sent: use --tls, and no proxy that ends it",
        )
    return digest[:SESSION_ID_BYTES]


def check_version(hello: bytes, length: int) -> None:
    """A message that begins with the protocol version is of ours. Raises MPC-R010."""
    version = int.from_bytes(hello[:2], "little")
    if version != PROTOCOL_VERSION or len(hello) != length:
        raise MpccError(
            "MPC-R010",
            f"the other party speaks protocol version {version}, this one {PROTOCOL_VERSION}"
            if version != PROTOCOL_VERSION
            else f"the other party speaks protocol version {version} in a form of its own",
            remedy="install the same version of mpcc on both machines",
        )


def _exchange_hello(
    channel: StreamChannel, folder: PartyFolder, limits: Limits, purposes: Purpose, transcript: Transcript
) -> tuple[Purpose, Limits]:
    """Compare version, party, program and purpose; the limits of both sides. Raises MPC-R006, R010..R012,
    R015, on both.
    """
    hello = _HELLO.pack(
        PROTOCOL_VERSION,
        folder.party,
        purposes,
        bytes.fromhex(folder.program_hash),
        secrets.token_bytes(_NONCE_BYTES),
        limits.silence_seconds,
        limits.session_seconds,
    )
    reply = channel.exchange_control(FrameType.HELLO, hello, _HELLO_LIMIT)
    check_version(reply, _HELLO.size)
    _, party, theirs, program, _, silence_seconds, session_seconds = _HELLO.unpack(reply)
    if party != 1 - folder.party:
        raise MpccError(
            "MPC-R012",
            f"both sides run party {folder.party}",
            remedy="run PROG/party0 on one side and PROG/party1 on the other",
        )
    if program.hex() != folder.program_hash:
        raise MpccError(
            "MPC-R011",
            f"the other party runs program {program.hex()[:12]}, this one {folder.program_hash[:12]}",
            remedy="take party0 and party1 from the same compilation",
        )
    common = purposes & theirs
    if common not in list(Purpose):
        raise MpccError(
            "MPC-R015",
            "one side wants to prepare sessions, and the other to run one",
            remedy="mpcc prepare PROG/party1 goes with mpcc prepare PROG/party0 or mpcc serve, and a run "
            "with PROG/party0/run or mpcc serve",
        )
    if not (0 < silence_seconds < math.inf and session_seconds > 0):
        raise malformed("limits of no positive length")
    transcript.add(*((hello, reply) if folder.party == 0 else (reply, hello)))
    return common, limits.within(Limits(silence_seconds, session_seconds))


def _offer(channel: StreamChannel, store: Store | None, transcript: Transcript) -> Session | None:
    """Party 1's part of the choice."""
    offered: set[bytes] = set()
    for _ in range(OFFERS):
        known = store.unused(len(offered) + OFFERED_AT_ONCE) if store else []
        ids = [session_id for session_id in known if session_id not in offered][:OFFERED_AT_ONCE]
        offer = b"".join(ids)
        channel.send_control(FrameType.SESSIONS, offer)
        if not ids:
            break
        assert store is not None
        answer = channel.receive_control(FrameType.SESSIONS, len(_FOUND) + _OFFER_LIMIT)
        found, named = answer[:1], split_ids(answer[1:])
        if found not in (_FOUND, _NONE) or (found == _FOUND and not named) or not set(named) <= set(ids):
            raise malformed("an answer that names other sessions than were offered")
        transcript.add(offer, answer)
        chosen, used = (named[0], named[1:]) if found == _FOUND else (None, named)
        store.discard(used)
        if chosen:
            return store.take(chosen)
        offered.update(ids)
    return None


def _choose(channel: StreamChannel, store: Store | None, transcript: Transcript) -> Session | None:
    """Party 0's part of the choice."""
    for _ in range(OFFERS):
        offer = channel.receive_control(FrameType.SESSIONS, _OFFER_LIMIT)
        ids = split_ids(offer)
        if not ids:
            break
        session = store.take_first(ids) if store else None
        try:
            chosen = [session.id] if session else []
            used = [i for i in (store.used(ids) if store else []) if i not in chosen]
            answer = b"".join([_FOUND if session else _NONE, *chosen, *used])
            channel.send_control(FrameType.SESSIONS, answer)
        except BaseException:
            if session:
                session.close()
            raise
        transcript.add(offer, answer)
        if session:
            return session
    return None


def _fingerprints(channel: StreamChannel, party: int) -> tuple[bytes, bytes]:
    """Of the certificates of party 0 and party 1; empty without TLS."""
    own, peer = (peer.fingerprint if peer else b"" for peer in (channel.own, channel.peer))
    return (own, peer) if party == 0 else (peer, own)


def split_ids(data: bytes) -> list[bytes]:
    """Raises MPC-R006."""
    if len(data) % SESSION_ID_BYTES:
        raise malformed("part of a session's id")
    return [data[i : i + SESSION_ID_BYTES] for i in range(0, len(data), SESSION_ID_BYTES)]


def malformed(what: str) -> MpccError:
    """MPC-R006."""
    return MpccError(
        "MPC-R006",
        f"the other party sent {what}",
        remedy="install the same version of mpcc on both machines",
    )


def _nothing_in_common() -> MpccError:
    return MpccError(
        "MPC-S010",
        "the two stores have no unused session in common",
        remedy="give both sides the same --dealer, or STORE/party0 and STORE/party1 of one run of: "
        "mpcc deal PROG --sessions N -o STORE",
    )
