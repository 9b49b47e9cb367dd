"""The relay that makes a network of the benchmarks: bytes come in order, and never sooner than they may.

How much later they come depends on the machine's load: `measure_precision` measures it in every call of the
harness, and docs/benchmarks.md states it.
"""

from __future__ import annotations

import socket

import pytest

from mpcc.compiler.cost.network import Network
from tests.benchmarks.harness.precision import connected, exact_seconds, round_trips, swap
from tests.benchmarks.harness.relay import Link


@pytest.mark.parametrize("milliseconds", [0.5, 20])
def test_relay_delays_by_a_round_trip(milliseconds: float) -> None:
    assert min(round_trips(Network("test", milliseconds, 1000), 20)) >= milliseconds / 1e3


def test_relay_limits_the_rate_of_both_directions() -> None:
    network, size = Network("test", 4, 400), 5_000_000
    assert swap(network, size) >= exact_seconds(network, size)


def test_relay_passes_on_the_end_and_what_came_before_it() -> None:
    with connected(Network("test", 10, 100)) as (client, server):
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        heard = b"".join(iter(lambda: server.recv(100), b""))
        server.sendall(b"goodbye")
        assert (heard, client.recv(100)) == (b"last words", b"goodbye")


def test_bytes_queue_behind_those_under_way() -> None:
    link = Link(delay=0.1, rate=1000)
    assert [link.arrival(now, size) for now, size in ((0, 500), (0, 500), (0.2, 100), (5, 1000))] == [
        pytest.approx(at) for at in (0.6, 1.1, 1.2, 6.1)
    ]


def test_directions_do_not_share_the_rate() -> None:
    links = [Link(delay=0.1, rate=1000), Link(delay=0.1, rate=1000)]
    assert [link.arrival(0, 500) for link in links] == [pytest.approx(0.6)] * 2
