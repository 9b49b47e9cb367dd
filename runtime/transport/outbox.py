"""Bytes on their way out: what the network takes is sent at once, the rest while the party computes.

A party that computes for long also says that it does: see `working`.
"""

from __future__ import annotations

import select
import threading
import time
from collections import deque
from collections.abc import Callable

from mpcc.runtime.interrupts import step
from mpcc.runtime.transport.connection import Connection
from mpcc.runtime.transport.working import Activity

_PARTS = 64  # handed to one system call, which takes 1024 at most
_PATIENCE_MS = 100  # between looks at whether the channel was closed


class Outbox:
    """The unsent bytes of a connection, in order.

    The owner pushes them whenever it works on the connection; between `leave` and `enter`, while it computes,
    a thread does. That thread is started when it is needed first.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parts: deque[memoryview] = deque()
        self._changed = threading.Condition()
        self._left = False
        self._left_at = 0.0
        self._period: float | None = None
        self._say: Callable[[], None] = lambda: None
        self._activity = Activity()
        self._open = True
        self._thread: threading.Thread | None = None

    def __bool__(self) -> bool:
        return bool(self._parts)

    @property
    def size(self) -> int:
        """Bytes."""
        with self._changed:
            return sum(map(len, self._parts))

    def put(self, *parts: memoryview) -> None:
        """Their buffers must stay as they are until they are sent."""
        with self._changed:
            self._parts.extend(part for part in parts if len(part))

    def push(self) -> int:
        """Send what the network takes without waiting; its bytes. Raises OSError for a broken connection."""
        with step, self._changed:
            if not self._parts:
                return 0
            sent = total = self._connection.send(
                [self._parts[i] for i in range(min(_PARTS, len(self._parts)))]
            )
            while sent:
                taken = min(sent, len(self._parts[0]))
                if taken == len(self._parts[0]):
                    self._parts.popleft()
                else:
                    self._parts[0] = self._parts[0][taken:]
                sent -= taken
            return total

    def say_every(self, seconds: float, say: Callable[[], None]) -> None:
        """From now on `say` puts something whenever the owner has computed so long since it left, or since
        then, and nothing is unsent.
        """
        with self._changed:
            self._period, self._say = seconds, say
            self._changed.notify()
        self._start()

    def leave(self) -> None:
        """The owner turns to other work: what is unsent goes on by itself."""
        if not self._parts and self._period is None:
            return
        self._left_at = time.monotonic()
        if not self._parts:
            self._left = True
            return
        self._start()
        with self._changed:
            self._left = True
            self._changed.notify()

    def enter(self) -> None:
        """The owner is back, and pushes itself."""
        if self._left:
            with self._changed:
                self._left = False

    def clear(self) -> None:
        with self._changed:
            self._parts.clear()

    def close(self) -> None:
        """Before the connection is closed: the thread has let go of it."""
        with self._changed:
            self._open = self._left = False
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="sending", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        poller = select.poll()
        poller.register(self._connection, select.POLLOUT)
        while True:
            with self._changed:
                if not self._changed.wait_for(self._is_wanted, self._pause()):
                    self._speak()
                    continue
                if not self._open:
                    return
            poller.poll(_PATIENCE_MS)
            try:
                with self._changed:
                    if self._left:
                        self.push()
            except OSError:  # the owner meets it, too, and can tell why
                with self._changed:
                    self._left = False

    def _is_wanted(self) -> bool:
        return not self._open or (self._left and bool(self._parts))

    def _pause(self) -> float | None:
        """Seconds until there may be something to say."""
        if self._period is None:
            return None
        now = time.monotonic()
        return max((self._left_at if self._left else now) + self._period - now, 0.0)

    def _speak(self) -> None:
        """If the owner has been away for so long, and is not asleep."""
        busy, now = self._activity.look(), time.monotonic()
        if self._period is not None and self._left and now >= self._left_at + self._period:
            self._left_at = now
            if busy:
                self._say()
