"""Runs one party's program over a channel: what the party executables inject into a session."""

from __future__ import annotations

from dataclasses import replace

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
from mpcc.runtime.correlations.prefetch import BUDGET_BYTES, Prefetch
from mpcc.runtime.interpreter import Interpreter, online_draws, output_fractions
from mpcc.runtime.memory import SessionMemory, session_memory
from mpcc.runtime.profile import Span, by_operation
from mpcc.runtime.program_folder import CONSTANTS_NAME, PartyFolder
from mpcc.runtime.protocols import protocols
from mpcc.runtime.ring import I32, I64, decode
from mpcc.runtime.session import ExecutionResult, OperationCounters, Progress
from mpcc.runtime.sources import Sources
from mpcc.runtime.store.store import Session
from mpcc.runtime.stored_arrays import load_arrays, stored_arrays
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.just_in_time import Make

_WATCHED = "watched "  # before the names of watched values among a program's outputs


class PreparedProgram:
    """One party's program, ready to run. Sessions in several threads share it: nobody writes into it.

    What is public about it is made once: parsed and verified text, constants, tables. Party 0's weights are
    encoded by the first session, while the other party is busy too, or by `load_weights`.
    """

    def __init__(self, folder: PartyFolder) -> None:
        """Raises MPC-I0.. for a damaged program, MPC-R043."""
        self._folder = folder
        self._budget = BUDGET_BYTES  # of correlations that a session expands ahead of their use
        self._program = parse(folder.program_text, str(folder.path / "program.mpc"))
        verify(self._program)
        weights, constants = stored_arrays(folder.weights), load_arrays(folder.path / CONSTANTS_NAME)
        self._sources = Sources({}, weights, constants)
        self._operations = plan.link(self._program)
        self._producers = self._program.producers()
        self._offsets, self._length = plan.offsets(self._operations)
        self._draws = online_draws(self._operations, folder.party)
        for operation in self._operations:
            if operation.kind in protocols:
                protocols[operation.kind].make_tables(operation)

    def making_bytes(self) -> int:
        """That both parties send to make a session, on a connection of its own. Raises MPC-I027."""
        from mpcc.runtime.two_party.session_cost import extension_of, session_cost

        cost = session_cost(plan.correlated(self._operations), extension_of(self._program.attributes))
        return sum(cost.sent)

    def make_with(self, channel: Channel) -> Make:
        """Begin to make correlations with the other party. Raises MPC-R004..R008."""
        from mpcc.runtime.two_party.engine.engine import Engine
        from mpcc.runtime.two_party.generation import Generation
        from mpcc.runtime.two_party.session_cost import extension_of

        engine = Engine.connect(self._folder.party, channel, extension_of(self._program.attributes))
        operations = plan.correlated(self._operations)
        return lambda seed: Generation(engine, seed, operations, self._weight).pieces()

    @property
    def session_bytes(self) -> int:
        """Party 0: what a session takes in memory, about. Raises MPC-I027."""
        return self._memory().needed(self._budget)

    def limit_session(self, bytes_: int) -> None:
        """Party 0: let no session take more. Raises MPC-R082 when the program cannot keep to it, MPC-I027."""
        memory = self._memory()
        room = memory.budget(bytes_)
        if room is None:
            raise MpccError(
                "MPC-R082",
                f"a session of this program needs {memory.needed(0):,} bytes, and {bytes_:,} are allowed",
                remedy="raise --session-memory",
            )
        self._budget = min(room, BUDGET_BYTES)

    def _memory(self) -> SessionMemory:
        memory = session_memory(self._operations)
        if not self._folder.two_party:
            return memory
        from mpcc.runtime.two_party.making_memory import making_memory
        from mpcc.runtime.two_party.session_cost import extension_of

        extension_bits = extension_of(self._program.attributes).bits_sent
        return replace(memory, making=making_memory(plan.correlated(self._operations), extension_bits))

    def _weight(self, operation: Operation) -> I64 | I32:
        """Party 0: the integers of a linear operation's weight."""
        return self._sources.narrow(self._producers[operation.operands[1]])

    def load_weights(self) -> None:
        """Party 0: encodes every weight."""
        for operation in self._operations:
            if operation.kind == "weight":
                self._sources.narrow(operation)

    def execute(
        self,
        channel: Channel,
        session: Session,
        inputs: Arrays | None,
        progress: Progress,
        *,
        watched: dict[str, I64] | None = None,
    ) -> ExecutionResult:
        """Set-up, then the online phase of one session. Raises MPC-S013, MPC-R043.

        `inputs` are this party's of the secure program: for party 1 what `client_inputs` makes of the
        graph's.

        `watched`, whose keys name values of the program, gets what this party holds of them: for
        `mpcc verify`, which runs both parties in one process. A value that only the other party holds is
        taken out.
        """
        party, program, two_party = self._folder.party, self._program, self._folder.two_party
        if (party == 1 or two_party) and len(session.payload) != self._length:
            raise MpccError(
                "MPC-S013",
                f"the session holds {len(session.payload)} bytes of correlations, "
                f"the program draws {self._length}",
                remedy="get new sessions for this program, with mpcc deal or mpcc prepare",
            )
        watch = {
            _WATCHED + v.name: v for o in program.operations for v in o.results if v.name in (watched or ())
        }
        program = replace(program, outputs={**program.outputs, **watch})
        sources = self._sources.with_inputs(inputs or {})
        correlations = CorrelationSource(party, session.seed, session.payload, self._offsets, two_party)
        with Prefetch(correlations, self._draws, self._budget) as prefetch:
            interpreter = Interpreter(program, party, sources.narrow, prefetch, self._operations)
            with channel.meter.counting("setup"):
                _set_up(interpreter, channel, session, self._folder)
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
        dtypes = {spec.name: spec.dtype for spec in self._folder.outputs}
        typed = {
            name: np.asarray(array, dtype=dtypes.get(name, "float32")) for name, array in outputs.items()
        }
        return ExecutionResult(typed, _counters(self._operations, spans), exceeded, spans)


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
    """Party 0 sends F = W - B of every linear operation; party 1 prepares its shares of their results.

    Parties that made their correlations themselves took W for B.
    """
    if folder.two_party:
        interpreter.load_weights() if folder.party == 0 else interpreter.prepare(None)
        return
    if folder.party == 1:
        weight_differences.receive(interpreter, channel, session.kept)
        return
    assert session.weight_mask_seed is not None
    assert folder.weights_sha256 is not None
    weight_differences.send(interpreter, channel, session.weight_mask_seed, folder.weights_sha256)
