"""Elementwise products between two parties: exact shares, exact declarations, both parties' views."""

from collections.abc import Sequence

import numpy as np
import pytest

from mpcc.runtime.ring import U64, mask, reduce
from mpcc.runtime.transport.stream import StreamChannel
from mpcc.runtime.two_party.engine.requests import Choose, InnerProduct, Multiply
from mpcc.runtime.two_party.engine.transfers import Transfers
from mpcc.runtime.two_party.ot.transfer import TransferReceiver, TransferSender
from mpcc.runtime.two_party.rlwe import ole
from mpcc.runtime.two_party.rlwe.ole import Elementwise, terms_of
from mpcc.runtime.two_party.rlwe.ole_parameters import slot_parameters
from tests.runtime.two_party.engines import both_parties
from tests.runtime.two_party.ot.ends import DealtReceiver, DealtSender

Products = list[Multiply | InnerProduct]
Pair = tuple[Multiply | InnerProduct, Multiply | InnerProduct]


def requests(sizes: tuple[int, int], ring: int, shape: tuple[int, ...], seed: int = 0) -> Pair:
    """Random numbers, after the extremes of both; of more than one dimension, an inner product."""
    generator = np.random.default_rng(seed)
    kind = Multiply if len(shape) == 1 else InnerProduct
    pair = []
    for party, size in enumerate(sizes):
        own = generator.integers(0, 2**64, size=shape, dtype=np.uint64, endpoint=False) & mask(size)
        largest = [[False, False, True, True], [False, True, False, True]][party][: shape[-1]]
        own[..., : len(largest)] = np.where(largest, mask(size), np.uint64(0))
        pair.append(kind(own, sizes, ring))
    return pair[0], pair[1]


def elementwise(party: int, channel: StreamChannel) -> Elementwise:
    sender, receiver = TransferSender(DealtSender(1 - party)), TransferReceiver(DealtReceiver(party))
    return Elementwise(party, channel, Transfers(party, channel, sender, receiver).answer)


def check(pairs: Sequence[Pair], shares: Sequence[Sequence[U64]]) -> None:
    for (first, second), one, other in zip(pairs, *shares, strict=True):
        products = first.own * second.own
        expected = products.sum(axis=0, dtype=np.uint64) if isinstance(first, InnerProduct) else products
        assert not (one & ~mask(first.ring)).any()
        assert not (other & ~mask(first.ring)).any()
        assert np.array_equal(reduce(one + other, first.ring), reduce(expected, first.ring))


CASES = [
    requests((26, 26), 33, (8200,)),  # more than one ciphertext
    requests((26, 26), 40, (3,)),  # shares it
    requests((8, 8), 16, (70,)),  # the least degree
    requests((1, 31), 32, (70,)),
    requests((31, 1), 32, (70,)),
    requests((12, 12), 33, (5, 70)),
]
WIDE = [requests((44, 44), 44, (70,)), requests((44, 44), 44, (2, 70)), requests((64, 64), 64, (3, 70))]


@pytest.mark.parametrize("pairs", [CASES, WIDE], ids=["narrow", "wide"])
def test_products_and_declared_bytes(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    def work(party: int, channel: StreamChannel) -> tuple[list[U64], list[U64], tuple[int, int], int]:
        end = elementwise(party, channel)
        own: Products = [pair[party] for pair in pairs]
        shapes = [(slot_parameters(each.sizes, terms_of(each)), each.own.shape[-1]) for each in own]
        counters, sent = channel.meter.counters["online"], []
        answer = end._choose

        def choose(asked: list[Choose]) -> list[list[U64]]:
            sent.append(counters.bytes_sent)
            return answer(asked)

        monkeypatch.setattr(end, "_choose", choose)
        declared = end.declared_bytes(shapes)
        first = end.products(own)
        assert sent == [declared[party]]
        again = end.declared_bytes(shapes)
        before = counters.bytes_sent
        second = end.products(own)  # with the keys of the first
        assert sent[1] - before == again[party]
        return first, second, declared, declared[1] - again[1]

    one, other = both_parties(work)
    check(pairs, (one[0], other[0]))
    check(pairs, (one[1], other[1]))
    assert not np.array_equal(one[0][0], one[1][0])  # a fresh mask
    keys = {slot_parameters(first.sizes, terms_of(first)) for first, _ in pairs}
    assert one[3] == sum(parameters.key_bytes for parameters in keys)


def test_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five ciphertexts in five pieces, more than party 1 sends ahead."""
    monkeypatch.setattr(ole, "PIECE_BYTES", 1)
    pairs = [requests((8, 8), 16, (4 * 4096 + 1,))]
    check(pairs, both_parties(lambda party, channel: elementwise(party, channel).products([pairs[0][party]])))


def test_nothing_is_asked_for() -> None:
    def work(party: int, channel: StreamChannel) -> tuple[list[U64], int]:
        end = elementwise(party, channel)
        assert end.products([]) == []
        shares = end.products([Multiply(np.empty(0, dtype=np.uint64), (26, 26), 33)])
        return shares, channel.meter.counters["online"].bytes_sent

    for shares, sent in both_parties(work):
        assert [share.size for share in shares] == [0]
        assert sent == 0


def test_shares_are_uniform() -> None:
    """Of party 0's numbers 0: each party's share alone, by its top three bits."""
    pair = requests((8, 8), 16, (32768,))
    zeros = np.zeros(32768, dtype=np.uint64)
    pair = (Multiply(zeros, (8, 8), 16), pair[1])
    for [share] in both_parties(lambda party, channel: elementwise(party, channel).products([pair[party]])):
        counts = np.bincount((share >> np.uint64(13)).astype(np.int64), minlength=8)
        assert np.sum((counts - 4096) ** 2 / 4096) < 60  # chi-square of 7 degrees: exceeded once in 10^10
