"""A server of party 0: its door, its sessions, and what is told about them.

With a program whose parties make their correlations themselves it also prepares sessions with those clients
that ask for it: such a client takes the place of one that runs.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.range_checks import refuse_exceeded
from mpcc.runtime.arrays_file import Arrays
from mpcc.runtime.handshake import Greeting, Limits, Purpose, greet
from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.serving.door import Door
from mpcc.runtime.serving.metrics import Metrics
from mpcc.runtime.serving.pool import Client, Pool
from mpcc.runtime.session import Executor, run_session, telling
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.channel_errors import PeerError
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.transport.tcp import Listener
from mpcc.runtime.transport.tls import Role
from mpcc.runtime.two_party.just_in_time import Workshop
from mpcc.runtime.two_party.preparation import prepare_sessions

REFUSALS_LOGGED = 20  # a second, so that whoever calls cannot fill the disk; the metrics count them all
_CLIENTS = frozenset([Role.PARTY1])


@dataclass(frozen=True)
class Served:
    """What every session runs: party 0's program, its inputs (None where it has none) and its store.

    With a `workshop` clients prepare sessions, until the store has `most_unused`.
    """

    folder: PartyFolder
    executor: Executor
    inputs: Arrays | None
    store: Store
    workshop: Workshop | None = None
    most_unused: int = 0


class Server:
    """Runs `sessions` at once and lets `queue` more clients wait, until it is closed."""

    def __init__(
        self,
        served: Served,
        listener: Listener,
        limits: Limits,
        sessions: int,
        queue: int,
        log: FilteringBoundLogger,
    ) -> None:
        self._served = served
        self._listener = listener
        self._limits = limits
        self._log = log
        self._numbers = itertools.count(1)
        self._logging = threading.Lock()
        self._refusals: list[float] = []  # when they were logged, of the last second
        self._pool = Pool(sessions, queue, self._serve)
        self._door = Door(listener, limits.silence_seconds, _CLIENTS, self._admit, self._refused)
        self._thread = threading.Thread(target=self._door.run, name="door", daemon=True)
        self._metrics = Metrics(
            running=lambda: self._pool.running,
            queued=lambda: self._pool.queued,
            connections=lambda: self._door.waiting + self._pool.running + self._pool.queued,
            unused=self._unused,
        )

    def start(self) -> None:
        self._pool.start()
        self._thread.start()

    def wait(self) -> None:
        """For ever: until another thread closes the listener, or an exception comes."""
        self._thread.join()

    def close(self, grace: float) -> None:
        """Let nobody in any more; sessions that run may go on for `grace` seconds."""
        self._listener.close()
        self._log.info("closing", running=self._pool.running, queued=self._pool.queued)
        self._pool.close(grace)
        self._log.info("closed")

    def health(self) -> str:
        """Why no session can be served; nothing if one can."""
        if self._pool.closing:
            return "the server is shutting down"
        unused = self._unused()
        if math.isnan(unused):
            return "the store cannot be read"
        return "" if unused or self._served.workshop else "every session of the store has been used"

    def metrics(self) -> bytes:
        """In Prometheus' text format."""
        return self._metrics.text()

    @property
    def _purposes(self) -> Purpose:
        return Purpose.RUN | Purpose.PREPARE if self._served.workshop else Purpose.RUN

    def _prepare(self, channel: StreamChannel, greeting: Greeting) -> int:
        """How many sessions were made."""
        served, party = self._served, self._served.folder.party
        assert served.workshop is not None
        room = max(served.most_unused - served.store.count_unused(), 0)
        return prepare_sessions(channel, party, served.store, served.workshop, greeting, room).made

    def _run(self, channel: StreamChannel, greeting: Greeting, agreed: Callable[[bytes], None]) -> None:
        result = run_session(
            self._served.folder,
            channel,
            self._served.store,
            self._served.executor,
            self._served.inputs,
            lambda done, total: None,
            self._limits,
            agreed,
            workshop=self._served.workshop,
            greeting=greeting,
        )
        refuse_exceeded(result.exceeded)

    def _unused(self) -> float:
        try:
            return self._served.store.count_unused()
        except MpccError:
            return math.nan

    def _admit(self, channel: StreamChannel, address: str) -> MpccError | None:
        refusal = self._pool.admit(channel, address)
        if refusal is None:
            self._log.info(
                "client accepted", client=channel.peer.name if channel.peer else None, address=address
            )
        return refusal

    def _refused(self, error: MpccError, address: str) -> None:
        self._metrics.refused(error.code)
        with self._logging:
            self._refusals = [t for t in self._refusals if time.monotonic() - t < 1.0]
            if len(self._refusals) >= REFUSALS_LOGGED:
                return
            self._refusals.append(time.monotonic())
        self._log.warning("caller refused", address=address, code=error.code, message=error.message)

    def _serve(self, client: Client) -> None:
        """One client; whatever it does, others go on."""
        peer, started = client.channel.peer, time.perf_counter()
        known: dict[str, str | int | None] = {
            "number": next(self._numbers),
            "client": peer.name if peer else None,
            "address": client.address,
        }

        def agreed(session_id: bytes) -> None:
            known["session"] = session_id.hex()
            self._log.info("session started", **known)

        failure: MpccError | None = None
        made: int | None = None
        try:
            with telling(client.channel):
                greeting = greet(client.channel, self._served.folder, self._limits, self._purposes)
                if greeting.purpose is Purpose.PREPARE:
                    known["prepared"] = made = self._prepare(client.channel, greeting)
                else:
                    self._run(client.channel, greeting, agreed)
        except MpccError as error:
            failure = error
        seconds = time.perf_counter() - started
        meter = client.channel.meter
        if made is None:
            self._metrics.ended(meter, seconds, failure.code if failure else "")
        else:
            self._metrics.prepared(meter, made)
        counted = list(meter.counters.values())
        known |= {
            "bytes_sent": sum(c.bytes_sent for c in counted),
            "bytes_received": sum(c.bytes_received for c in counted),
            "rounds": sum(c.rounds for c in counted),
        }
        told = {**known, "seconds": round(seconds, 3)}
        if failure is None:
            self._log.info("session ended" if made is None else "sessions prepared", **told)
            return
        other = failure.peer_code if isinstance(failure, PeerError) else None
        self._log.warning(
            "session failed", **told, code=failure.code, other_code=other, message=failure.message
        )
