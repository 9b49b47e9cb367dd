"""Both parties' parts of making correlations in one process, every request answered in the clear with random
shares: no cryptography. What `make` of a protocol asks for and returns can be tested alone.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64, mask, reduce, to_ring
from mpcc.runtime.two_party.engine.circuits import completed, elements_of, together
from mpcc.runtime.two_party.engine.requests import (
    BitProducts,
    Choose,
    InnerProduct,
    Making,
    MatrixProduct,
    Multiply,
    Request,
)
from tests.runtime.two_party.parties import in_threads

T = TypeVar("T")
Pair = tuple[Any, Any]


def run_ideal(
    makings: tuple[Sequence[Making], Sequence[Making]], generator: np.random.Generator
) -> tuple[list[Any], list[Any], int]:
    """What party 0's and party 1's generators return, in order, and the number of steps."""
    results: list[list[Any]] = [[None] * len(makings[0]), [None] * len(makings[0])]
    live: dict[int, tuple[Making, Making]] = dict(enumerate(zip(*makings, strict=True)))
    answers: dict[int, tuple[Any, Any]] = dict.fromkeys(live, (None, None))
    steps = 0
    while live:
        answers = {i: _advance(pair, answers[i], i, results, generator) for i, pair in live.items()}
        live = {i: pair for i, pair in live.items() if answers[i] is not None}
        steps += bool(live)
    return results[0], results[1], steps


def _advance(
    pair: tuple[Making, Making], answers: Pair, index: int, results: list[list[Any]], generator: Any
) -> Any:
    asked: list[list[Request] | None] = []
    for party, making in enumerate(pair):
        try:
            asked.append(making.send(answers[party]))
        except StopIteration as end:
            results[party][index] = end.value
            asked.append(None)
    if asked[0] is None or asked[1] is None:
        assert asked == [None, None], "one party ended before the other"
        return None
    given = [answer(one, other, generator) for one, other in zip(*asked, strict=True)]
    return [a for a, _ in given], [b for _, b in given]


def answer(one: Request, other: Request, generator: np.random.Generator) -> Pair:
    """Both parties' answers to party 0's request and party 1's."""
    assert type(one) is type(other)
    if isinstance(one, BitProducts) and isinstance(other, BitProducts):
        _check_words(one.own, other.own, shape=one.own.shape)
        return _shares(one.own & other.own, 64, True, generator)
    if isinstance(one, Choose) and isinstance(other, Choose):
        return _choose(one, other, generator)
    if isinstance(one, InnerProduct) and isinstance(other, InnerProduct):
        assert (one.sizes, one.ring) == (other.sizes, other.ring)
        _check_words(one.own, other.own, shape=one.own.shape)
        for product, bits in zip((one, other), one.sizes, strict=True):
            assert not (product.own & ~mask(bits)).any()
        total = (one.own * other.own).sum(axis=0, dtype=np.uint64)
        return _shares(reduce(total, one.ring), one.ring, False, generator)
    if isinstance(one, Multiply) and isinstance(other, Multiply):
        assert (one.sizes, one.ring) == (other.sizes, other.ring)
        _check_words(one.own, other.own, shape=one.own.shape)
        for request, bits in zip((one, other), one.sizes, strict=True):
            assert not (request.own & ~mask(bits)).any()
        return _shares(reduce(one.own * other.own, one.ring), one.ring, False, generator)
    assert isinstance(one, MatrixProduct)
    assert isinstance(other, MatrixProduct)
    assert (one.shape, one.right_bits, one.ring) == (other.shape, other.right_bits, other.ring)
    batch, m, k, n = one.shape
    right = one.own
    assert right.shape == (batch, k, n)
    assert other.own.shape == (batch, m, k)
    _check_words(other.own, shape=other.own.shape)
    assert not (other.own & ~mask(one.ring)).any()
    if right.dtype == np.uint64:
        assert one.right_bits == one.ring
        assert not (right & ~mask(one.ring)).any()
    else:
        assert right.dtype in (np.int32, np.int64)
        assert np.abs(right.astype(object)).max(initial=0) <= 1 << one.right_bits
        right = to_ring(right.astype(np.int64))
    return _shares(
        kernels.matmul(other.own, np.ascontiguousarray(right), one.ring), one.ring, False, generator
    )


