"""What a lowered part of a program costs, from the protocols' declarations."""

from __future__ import annotations

from dataclasses import dataclass

from mpcc.compiler.cost.model import cost_of
from mpcc.compiler.cost.network import Network
from mpcc.compiler.cost.report import compute_seconds, offline_seconds, wire_bytes
from mpcc.ir.program import Program

OFFLINE_SHARE = 0.05  # of the seconds offline, in what is minimised


@dataclass(frozen=True)
class Price:
    """Rounds, bytes both ways, bytes dealt, and predicted seconds online and offline."""

    rounds: int
    bytes: int
    dealt_bytes: int
    seconds: float
    offline_seconds: float

    @property
    def cost(self) -> float:
        """Seconds, as they are minimised."""
        return self.seconds + OFFLINE_SHARE * self.offline_seconds

    def minus(self, other: Price) -> Price:
        return Price(
            self.rounds - other.rounds,
            self.bytes - other.bytes,
            self.dealt_bytes - other.dealt_bytes,
            self.seconds - other.seconds,
            self.offline_seconds - other.offline_seconds,
        )


def price_of(program: Program, network: Network) -> Price:
    """Of a share-stage program with its rings assigned."""
    cost = cost_of(program)
    wire = network.seconds(cost.rounds, wire_bytes(program))
    return Price(
        cost.rounds,
        cost.bytes_party0 + cost.bytes_party1,
        cost.dealt_bytes,
        wire + compute_seconds(program, cost),
        offline_seconds(cost, network),
    )
