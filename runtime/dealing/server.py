"""The dealer as a server: a thread for each party that is connected, and no more than it can bear."""

from __future__ import annotations

import contextlib
import threading

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation
from mpcc.runtime.dealing.service import DealerService
from mpcc.runtime.dealing.state import DealerState
from mpcc.runtime.events import Events
from mpcc.runtime.program_folder import ProgramFolder
from mpcc.runtime.session import internal_error
from mpcc.runtime.transport.tcp import Caller, Listener
from mpcc.runtime.transport.tls import Role

CONNECTIONS = 64  # at once, those included that have not said yet who they are
_PARTIES = frozenset([Role.PARTY0, Role.PARTY1])


class DealerServer:
    """Serves until its process is interrupted. Whatever one caller does, the others are served."""

    def __init__(
        self,
        folder: ProgramFolder,
        operations: list[Operation],
        state: DealerState,
        timeout: float,
        sessions: int,
        events: Events,
    ) -> None:
        """`timeout` in seconds; `sessions` are dealt at once at most."""
        self._service = DealerService(
            state, operations, folder.program_hash, folder.weights_sha256, self._dealt, sessions
        )
        self._timeout = timeout
        self._events = events
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        self._telling = threading.Lock()

    def serve(self, listener: Listener) -> None:
        """Threads end with the process: a party that is connected then meets a closed connection."""
        while True:
            self._room.acquire()
            threading.Thread(target=self._attend, args=(listener.accept(None),), daemon=True).start()

    def _attend(self, caller: Caller) -> None:
        try:
            channel = caller.channel(self._timeout, _PARTIES)
            try:
                self._service.serve(channel, self._timeout)
            except MpccError as error:
                channel.abort(error.code)
                raise
            except BaseException as error:
                channel.abort("MPC-R042")
                raise internal_error(error) if isinstance(error, Exception) else error from error
        except MpccError as error:
            with self._telling, contextlib.suppress(OSError):
                self._events.failed(error)
        finally:
            self._room.release()

    def _dealt(self, length: int) -> None:
        with self._telling:
            self._events.tell("dealt", f"dealt a session of {length:,} bytes", bytes=length)
