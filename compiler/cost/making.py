"""What two parties without a dealer spend on a session's correlations: exact bytes and rounds, estimated
seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpcc.compiler.backend.split import split
from mpcc.compiler.cost.network import Network
from mpcc.ir.program import Operation, Program
from mpcc.runtime.correlations.plan import correlated, link
from mpcc.runtime.two_party.engine.cost import Cost
from mpcc.runtime.two_party.rlwe.layout import layout
from mpcc.runtime.two_party.schedule import steps_of
from mpcc.runtime.two_party.session_cost import (
    ATTRIBUTE,
    USUAL_BITS,
    extension_for,
    extension_of,
    session_cost,
)

# Of both parties on four cores, fitted to the works of docs/two_party/benchmarks.md and to six layers of
# experts: all within 20 %.
SECONDS_OF_KEYS = 0.25  # and of the base OTs
SECONDS_PER_TRANSFER = 2.7e-8  # an OT, used for a number or a bit
SECONDS_PER_RESIDUE = 4e-8  # of a product in slots, modulo one prime, from encryption to decryption
SECONDS_PER_TRANSFORM = 1.1e-5  # and what goes with it
SECONDS_PER_PLAIN_PRODUCT = 2e-6
SECONDS_PER_WEIGHT = 1.5e-8  # of party 0's factor, to read and encode; fitted to layers of 64 experts
SECONDS_PER_ELEMENT = 3.5e-7  # of party 1's factor and of the result, to encrypt, send and decrypt
SECONDS_PER_STEP = 4e-3


@dataclass(frozen=True)
class Making:
    """`party0` and `party1`: bytes that each sends; `seconds` computing."""

    party0: int
    party1: int
    rounds: int
    seconds: float

    def seconds_over(self, network: Network) -> float:
        """Both directions are busy at the same time, at best."""
        return self.seconds + network.seconds(self.rounds, max(self.party0, self.party1))


def making_of(program: Program) -> Making:
    """Of a share-stage program, on a connection of its own. Raises MPC-I027 when it names no extension of
    oblivious transfers.
    """
    cost = session_cost(_as_parties_make(program), extension_of(program.attributes))
    seconds = SECONDS_OF_KEYS + sum(map(_step_seconds, cost.steps))
    return Making(*cost.sent, cost.rounds, seconds)


def making_of_part(operations: Sequence[Operation]) -> Making:
    """What operations add to a program's, about: without keys, base OTs and the rounds of making OTs."""
    steps = steps_of(correlated(list(operations)), USUAL_BITS)
    sent = [sum(step.sent_in_all[party] for step in steps) for party in (0, 1)]
    extending = sum(sum(step.ots) for step in steps) * USUAL_BITS / 16
    party0, party1 = (round(own + extending) for own in sent)
    return Making(party0, party1, sum(step.rounds for step in steps), sum(map(_step_seconds, steps)))


def choose_extension(program: Program, network: Network) -> None:
    """Has the program say the extension of oblivious transfers that is the quickest for it."""
    program.attributes[ATTRIBUTE] = extension_for(_as_parties_make(program), network.mbit).name


def _as_parties_make(program: Program) -> list[Operation]:
    """In the order of the parties' programs, which decides what is made together."""
    first, _ = split(program)
    return correlated(link(first))


def _step_seconds(step: Cost) -> float:
    seconds = SECONDS_PER_STEP + sum(step.ots) * SECONDS_PER_TRANSFER
    for parameters, count in step.products.items():
        slots = parameters.ciphertexts(count) * parameters.degree
        seconds += slots * len(parameters.moduli) * (parameters.terms + 1) / 2 * SECONDS_PER_RESIDUE
    for (shape, right_bits, ring), count in step.matrices.items():
        of, (batch, rows, inner, columns) = layout(shape, right_bits, ring), shape
        seconds += count * of.transforms * SECONDS_PER_TRANSFORM
        seconds += count * of.plain_products * SECONDS_PER_PLAIN_PRODUCT
        seconds += count * batch * inner * columns * SECONDS_PER_WEIGHT
        seconds += count * batch * rows * (inner + columns) * SECONDS_PER_ELEMENT
    return seconds
