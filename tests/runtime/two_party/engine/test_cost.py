"""Costs are what generating moves over a channel, with the whole cryptography but for dealt OTs."""

from __future__ import annotations

import pytest

from mpcc.runtime.transport.channel import Counters
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.engine.cost import (
    ELEMENTWISE,
    PERIOD,
    Cost,
    flattened,
    keys_bytes,
    trace,
    trace_of,
)
from mpcc.runtime.two_party.ot.softspoken import extension_bytes
from mpcc.runtime.two_party.schedule import steps_of
from tests.runtime.protocols.harness import seed_pair
from tests.runtime.two_party.engines import (
    EXTENSION_BITS,
    SOFTSPOKEN_BITS,
    Connect,
    both_parties,
    dealt_engine,
    softspoken_engine,
)
from tests.runtime.two_party.sessions import KINDS, Made, large_programs, made

Moved = tuple[list[bytes], Counters]


def generate(m: Made, connect: Connect) -> tuple[Moved, Moved]:
    """Both parties' pieces, and what each moved to make them."""

    def work(party: int, channel: StreamChannel) -> Moved:
        with channel.meter.counting("setup"):
            engine = connect(party, channel)
        pieces = list(map(bytes, m.generation(engine, seed_pair(1)).pieces()))
        return pieces, channel.meter.counters["online"]

    return both_parties(work)


def sent(steps: list[Cost]) -> tuple[int, int]:
    both = [step.sent_in_all for step in steps]
    return sum(one for one, _ in both), sum(other for _, other in both) + keys_bytes(steps)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_engine_makes_and_moves(kind: str) -> None:
    """The parts are those that a dealer derives; bytes and rounds are those predicted."""
    for number in range(4):
        m = made(kind, number)
        (first, counters), (second, _) = generate(m, dealt_engine)
        m.assert_dealt((first, second), seed_pair(1))
        steps = steps_of(m.prepared.operations, 0)
        assert (counters.bytes_sent, counters.bytes_received) == sent(steps)
        assert counters.rounds == sum(step.rounds for step in steps)


def test_with_the_bytes_of_the_extension() -> None:
    [m] = [m for m in large_programs() if m.name == "products"]
    (_, counters), _ = generate(m, softspoken_engine)
    steps = steps_of(m.prepared.operations, EXTENSION_BITS)
    extension = [extension_bytes(sum(step.ots[party] for step in steps), SOFTSPOKEN_BITS) for party in (0, 1)]
    expected = [own + made for own, made in zip(sent(steps), extension, strict=True)]
    assert [counters.bytes_sent, counters.bytes_received] == expected


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_large_operations_are_counted_from_small_ones(kind: str) -> None:
    for number in range(4):
        for operation in made(kind, number).prepared.operations:
            if operation.kind == kind and len({value.type for value in operation.operands}) == 1:
                for count in (4 * PERIOD + 1, 6 * PERIOD - 64):
                    large = flattened(operation, count)
                    assert trace_of(large) == trace(large)
