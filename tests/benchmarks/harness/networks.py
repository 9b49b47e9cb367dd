"""The networks that work is measured over, by name; `relay` makes the shaped ones."""

from __future__ import annotations

from mpcc.compiler.cost.network import Network

LOOPBACK = "loopback"
SHAPED = {name: Network(name, rtt_ms, mbit) for name, rtt_ms, mbit in (("lan", 0.5, 1e3), ("wan", 40.0, 1e2))}
NETWORKS: dict[str, Network | None] = {LOOPBACK: None, **SHAPED}  # None: the parties connect directly
