"""What this machine could do at best: its kernels' peak, its loopback, and what follows in seconds.

    seconds >= max(multiplications / peak, bytes of the longer direction / rate + rounds * round trip / 2)

A matrix product of shares is counted once, though both parties share the cores: this is a lower bound.
"""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import threading
import time
from dataclasses import dataclass
from functools import partial

from mpcc.compiler.cost.network import BITS_PER_BYTE, Network
from mpcc.runtime import kernels
from tests.benchmarks.harness.networks import LOOPBACK
from tests.benchmarks.harness.precision import Precision, measure_precision
from tests.benchmarks.kernels import best_seconds, ring

RING_BITS = 52
SHAPES = ((128, 768, 3072), (512, 512, 512))
SENT_BYTES, TIMES = 1 << 28, 3
PINGS = 2000


@dataclass(frozen=True)
class Limits:
    """Ring multiplications a second on all cores; between two processes on loopback, bytes a second each way
    at the same time and seconds of a round trip; and how well the relay keeps to its networks.
    """

    multiplications: float
    rate: float
    round_trip: float
    relay: Precision

    @property
    def loopback(self) -> Network:
        return Network(LOOPBACK, 1e3 * self.round_trip, BITS_PER_BYTE * self.rate / 1e6)


@dataclass(frozen=True)
class Roofline:
    """Seconds: of multiplying, and on the wire."""

    compute: float
    wire: float

    @property
    def seconds(self) -> float:
        return max(self.compute, self.wire)

    @property
    def bound(self) -> str:
        return "wire" if self.wire > self.compute else "compute"


def roofline(limits: Limits, network: Network, multiplications: int, rounds: int, sent: int) -> Roofline:
    """For work with so many multiplications, rounds, and bytes in its longer direction."""
    return Roofline(multiplications / limits.multiplications, network.seconds(rounds, sent))


def measure_limits() -> Limits:
    """Takes some seconds. Limits are the best of several runs."""
    rate, round_trip = _loopback()
    return Limits(max(map(_multiplications, SHAPES)), rate, round_trip, measure_precision())


def _multiplications(shape: tuple[int, int, int]) -> float:
    m, k, n = shape
    a, b = ring(RING_BITS, 1, m, k), ring(RING_BITS, 1, k, n)
    return m * k * n / best_seconds(partial(kernels.matmul, a, b, RING_BITS))


def _loopback() -> tuple[float, float]:
    """Bytes a second each way, and the median round trip of a byte."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        other = multiprocessing.get_context("spawn").Process(target=_answer, args=server.getsockname())
        other.start()
        connection, _ = server.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            trips = []
            for _ in range(PINGS):
                started = time.perf_counter()
                connection.sendall(b"x")
                connection.recv(1)
                trips.append(time.perf_counter() - started)
            seconds = min(_swap(connection) for _ in range(TIMES))
        other.join()
    return SENT_BYTES / seconds, statistics.median(trips)


def _answer(host: str, port: int) -> None:
    with socket.create_connection((host, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(PINGS):
            connection.sendall(connection.recv(1))
        for _ in range(TIMES):
            _swap(connection)


def _swap(connection: socket.socket) -> float:
    """Seconds to send and receive SENT_BYTES at the same time."""
    started = time.perf_counter()
    data = bytes(1 << 20)

    def send() -> None:
        for _ in range(SENT_BYTES // len(data)):
            connection.sendall(data)

    sender = threading.Thread(target=send)
    sender.start()
    buffer, left = bytearray(1 << 20), SENT_BYTES
    while left:
        left -= connection.recv_into(buffer, min(left, len(buffer)))
    sender.join()
    return time.perf_counter() - started
