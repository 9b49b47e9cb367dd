"""Bytes on their way out: what the network takes is sent at once, the rest while the party computes."""

from __future__ import annotations

import select
import threading
from collections import deque

from mpcc.runtime.transport.connection import Connection

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
        with self._changed:
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

    def leave(self) -> None:
        """The owner turns to other work: what is unsent goes on by itself."""
        if not self._parts:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="sending", daemon=True)
            self._thread.start()
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

    def _work(self) -> None:
        poller = select.poll()
        poller.register(self._connection, select.POLLOUT)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._open or (self._left and bool(self._parts)))
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
