"""The dealer as a server: a thread for each party that is connected, and no more than it can bear."""

from __future__ import annotations

import contextlib
import threading

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation
from mpcc.runtime.dealing.service import DealerService, busy
from mpcc.runtime.dealing.state import DealerState
from mpcc.runtime.events import Events
from mpcc.runtime.program_folder import ProgramFolder
from mpcc.runtime.serving.door import Door
from mpcc.runtime.session import internal_error
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.transport.tcp import Listener
from mpcc.runtime.transport.tls import Role

CONNECTIONS = 256  # of parties, at once
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
        """Until the listener is closed. Threads end with the process: who is connected then meets a closed
        connection.
        """
        Door(listener, self._timeout, _PARTIES, self._admit, self._refused).run()

    def _admit(self, channel: StreamChannel, address: str) -> MpccError | None:
        if not self._room.acquire(blocking=False):
            return busy(f"{CONNECTIONS} parties are connected")
        threading.Thread(target=self._attend, args=(channel, address), daemon=True).start()
        return None

    def _attend(self, channel: StreamChannel, address: str) -> None:
        try:
            self._service.serve(channel, self._timeout)
        except MpccError as error:
            channel.abort(error.code)
            self._refused(error, address)
        except Exception as error:
            channel.abort("MPC-R042")
            self._refused(internal_error(error), address)
        finally:
            self._room.release()

    def _refused(self, error: MpccError, address: str) -> None:
        with self._telling, contextlib.suppress(OSError):
            error.where = error.where or address
            self._events.failed(error)

    def _dealt(self, length: int) -> None:
        with self._telling:
            self._events.tell("dealt", f"dealt a session of {length:,} bytes", bytes=length)
