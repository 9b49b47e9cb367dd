"""The engine against the plain meaning of its requests, with real transfers over a channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpcc.runtime.ring import U64, reduce
from mpcc.runtime.transport.channel import Counters
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.engine import steps, transfers
from mpcc.runtime.two_party.engine.circuits import elements_of
from mpcc.runtime.two_party.engine.engine import Engine
from mpcc.runtime.two_party.engine.requests import (
    BitProducts,
    Choose,
    InnerProduct,
    Making,
    Multiply,
    Request,
)
from tests.runtime.two_party.engines import both_parties, dealt_engine, softspoken_engine

GENERATOR = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def by_transfers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "encryption_is_cheaper", lambda *sizes: False)


def uniform(*shape: int, bits: int = 64) -> U64:
    return reduce(GENERATOR.integers(0, 2**64, size=shape, dtype=np.uint64, endpoint=False), bits)


def answers(
    ask: Callable[[int], list[list[Request]]],
    ots: tuple[int, int] = (0, 0),
    connect: Callable[[int, StreamChannel], Engine] = dealt_engine,
) -> tuple[list[Any], list[Any], Counters]:
    """Both parties' answers to the requests of several steps, and what party 0 moved after the set-up."""

    def asking(party: int) -> Making:
        given = []
        for requests in ask(party):
            given += yield requests
        return given

    def work(party: int, channel: StreamChannel) -> tuple[list[Any], Counters]:
        with channel.meter.counting("setup"):
            engine = connect(party, channel)
        [given] = engine.run([asking(party)], ots)
        return given, channel.meter.counters["online"]

    (first, counters), (second, _) = both_parties(work)
    return first, second, counters


def choose(
    party: int, chooser: int, bits: U64, columns: list[U64], widths: tuple[int, ...], xor: bool
) -> Choose:
    chooses = party == chooser
    values = None if chooses else tuple(columns)
    return Choose(chooser, columns[0].size, widths, bits if chooses else None, values, xor)


CHOICES = [  # chooser, count, widths, by xor
    (0, 130, (1,), True),
    (1, 64, (7, 64), False),
    (0, 1, (33, 12, 1), False),
    (1, 1000, (64, 63, 1), True),
    (0, 0, (5, 5), False),
]


@pytest.mark.parametrize("limit", [64, 256, 1 << 20])
def test_products_of_bits(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them in one step, whole and in batches."""
    monkeypatch.setattr(transfers, "BATCH_OTS", limit)
    words = [uniform(2, 3), uniform(2, 0), uniform(2, 2)]
    chosen = [(uniform(-(-n // 64)), [uniform(n, bits=w) for w in widths]) for _, n, widths, _ in CHOICES]

    def ask(party: int) -> list[list[Request]]:
        requests: list[Request] = [BitProducts(w[party]) for w in words]
        for (chooser, _, widths, xor), (bits, columns) in zip(CHOICES, chosen, strict=True):
            requests.append(choose(party, chooser, bits, columns, widths, xor))
        return [requests]

    first, second, _ = answers(ask)
    for (x, y), a, b in zip(words, first, second, strict=False):
        assert np.array_equal(a ^ b, x & y)
    outcomes = zip(first[len(words) :], second[len(words) :], strict=True)
    for (_, n, widths, xor), (bits, columns), (a, b) in zip(CHOICES, chosen, outcomes, strict=True):
        for width, column, one, other in zip(widths, columns, a, b, strict=True):
            assert one.shape == (n,)
            combined = one ^ other if xor else reduce(one + other, width)
            assert np.array_equal(combined, column * elements_of(bits, n))


@pytest.mark.parametrize("piece", [64, 1 << 16])
def test_products_that_are_added_up(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of values with signs, one of them repeated, over two requests into the same arrays."""
    monkeypatch.setattr(transfers, "PIECE_OTS", piece)
    count, widths = 300, (20, 64)
    bits, negated = uniform(5), uniform(5)
    values = uniform(count), np.broadcast_to(uniform(1, 100), (3, 100))
    before = uniform(2, 2, count)
    into = before.copy()

    def ask(party: int) -> list[list[Request]]:
        own = tuple(into[party])
        if party == 1:
            return [[Choose(1, count, widths, bits, None, into=own)] * 2]
        return [[Choose(1, count, widths, None, values, negated=negated, into=own)] * 2]

    first, _, _ = answers(ask)
    assert all(np.shares_memory(one, into[0]) for shares in first for one in shares)
    chosen, signs = (elements_of(plane, count) for plane in (bits, negated))
    for column, (value, width) in enumerate(zip(values, widths, strict=True)):
        product = value.reshape(-1) * chosen * (np.uint64(1) - (signs << np.uint64(1)))
        total = before[0, column] + before[1, column] + np.uint64(2) * product
        assert np.array_equal(reduce(into[0, column] + into[1, column], width), reduce(total, width))


@pytest.mark.parametrize("sizes", [(5, 40), (40, 5), (30, 30), (64, 64), (1, 1)])
def test_products_of_numbers(sizes: tuple[int, int]) -> None:
    asked = [(count, ring) for count in (0, 1, 200) for ring in (1, 37, 64)]
    factors = [(uniform(3, n, bits=sizes[0]), uniform(3, n, bits=sizes[1])) for n, _ in asked]

    def ask(party: int) -> list[list[Request]]:
        return [
            [Multiply(own[party][0], sizes, ring), InnerProduct(own[party], sizes, ring)]
            for own, (_, ring) in zip(factors, asked, strict=True)
        ]

    first, second, _ = answers(ask)
    for i, ((x, y), (_, ring)) in enumerate(zip(factors, asked, strict=True)):
        for place, expected in ((2 * i, (x * y)[0]), (2 * i + 1, (x * y).sum(axis=0))):
            assert np.array_equal(reduce(first[place] + second[place], ring), reduce(expected, ring))


def test_shares_are_random() -> None:
    """Party 0's shares of the same products differ between two connections and are not zero."""
    words = uniform(2, 40)

    def ask(party: int) -> list[list[Request]]:
        return [[BitProducts(words[party])]]

    one, other = (answers(ask, connect=softspoken_engine)[0][0] for _ in range(2))
    assert (one != other).all()
    assert one.all()


def test_a_step_is_two_rounds_and_one_for_each_extension() -> None:
    words = uniform(2, 32)
    steps = 4

    def ask(party: int) -> list[list[Request]]:
        return [[BitProducts(words[party])]] * steps

    ots = 64 * 32 // 2 * steps
    assert answers(ask, connect=softspoken_engine)[2].rounds == 4 * steps
    assert answers(ask, (ots, ots), softspoken_engine)[2].rounds == 2 * steps + 2


def test_bytes_do_not_depend_on_values_or_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = set()
    for limit in (64, 128, 1 << 20):
        monkeypatch.setattr(transfers, "BATCH_OTS", limit)
        own = uniform(2, 300, bits=20)
        counters = answers(lambda party: [[Multiply(own[party], (20, 20), 31)]])[2]  # noqa: B023
        moved.add((counters.bytes_sent, counters.bytes_received))
    assert len(moved) == 1
