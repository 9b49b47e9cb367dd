"""Exact rounds and bytes of a share-stage program, in total and by operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mpcc.compiler.backend.split import ticks
from mpcc.ir.program import Operation, Program
from mpcc.passes.schedule_rounds import schedule
from mpcc.runtime.correlations.plan import correction_bytes
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.linear import difference_sizes
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
    dealt_bytes: int
    multiplications: int


@dataclass(frozen=True)
class Cost:
    """A program's cost. `rounds` counts ticks in which anything is sent; bytes are what each party sends."""

    rounds: int
    bytes_party0: int
    bytes_party1: int
    dealt_bytes: int
    setup_bytes: int
    multiplications: int
    operations: tuple[OperationCost, ...]

    def report(self) -> dict[str, Any]:
        """The `predicted` entry of a run's report."""
        return {
            "rounds": self.rounds,
            "bytes": {
                "online": {"party0": self.bytes_party0, "party1": self.bytes_party1},
                "offline": {
                    "dealer_to_party0": 0,
                    "dealer_to_party1": self.dealt_bytes,
                    "setup_party0_to_party1": self.setup_bytes,
                },
            },
        }


def operation_cost(operation: Operation) -> OperationCost:
    """From the protocol's declarations."""
    protocol = protocols[operation.kind]
    messages = protocol.messages(operation)
    return OperationCost(
        operation.result.name,
        operation.kind,
        operation.onnx_nodes,
        len(messages),
        sum(m[0] for m in messages),
        sum(m[1] for m in messages),
        correction_bytes(operation),
        protocol.multiplications(operation),
    )


def cost_of(program: Program) -> Cost:
    """The cost of a share-stage program with its rings assigned."""
    operations = tuple(operation_cost(o) for o in program.operations)
    linear = [o for o in program.operations if o.kind in ("linear", "gain")]
    setup = TOKEN_BYTES + sum(size for o in linear for size in difference_sizes(o))
    return Cost(
        rounds=len(schedule(program, ticks)) - 1,
        bytes_party0=sum(o.bytes_party0 for o in operations),
        bytes_party1=sum(o.bytes_party1 for o in operations),
        dealt_bytes=sum(o.dealt_bytes for o in operations),
        setup_bytes=setup,
        multiplications=sum(o.multiplications for o in operations),
        operations=operations,
    )
