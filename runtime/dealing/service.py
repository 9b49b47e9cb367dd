"""The dealer's side of streaming: what it does for one connected party."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation
from mpcc.runtime.dealing.corrections import Dealing, one_ahead
from mpcc.runtime.dealing.state import DealerState
from mpcc.runtime.dealing.wire import COUNT, DEALER, MOST_AT_ONCE, Request, introduce
from mpcc.runtime.store.session_file import SEED_BYTES, SESSION_ID_BYTES
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.transport.tls import Role

_LONGEST_WAIT = 1.0  # seconds until party 0 is told that there is nothing new: its timeout may be short


def busy(why: str) -> MpccError:
    """MPC-R073."""
    return MpccError(
        "MPC-R073",
        f"the dealer is busy: {why}",
        remedy="ask again later, or start the dealer with more --sessions",
    )


class DealerService:
    """Deals one program's sessions; each `serve` is one connection, in a thread of its own.

    `operations` are the plan's; `dealt` is called with the bytes of each session that party 1 has stored;
    `sessions` are dealt at once at most.
    """

    def __init__(
        self,
        state: DealerState,
        operations: list[Operation],
        program_hash: str,
        weights_sha256: str,
        dealt: Callable[[int], None],
        sessions: int,
    ) -> None:
        self._state = state
        self._operations = operations
        self._program = (program_hash, weights_sha256)
        self._dealt = dealt
        self._slots = threading.BoundedSemaphore(sessions)

    def serve(self, channel: StreamChannel, silence_seconds: float) -> None:
        """Serve the party at the other end until it says that it is done.

        Its certificate decides who it is, where there is one: party 0's seeds are for party 0 alone. Raises
        MPC-R004..R012, MPC-R070, MPC-R071, MPC-R073, MPC-S004, MPC-S011; the caller aborts the channel.
        """
        party = introduce(channel, DEALER, *self._program)
        if channel.peer is not None and channel.peer.role is not Role.of_party(party):
            raise MpccError(
                "MPC-R071",
                f"a certificate of {channel.peer.role} was shown by one that says it is party {party}",
                remedy="give each party the certificate of its own role",
            )
        if party == 0:
            self._deliver(channel, min(silence_seconds / 3, _LONGEST_WAIT))
        elif self._slots.acquire(timeout=silence_seconds / 3):
            try:
                self._stream(channel)
            finally:
                self._slots.release()
        else:
            raise busy("it deals to as many clients as it may")
        channel.finish()

    def _stream(self, channel: StreamChannel) -> None:
        """Party 1: whole sessions, one after the other, as fast as it stores them."""
        sent = 0
        while _request(channel) is Request.MORE:
            if sent:
                self._dealt(sent)
            session_id = secrets.token_bytes(SESSION_ID_BYTES)
            seeds = (secrets.token_bytes(SEED_BYTES), secrets.token_bytes(SEED_BYTES))
            self._state.enqueue(session_id, seeds[0])
            channel.exchange(self._state.batch + session_id + seeds[1], 0)
            sent = 0
            for piece in one_ahead(
                Dealing(seeds, self._state.weight_mask_seed).corrections(self._operations)
            ):
                channel.exchange(piece, 0)
                sent += len(piece)
        if sent:
            self._dealt(sent)

    def _deliver(self, channel: StreamChannel, patience: float) -> None:
        """Party 0: the weight mask, then ids and seeds as they come up."""
        channel.exchange(self._state.batch + self._state.weight_mask_seed, 0)
        given: list[bytes] = []
        while (request := _request(channel)) is not Request.END:
            self._state.delivered(given)
            entries = self._state.waiting(MOST_AT_ONCE, patience if request is Request.WAIT else 0)
            given = [session_id for session_id, _ in entries]
            channel.exchange(COUNT.pack(len(entries)), 0)
            channel.exchange(b"".join(session_id + seed for session_id, seed in entries), 0)
        self._state.delivered(given)


def _request(channel: StreamChannel) -> Request:
    byte = channel.exchange(b"", 1)[0]
    try:
        return Request(byte)
    except ValueError:
        raise MpccError(
            "MPC-R006",
            "the other party asked the dealer for something it does not know",
            remedy="install the same version of mpcc on both machines",
        ) from None