def _choose(one: Choose, other: Choose, generator: np.random.Generator) -> Pair:
    stated = [(r.chooser, r.count, r.widths, r.boolean, r.into is None) for r in (one, other)]
    assert stated[0] == stated[1]
    chooser, holder = (one, other) if one.chooser == 0 else (other, one)
    assert chooser.bits is not None
    assert chooser.values is None
    assert holder.values is not None
    assert holder.bits is None
    assert chooser.negated is None
    _check_words(chooser.bits, shape=(-(-one.count // 64),))
    columns = [values.astype(np.uint64).reshape(-1) for values in holder.values]
    _check_words(*columns, shape=(one.count,))
    bits = elements_of(chooser.bits, one.count)
    if holder.negated is not None:
        bits *= np.uint64(1) - (elements_of(holder.negated, one.count) << np.uint64(1))
    pairs = []
    for values, width in zip(columns, one.widths, strict=True):
        assert 1 <= width <= 64
        chosen = reduce(values * bits, width)
        pairs.append(_shares(chosen, width, one.boolean, generator))
    return _added(one, [a for a, _ in pairs]), _added(other, [b for _, b in pairs])


def _added(request: Choose, shares: list[U64]) -> list[U64]:
    """Shares, or what they are added to."""
    if request.into is None:
        return shares
    for column, share, width in zip(request.into, shares, request.widths, strict=True):
        _check_words(column, shape=share.shape)
        column[:] = reduce(column ^ share if request.boolean else column + share, width)
    return list(request.into)


def _check_words(*arrays: U64, shape: tuple[int, ...]) -> None:
    for array in arrays:
        assert array.dtype == np.uint64
        assert array.shape == shape


def _shares(value: U64, bits: int, boolean: bool, generator: np.random.Generator) -> tuple[U64, U64]:
    drawn = generator.integers(0, 2**64, size=value.shape, dtype=np.uint64, endpoint=False)
    first = reduce(drawn, bits)
    return first, value ^ first if boolean else reduce(value - first, bits)


def sizes_of(request: Request) -> tuple[Any, ...]:
    """What is public of a request."""
    if isinstance(request, Choose):
        return request.chooser, request.count, request.widths, request.boolean
    stated = {name: value for name, value in vars(request).items() if name != "own"}
    shape = () if isinstance(request, MatrixProduct) else request.own.shape
    return type(request).__name__, shape, *stated.values()


class IdealRunner:
    """One party's end of a pair that answers requests in the clear: the parties run in threads."""

    extension_bits = 0.0

    def __init__(
        self, index: int, outgoing: queue.Queue[Any], incoming: queue.Queue[Any], seed: int | None
    ) -> None:
        self.index = index
        self._outgoing, self._incoming = outgoing, incoming
        self._generator = np.random.default_rng(seed)
        self.sizes: list[tuple[Any, ...]] = []
        """What was asked for, step by step, but for the numbers."""

    def run(self, makings: Sequence[Making], ots: tuple[int, int]) -> list[Any]:
        results: list[Any] = completed(together(makings), self._answer)
        return results

    def _answer(self, requests: list[Request]) -> list[Any]:
        self.sizes += map(sizes_of, requests)
        return self._answers(requests)

    def fail(self) -> None:
        self._outgoing.put(None)

    def _received(self) -> list[Any]:
        received: list[Any] | None = self._incoming.get(timeout=60)
        assert received is not None, "the other party failed"
        return received

    def _answers(self, requests: list[Request]) -> list[Any]:
        if self.index == 1:
            self._outgoing.put(requests)
            return self._received()
        pairs = zip(requests, self._received(), strict=True)
        given = [answer(one, other, self._generator) for one, other in pairs]
        self._outgoing.put([b for _, b in given])
        return [a for a, _ in given]


def ideal_runners(work: Callable[[IdealRunner], T], seed: int | None = None) -> tuple[T, T]:
    """Runs a function of each party's runner, in threads; answers of one `seed` are the same."""
    one, other = queue.Queue[Any](), queue.Queue[Any]()
    ends = IdealRunner(0, one, other, seed), IdealRunner(1, other, one, seed)
    return in_threads(lambda party: work(ends[party]), lambda party: ends[party].fail())
