"""What making a session's correlations costs both parties, on a connection of its own: exact, in advance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Attributes, Operation
from mpcc.runtime.two_party.engine.cost import Cost, keys_bytes
from mpcc.runtime.two_party.engine.transfers import extensions_of
from mpcc.runtime.two_party.ot.silent_choice import (
    Extension,
    cheapest_extension,
    extension_named,
    extensions,
)
from mpcc.runtime.two_party.schedule import runs_of, steps_of

ATTRIBUTE = "oblivious_transfer"  # of a program: the name of its extension
USUAL_BITS = min(extension.bits_sent for extension in extensions())  # that large programs have


@dataclass(frozen=True)
class SessionCost:
    """`sent`: bytes of party 0 and party 1; `rounds`: of both. Base OTs, keys and making OTs are included.
    `steps` in order, those of operations that run together as one.
    """

    sent: tuple[int, int]
    rounds: int
    steps: tuple[Cost, ...]

    @property
    def ots(self) -> tuple[int, int]:
        """Correlated OTs with party 0 and with party 1 as receiver."""
        first, second = (sum(step.ots[party] for step in self.steps) for party in (0, 1))
        return first, second


def session_cost(operations: Sequence[Operation], extension: Extension) -> SessionCost:
    """Of a program's operations, `plan.correlated`, in its order."""
    runs = runs_of(list(operations), extension.bits_sent)
    steps = [step for run in runs for step in run]
    sent = [sum(step.sent_in_all[party] for step in steps) for party in (0, 1)]
    sent[1] += keys_bytes(steps)
    rounds = sum(step.rounds for step in steps)
    for receiver in (0, 1):
        by_sender, by_receiver = extension.setup_bytes
        counts = [count for run in runs for count in extensions_of(sum(step.ots[receiver] for step in run))]
        made = extension.sent_bytes(counts)
        sent[1 - receiver] += by_sender + made[0]
        sent[receiver] += by_receiver + made[1]
        rounds += extension.setup_rounds + extension.rounds(counts)
    return SessionCost((sent[0], sent[1]), rounds, tuple(steps))


def extension_for(operations: Sequence[Operation], mbit: float) -> Extension:
    """The extension that makes the operations' OTs soonest over a network of `mbit` megabits a second."""
    steps = steps_of(list(operations), USUAL_BITS)
    return cheapest_extension([max(sum(step.ots[party] for step in steps) for party in (0, 1))], mbit)


def extension_of(attributes: Attributes) -> Extension:
    """What a program says. Raises MPC-I027 when it names none."""
    try:
        return extension_named(str(attributes[ATTRIBUTE]))
    except (KeyError, ValueError):
        raise MpccError(
            "MPC-I027",
            "the program does not say how its parties extend oblivious transfers",
            remedy="compile it again with --correlations two-party",
        ) from None
