"""Networks that a run's time is predicted for."""

from __future__ import annotations

from dataclasses import dataclass

BITS_PER_BYTE = 8


@dataclass(frozen=True)
class Network:
    """Round-trip time in milliseconds and bandwidth in Mbit/s, each way."""

    name: str
    rtt_ms: float
    mbit: float

    def seconds(self, rounds: int, wire_bytes: int) -> float:
        """Time on the wire: in a round both parties send at once, so it takes half a round trip.

        `wire_bytes` sums the longer message of each round.
        """
        return rounds * self.rtt_ms / 2e3 + wire_bytes * BITS_PER_BYTE / (self.mbit * 1e6)

    def __str__(self) -> str:
        return f"{self.name} ({self.rtt_ms:g} ms round trip, {self.mbit:g} Mbit/s)"


# The settings that BumbleBee (NDSS 2025) and NEXUS (NDSS 2025, wide area) measure in.
NETWORKS = {"lan": Network("lan", 0.5, 1000.0), "wan": Network("wan", 80.0, 100.0)}


def parse_network(text: str) -> Network:
    """`lan`, `wan`, or `RTT_MS,MBIT`. Raises ValueError that says what is allowed."""
    if text in NETWORKS:
        return NETWORKS[text]
    try:
        rtt, mbit = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is not lan, wan or RTT_MS,MBIT such as 20,100") from None
    if not (0 <= rtt < 1e6 and 0 < mbit < 1e9):
        raise ValueError(f"{text!r}: the round trip is in 0..10^6 ms and the bandwidth above 0 Mbit/s")
    return Network("custom", rtt, mbit)
