"""Exact rounds and bytes of a share-stage program, in total and by operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mpcc.compiler.backend.split import ticks
from mpcc.compiler.cost.making import Making, making_of, making_of_part
from mpcc.ir.correlation_source import CorrelationSource, source_of
from mpcc.ir.program import Operation, Program
from mpcc.passes.schedule_rounds import schedule
from mpcc.runtime.correlations.plan import correction_bytes
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.linear import difference_sizes
from mpcc.runtime.two_party.session_cost import ATTRIBUTE
from mpcc.runtime.weight_differences import TOKEN_BYTES


@dataclass(frozen=True)
class OperationCost:
    """One operation's bytes each way, ticks, dealt bytes and ring multiplications."""

    name: str
    kind: str
    onnx_nodes: tuple[str, ...]
    ticks: int
    bytes_party0: int
    bytes_party1: int
    offline_bytes: int
    multiplications: int


@dataclass(frozen=True)
class Cost:
    """A program's cost. `rounds` counts ticks in which anything is sent; bytes are what each party sends.

    `offline_bytes` are dealt to party 1; without a dealer they are what both parties send to make their
    correlations, and `made` says more: of the whole program, as the parties make them, or about, of a part.
    """

    rounds: int
    bytes_party0: int
    bytes_party1: int
    offline_bytes: int
    setup_bytes: int
    multiplications: int
    made: Making | None = None

    def report(self) -> dict[str, Any]:
        """The `predicted` entry of a run's report."""
        dealt = {
            "dealer_to_party0": 0,
            "dealer_to_party1": self.offline_bytes,
            "setup_party0_to_party1": self.setup_bytes,
        }
        made = {"party0": self.made.party0, "party1": self.made.party1} if self.made else None
        return {
            "rounds": self.rounds,
            **({"offline_rounds": self.made.rounds} if self.made else {}),
            "bytes": {
                "online": {"party0": self.bytes_party0, "party1": self.bytes_party1},
                "offline": made or dealt,
            },
        }


def operation_cost(operation: Operation, source: CorrelationSource) -> OperationCost:
    """From the protocol's declarations."""
    if source is CorrelationSource.TWO_PARTY:
        made = making_of_part([operation])
        offline_bytes = made.party0 + made.party1
    else:
        offline_bytes = correction_bytes(operation)
    protocol = protocols[operation.kind]
    messages = protocol.messages(operation)
    return OperationCost(
        operation.result.name,
        operation.kind,
        operation.onnx_nodes,
        len(messages),
        sum(m[0] for m in messages),
        sum(m[1] for m in messages),
        offline_bytes,
        protocol.multiplications(operation),
    )


def operation_costs(program: Program) -> tuple[OperationCost, ...]:
    """Of a share-stage program with its rings assigned, in its order."""
    source = source_of(program.attributes)
    return tuple(operation_cost(o, source) for o in program.operations)


def cost_of(program: Program) -> Cost:
    """The cost of a share-stage program with its rings assigned."""
    operations = program.operations
    if source_of(program.attributes) is CorrelationSource.TWO_PARTY:
        made = making_of(program) if ATTRIBUTE in program.attributes else making_of_part(operations)
        offline, setup = made.party0 + made.party1, 0
    else:
        made = None
        offline = sum(map(correction_bytes, operations))
        linear = [o for o in operations if o.kind in ("linear", "gain")]
        setup = TOKEN_BYTES + sum(size for o in linear for size in difference_sizes(o))
    messages = [message for o in operations for message in protocols[o.kind].messages(o)]
    return Cost(
        rounds=len(schedule(program, ticks)) - 1,
        bytes_party0=sum(first for first, _ in messages),
        bytes_party1=sum(second for _, second in messages),
        offline_bytes=offline,
        setup_bytes=setup,
        multiplications=sum(protocols[o.kind].multiplications(o) for o in operations),
        made=made,
    )
