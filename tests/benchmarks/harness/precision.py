"""How well the relay keeps to the networks that it makes, measured with the load there is."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mpcc.compiler.cost.network import BITS_PER_BYTE, Network
from tests.benchmarks.harness.networks import SHAPED
from tests.benchmarks.harness.relay import relay

PINGS, SWAPS, SWAP_SECONDS = 20, 3, 0.5


@dataclass(frozen=True)
class Precision:
    """Over all shaped networks the largest excess: of a median round trip, in seconds, and of the time that
    bytes take, both ways at once, as a fraction.
    """

    round_trip: float
    rate: float


def measure_precision() -> Precision:
    """Takes some seconds."""
    trips, rates = [], []
    for network in SHAPED.values():
        trips.append(statistics.median(round_trips(network, PINGS)) - network.rtt_ms / 1e3)
        size = int(SWAP_SECONDS * network.mbit * 1e6 / BITS_PER_BYTE)
        taken = statistics.median(swap(network, size) for _ in range(SWAPS))
        rates.append(taken / exact_seconds(network, size) - 1)
    return Precision(max(trips), max(rates))


def exact_seconds(network: Network, size: int) -> float:
    """For bytes in one direction."""
    return network.rtt_ms / 2e3 + size * BITS_PER_BYTE / (network.mbit * 1e6)


@contextmanager
def connected(network: Network) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends with a network between them."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        relay(network, {0: server.getsockname()[1]}) as ports,
        socket.create_connection(("127.0.0.1", ports[0])) as client,
        server.accept()[0] as near,
    ):
        for end in (client, near):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client, near


def round_trips(network: Network, count: int) -> list[float]:
    """Seconds until a byte is answered with a byte, each time."""

    def answer(end: socket.socket) -> None:
        for _ in range(count):
            end.sendall(end.recv(1))

    trips = []
    with connected(network) as (client, server):
        other = threading.Thread(target=answer, args=(server,))
        other.start()
        for _ in range(count):
            started = time.perf_counter()
            client.sendall(b"x")
            client.recv(1)
            trips.append(time.perf_counter() - started)
        other.join()
    return trips


def swap(network: Network, size: int) -> float:
    """Seconds until both ends have the other one's bytes."""

    def receive(end: socket.socket) -> None:
        left = size
        while left:
            left -= len(end.recv(min(left, 1 << 20)))

    with connected(network) as ends:
        threads = [threading.Thread(target=end.sendall, args=(bytes(size),)) for end in ends]
        threads += [threading.Thread(target=receive, args=(end,)) for end in ends]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - started
