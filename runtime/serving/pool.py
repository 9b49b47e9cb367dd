"""Clients' sessions: so many run at once, so many more wait, others are told that the server is busy."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.transport.stream import ABORT_LINGER, StreamChannel

_ENDING_SECONDS = 2 * ABORT_LINGER + 1.0  # for a session that is told to end


@dataclass(frozen=True, eq=False)
class Client:
    """One that was let in, and where it comes from."""

    channel: StreamChannel
    address: str


def busy() -> MpccError:
    """MPC-R080."""
    return MpccError(
        "MPC-R080",
        "the server is busy: as many clients wait as may",
        remedy="raise --sessions or --queue; clients ask again",
    )


def closing() -> MpccError:
    """MPC-R081."""
    return MpccError("MPC-R081", "the server is shutting down", remedy="clients ask again when it is back")


class Pool:
    """Threads that serve clients, first come, first served. `serve` runs one session, and raises nothing."""

    def __init__(self, sessions: int, queue: int, serve: Callable[[Client], None]) -> None:
        self._sessions = sessions
        self._room = sessions + queue
        self._serve = serve
        self._queue: deque[Client] = deque()
        self._running: set[Client] = set()
        self._closing = False
        self._changed = threading.Condition()

    def start(self) -> None:
        for number in range(self._sessions):
            threading.Thread(target=self._work, name=f"session-{number}", daemon=True).start()

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def closing(self) -> bool:
        return self._closing

    def admit(self, channel: StreamChannel, address: str) -> MpccError | None:
        """Queue a client, or say why not: MPC-R080, MPC-R081."""
        with self._changed:
            if self._closing:
                return closing()
            if len(self._running) + len(self._queue) >= self._room:
                return busy()
            self._queue.append(Client(channel, address))
            self._changed.notify_all()
            return None

    def close(self, grace: float) -> None:
        """Tell those that wait to go, let those that run end within `grace` seconds, then end them."""
        with self._changed:
            self._closing = True
            waiting = list(self._queue)
            self._queue.clear()
            self._changed.notify_all()
        turned_away = [threading.Thread(target=c.channel.abort, args=(closing().code,)) for c in waiting]
        for thread in turned_away:
            thread.start()
        try:
            self._wait_idle(grace)
        finally:
            with self._changed:
                for client in self._running:
                    client.channel.stop(closing())
            self._wait_idle(_ENDING_SECONDS)
        for thread in turned_away:
            thread.join()

    def _wait_idle(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._running, seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                client = self._queue.popleft()
                self._running.add(client)
            try:
                self._serve(client)
            finally:
                with self._changed:
                    self._running.remove(client)
                    self._changed.notify_all()
