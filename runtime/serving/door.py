"""A server's door: finds out who a caller is, without ever making the others wait for it.

Each caller that has not shown who it is has a thread of its own, and there are few such threads: when they
are all taken, the caller that has been there longest is put out. So callers that connect and say nothing keep
nobody out for long, however many they are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.serving.pool import busy
from mpcc.runtime.session import internal_error
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.transport.tcp import Caller, Listener, ListenerClosed
from mpcc.runtime.transport.tls import Role

GREETINGS = 128  # callers at the door at once
LEAST_SECONDS = 0.5  # that a caller has to show who it is, however many wait behind it
HANDSHAKE_SECONDS = 10.0  # and at most
_LOOK_SECONDS = 0.05


@dataclass(eq=False)
class _Greeting:
    caller: Caller
    begun: float = field(default_factory=time.monotonic)
    ended: bool = False


class Door:
    """`admit` gets the channel of every caller of these roles, and its address; it takes it at once, or says
    why not. `refused` is told why a caller was not let in.
    """

    def __init__(
        self,
        listener: Listener,
        timeout: float,
        roles: frozenset[Role],
        admit: Callable[[StreamChannel, str], MpccError | None],
        refused: Callable[[MpccError, str], None],
    ) -> None:
        self._listener = listener
        self._timeout = timeout
        self._roles = roles
        self._admit = admit
        self._refused = refused
        self._greetings: list[_Greeting] = []  # oldest first
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """Callers at the door, none of them let in already."""
        with self._changed:
            return len(self._greetings)

    def run(self) -> None:
        """Until the listener is closed."""
        while True:
            self._make_room()
            try:
                caller = self._listener.accept(None)
            except ListenerClosed:
                break
            greeting = _Greeting(caller)
            with self._changed:
                self._greetings.append(greeting)
            threading.Thread(target=self._greet, args=(greeting,), name="greeting", daemon=True).start()
        with self._changed:
            for greeting in self._greetings:
                greeting.caller.hang_up()

    def _make_room(self) -> None:
        """Wait until another caller may be greeted: the oldest is put out when it has had its time."""
        with self._changed:
            while len(self._greetings) >= GREETINGS:
                oldest = next((g for g in self._greetings if not g.ended), None)
                if oldest and time.monotonic() - oldest.begun >= LEAST_SECONDS:
                    oldest.ended = True
                    oldest.caller.hang_up()
                self._changed.wait(_LOOK_SECONDS)

    def _greet(self, greeting: _Greeting) -> None:
        address = str(greeting.caller.address)
        try:
            self._introduce(greeting, address)
        except MpccError as error:
            self._refused(error, address)
        except Exception as error:
            self._refused(internal_error(error), address)
        finally:
            with self._changed:
                if greeting in self._greetings:
                    self._greetings.remove(greeting)
                self._changed.notify()

    def _introduce(self, greeting: _Greeting, address: str) -> None:
        seconds = min(self._timeout, HANDSHAKE_SECONDS)
        if not greeting.caller.wait(seconds):
            greeting.caller.close()
            raise MpccError("MPC-R005", "the caller said nothing", remedy="see the caller's own output")
        channel = greeting.caller.channel(seconds, self._roles)
        with self._changed:
            refusal = busy() if greeting.ended else self._admit(channel, address)
            if refusal is None:
                self._greetings.remove(greeting)
        if refusal is not None:
            channel.abort(refusal.code)
            raise refusal
