"""One session between the two parties: handshake, choice of correlations, execution, orderly end.

The execution itself is injected, so that everything around it is tested without it.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.arrays_file import Arrays
from mpcc.runtime.handshake import Greeting, Limits, Purpose, agree, greet
from mpcc.runtime.profile import Span
from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.store.store import Session, Store
from mpcc.runtime.transport.channel import Channel, Counters
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.just_in_time import Workshop, make_session

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
    """`preparation` is that of correlations which the parties made just before, for this run; `dealt_bytes`
    are those that came from a dealer.
    """

    outputs: Arrays
    operations: list[OperationCounters]
    session_id: bytes
    two_party: bool
    dealt_bytes: int
    preparation: Counters
    setup: Counters
    online: Counters
    exceeded: tuple[str, ...] = ()
    spans: list[Span] = field(default_factory=list)


def run_session(
    folder: PartyFolder,
    channel: StreamChannel,
    store: Store | None,
    executor: Executor,
    inputs: Arrays | None,
    progress: Progress,
    limits: Limits,
    agreed: Callable[[bytes], None] = lambda session_id: None,
    taken: Callable[[], None] = lambda: None,
    workshop: Workshop | None = None,
    greeting: Greeting | None = None,
) -> SessionResult:
    """Run one session over a fresh channel, within the limits, and close it. `taken` is called when it has
    its correlations, `agreed` with its id when it begins.

    With a `workshop` the parties make correlations for this run if their stores (if any) have none in common.
    `greeting` is that of a channel on which it is over.

    On any failure the other party is told the error's code, so that it ends too. Raises MPC-R004..R015,
    MPC-S006..S011, what the executor raises, and MPC-R042 for an exception that is not an MpccError.
    """
    make = partial(make_session, channel, workshop) if workshop else None
    with telling(channel):
        greeting = greeting or greet(channel, folder, limits, Purpose.RUN)
        agreement = agree(channel, folder, store, greeting, taken, make)
        agreed(agreement.session_id)
        with contextlib.closing(agreement.session) as session:
            result = executor(channel, session, inputs, progress)
            channel.finish()
    counters = channel.meter.counters
    return SessionResult(
        result.outputs,
        result.operations,
        agreement.session_id,
        folder.two_party,
        0 if folder.two_party else len(session.payload),
        counters["preparation"],
        counters["setup"],
        counters["online"],
        result.exceeded,
        result.spans,
    )


@contextlib.contextmanager
def telling(channel: StreamChannel) -> Iterator[None]:
    """On any failure of the block the other party is told its code. Raises MPC-R042 for an exception that is
    not an MpccError.
    """
    try:
        yield
    except MpccError as error:
        channel.abort(error.code)
        raise
    except KeyboardInterrupt:
        channel.abort("MPC-R041")
        raise
    except Exception as error:
        channel.abort("MPC-R042")
        raise internal_error(error) from error


def internal_error(error: Exception) -> MpccError:
    """MPC-R042 for an unexpected exception: its type and place, never its text, which could hold a secret."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return MpccError(
        "MPC-R042",
        f"internal error: {type(error).__name__}",
        where=f"{Path(last.filename).name}:{last.lineno}, {last.name}",
        remedy="report it with the command that led here",
    )
