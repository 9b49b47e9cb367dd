"""What a lowered part of a program costs, from the protocols' declarations."""

from __future__ import annotations

from dataclasses import dataclass

from mpcc.compiler.cost.model import cost_of
from mpcc.compiler.cost.network import Network
from mpcc.compiler.cost.report import compute_seconds, offline_seconds, wire_bytes
from mpcc.ir.program import Program

OFFLINE_SHARE = 0.05  # of the seconds offline, in what is minimised, where a dealer spends them


@dataclass(frozen=True)
class Price:
    """Rounds, bytes both ways, bytes dealt, and predicted seconds online and offline."""

    rounds: int
    bytes: int
    offline_bytes: int
    seconds: float
    offline_seconds: float
    offline_share: float = OFFLINE_SHARE

    @property
    def cost(self) -> float:
        """Seconds, as they are minimised."""
        return self.seconds + self.offline_share * self.offline_seconds

    def minus(self, other: Price) -> Price:
        return Price(
            self.rounds - other.rounds,
            self.bytes - other.bytes,
            self.offline_bytes - other.offline_bytes,
            self.seconds - other.seconds,
            self.offline_seconds - other.offline_seconds,
            self.offline_share,
        )


def price_of(program: Program, network: Network) -> Price:
    """Of a share-stage program with its rings assigned."""
    cost = cost_of(program)
    wire = network.seconds(cost.rounds, wire_bytes(program))
    return Price(
        cost.rounds,
        cost.bytes_party0 + cost.bytes_party1,
        cost.offline_bytes,
        wire + compute_seconds(program, cost),
        offline_seconds(cost, network),
        1.0 if cost.made else OFFLINE_SHARE,  # two parties pay for all of it themselves
    )
