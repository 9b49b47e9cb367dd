"""One session between the two parties: handshake, choice of correlations, execution, orderly end.

The execution itself is injected, so that everything around it is tested without it.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.arrays_file import Arrays
from mpcc.runtime.handshake import Limits, agree
from mpcc.runtime.profile import Span
from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.store.store import Session, Store
from mpcc.runtime.transport.channel import Channel, Counters
from mpcc.runtime.transport.stream import StreamChannel

Progress = Callable[[int, int], None]
"""Called with (done, total) in bytes of both directions, as the execution goes on."""


@dataclass(frozen=True)
class OperationCounters:
    """What one operation cost: `bytes` counts both directions, `seconds` is this party's time computing and
    sending, `wait_seconds` its time waiting for the operation's correlations and the other party's messages.
    """

    name: str
    kind: str
    onnx_nodes: tuple[str, ...]
    rounds: int
    bytes: int
    seconds: float
    wait_seconds: float = 0.0


@dataclass(frozen=True)
class ExecutionResult:
    """`outputs` holds what this party may learn, by graph output name; `exceeded` the layers in which a value
    left its range, if the program checks them and tells this party; `spans` are those of the online phase.
    """

    outputs: Arrays
    operations: list[OperationCounters] = field(default_factory=list)
    exceeded: tuple[str, ...] = ()
    spans: list[Span] = field(default_factory=list)


Executor = Callable[[Channel, Session, Arrays | None, Progress], ExecutionResult]
"""Runs one party's program. `inputs` are this party's arrays, already checked, None where it has none.

What comes before the input (the masked weights F, party 1's y1) runs in `channel.meter.counting("setup")`,
the rest in `channel.meter.counting("online")`, with `channel.synchronise()` between the two.
"""


@dataclass(frozen=True)
class SessionResult:
    outputs: Arrays
    operations: list[OperationCounters]
    session_id: bytes
    payload_bytes: int
    setup: Counters
    online: Counters
    exceeded: tuple[str, ...] = ()
    spans: list[Span] = field(default_factory=list)


def run_session(
    folder: PartyFolder,
    channel: StreamChannel,
    store: Store,
    executor: Executor,
    inputs: Arrays | None,
    progress: Progress,
    limits: Limits,
    agreed: Callable[[bytes], None] = lambda session_id: None,
    taken: Callable[[], None] = lambda: None,
) -> SessionResult:
    """Run one session over a fresh channel, within the limits, and close it. `taken` is called when it has
    its correlations, `agreed` with its id when it begins.

    On any failure the other party is told the error's code, so that it ends too. Raises MPC-R004..R014,
    MPC-S006..S010, what the executor raises, and MPC-R042 for an exception that is not an MpccError.
    """
    try:
        agreement = agree(channel, folder, store, limits, taken)
        agreed(agreement.session_id)
        with contextlib.closing(agreement.session) as session:
            result = executor(channel, session, inputs, progress)
            channel.finish()
    except MpccError as error:
        channel.abort(error.code)
        raise
    except KeyboardInterrupt:
        channel.abort("MPC-R041")
        raise
    except Exception as error:
        channel.abort("MPC-R042")
        raise internal_error(error) from error
    counters = channel.meter.counters
    return SessionResult(
        result.outputs,
        result.operations,
        agreement.session_id,
        len(session.payload),
        counters["setup"],
        counters["online"],
        result.exceeded,
        result.spans,
    )


def internal_error(error: Exception) -> MpccError:
    """MPC-R042 for an unexpected exception: its type and place, never its text, which could hold a secret."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return MpccError(
        "MPC-R042",
        f"internal error: {type(error).__name__}",
        where=f"{Path(last.filename).name}:{last.lineno}, {last.name}",
        remedy="report it with the command that led here",
    )
