"""Runs one party's program over a channel: what the party executables inject into a session."""

from __future__ import annotations

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse
from mpcc.ir.program import Operation
from mpcc.ir.range_checks import take_exceeded
from mpcc.ir.verifier import verify
from mpcc.runtime import weight_differences
from mpcc.runtime.arrays_file import Arrays
from mpcc.runtime.correlations import plan
from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.correlations.prefetch import Prefetch
from mpcc.runtime.interpreter import Interpreter, online_draws, output_fractions
from mpcc.runtime.profile import Span, by_operation
from mpcc.runtime.program_folder import CONSTANTS_NAME, PartyFolder
from mpcc.runtime.protocols import protocols
from mpcc.runtime.ring import I64, decode
from mpcc.runtime.session import ExecutionResult, OperationCounters, Progress
from mpcc.runtime.sources import Sources
from mpcc.runtime.store.store import Session
from mpcc.runtime.stored_arrays import load_arrays, stored_arrays
from mpcc.runtime.transport.channel import Channel

_WATCHED = "watched "  # before the names of watched values among a program's outputs


def execute(
    folder: PartyFolder,
    channel: Channel,
    session: Session,
    inputs: Arrays | None,
    progress: Progress,
    watched: dict[str, I64] | None = None,
) -> ExecutionResult:
    """Set-up, then the online phase. Raises MPC-I0.. for a damaged program, MPC-S013, MPC-R043.

    `inputs` are this party's of the secure program: for party 1 what `client_inputs` makes of the graph's.

    `watched`, whose keys name values of the program, gets what this party holds of them: for `mpcc verify`,
    which runs both parties in one process. A value that only the other party holds is taken out.
    """
    program = parse(folder.program_text, str(folder.path / "program.mpc"))
    verify(program)
    weights, constants = stored_arrays(folder.weights), load_arrays(folder.path / CONSTANTS_NAME)
    sources = Sources(inputs or {}, weights, constants)
    operations = plan.link(program)
    offsets, length = plan.offsets(operations)
    if folder.party == 1 and len(session.payload) != length:
        raise MpccError(
            "MPC-S013",
            f"the session holds {len(session.payload)} bytes of correlations, the program draws {length}",
            remedy="deal again for this program: mpcc deal",
        )
    watch = {_WATCHED + v.name: v for o in program.operations for v in o.results if v.name in (watched or ())}
    program.outputs.update(watch)
    correlations = CorrelationSource(folder.party, session.seed, session.payload, offsets)
    with Prefetch(correlations, online_draws(operations, folder.party)) as prefetch:
        interpreter = Interpreter(program, folder.party, sources.narrow, prefetch)
        with channel.meter.counting("setup"):
            _set_up(interpreter, channel, session, folder)
            prefetch.wait()
            channel.synchronise()
        with channel.meter.counting("online"):
            integers = interpreter.run(channel, progress)
    if watched is not None:
        watched.clear()
        watched.update((value.name, integers.pop(key)) for key, value in watch.items() if key in integers)
    exceeded = take_exceeded(program.attributes, integers)
    fractions = output_fractions(program)
    outputs = {name: decode(array, fractions[name]) for name, array in integers.items()}
    spans = interpreter.recorder.spans()
    dtypes = {spec.name: spec.dtype for spec in folder.outputs}
    typed = {name: np.asarray(array, dtype=dtypes.get(name, "float32")) for name, array in outputs.items()}
    return ExecutionResult(typed, _counters(operations, spans), exceeded, spans)


def _counters(operations: list[Operation], spans: list[Span]) -> list[OperationCounters]:
    """Of every operation that the party computed."""
    times = by_operation(spans)
    counters = []
    for o in operations:
        if o.kind in protocols:
            time, rounds = times[o.result.name], len(protocols[o.kind].messages(o))
            one = (o.result.name, o.kind, o.onnx_nodes, rounds, time.bytes, time.seconds, time.wait_seconds)
            counters.append(OperationCounters(*one))
    return counters


def _set_up(interpreter: Interpreter, channel: Channel, session: Session, folder: PartyFolder) -> None:
    """Party 0 sends F = W - B of every linear operation; party 1 prepares its shares of their results."""
    interpreter.make_tables()
    if folder.party == 1:
        weight_differences.receive(interpreter, channel, session.folder)
        return
    assert session.weight_mask_seed is not None
    assert folder.weights_sha256 is not None
    weight_differences.send(interpreter, channel, session.weight_mask_seed, folder.weights_sha256)
