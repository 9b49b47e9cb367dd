"""Transfers of bits and values and lookups, from dealt correlated OTs and from SoftSpoken."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime import kernels
from mpcc.runtime.ring import U64, reduce
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.transport.in_process import channel_pair
from mpcc.runtime.two_party.ot import one_of_n
from mpcc.runtime.two_party.ot.softspoken import SoftSpokenReceiver, SoftSpokenSender
from mpcc.runtime.two_party.ot.transfer import (
    Asked,
    TransferReceiver,
    TransferSender,
    bits_bytes,
    choose_bytes,
    corrections_bytes,
    ots,
)
from tests.runtime.two_party.ot.ends import DealtReceiver, DealtSender, together, unpacked

GENERATOR = np.random.default_rng(7)
SIGMAS = 7.0  # two-sided false alarm 2.6e-12


def draw(bits: int, *shape: int) -> U64:
    return GENERATOR.integers(0, (1 << bits) - 1, shape, dtype=np.uint64, endpoint=True)


def plane(count: int, kind: str = "random") -> U64:
    if kind == "random":
        return kernels.planes_pack(draw(1, count).astype(np.uint8))
    return kernels.planes_pack(np.full(count, int(kind == "ones"), dtype=np.uint8))


class Ends:
    """A sender and a receiver whose messages are handed over here; `sent` counts the bytes of both."""

    def __init__(self, sender: TransferSender, receiver: TransferReceiver) -> None:
        self.sender, self.receiver = sender, receiver
        self.sent = [0, 0]

    @classmethod
    def dealt(cls, count: int, seed: int = 5) -> Ends:
        """With `count` OTs."""
        ends = cls(TransferSender(DealtSender(seed)), TransferReceiver(DealtReceiver(seed)))
        one, other = channel_pair()
        ends.sender.reserve(one, count)
        ends.receiver.reserve(other, count)
        return ends

    def choose(self, bits: U64, values: U64, widths: Sequence[int], boolean: bool = False) -> tuple[U64, U64]:
        asked = self.receiver.ask(bits, values.shape[1])
        mine, theirs = np.zeros_like(values), np.zeros_like(values)
        message = self.sender.choose(asked.corrections, list(values), widths, list(mine), boolean)
        self.sent = [self.sent[0] + message.nbytes, self.sent[1] + asked.corrections.nbytes]
        asked.choose(message, widths, list(theirs), boolean)
        return mine, theirs

    def bit_products(self, bits: U64, own: U64) -> tuple[U64, U64]:
        asked = self.receiver.ask(bits, 64 * len(bits))
        message, share = self.sender.bit_products(asked.corrections, own)
        self.sent = [self.sent[0] + message.nbytes, self.sent[1] + asked.corrections.nbytes]
        return share, asked.bit_products(message)

    def lookup(
        self, index: U64, tables: U64, bits: int, width: int, boolean: bool = False
    ) -> tuple[U64, U64]:
        asked = one_of_n.ask(self.receiver, index, bits)
        message, share = one_of_n.answer(self.sender, asked.corrections, tables, width, boolean)
        self.sent = [self.sent[0] + message.nbytes, self.sent[1] + asked.corrections.nbytes]
        return share, asked.entries(message, width, boolean)


@pytest.mark.parametrize("boolean", [False, True])
@pytest.mark.parametrize("kind", ["random", "zeros", "ones"])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 1000])
def test_choose(count: int, kind: str, boolean: bool) -> None:
    ends, bits, widths = Ends.dealt(ots(count)), plane(count, kind), (1, 64, 20)
    values = np.stack([draw(width, count) for width in widths])
    mine, theirs = ends.choose(bits, values, widths, boolean)
    chosen = unpacked(bits, count).astype(np.uint64)
    for column, width in enumerate(widths):
        both = mine[column] ^ theirs[column] if boolean else reduce(mine[column] + theirs[column], width)
        assert np.array_equal(both, chosen * values[column])
    assert ends.sent == [choose_bytes(count, widths), corrections_bytes(count)]


def test_one_hundred_thousand_of_each() -> None:
    count = 100_000
    ends, bits, own = Ends.dealt(2 * ots(count)), plane(count), plane(count)
    values = draw(40, 1, count)
    mine, theirs = ends.choose(bits, values, (40,))
    assert np.array_equal(reduce(mine + theirs, 40)[0], unpacked(bits, count).astype(np.uint64) * values[0])
    share, other = ends.bit_products(bits, own)
    assert np.array_equal(share ^ other, bits & own)
    words = len(bits)
    assert ends.sent == [choose_bytes(count, (40,)) + bits_bytes(words), 2 * corrections_bytes(count)]


@pytest.mark.parametrize("words", [1, 2, 100])
def test_bit_products(words: int) -> None:
    for bits, own in ((draw(64, words), draw(64, words)), (plane(64 * words, "ones"), draw(64, words))):
        share, other = Ends.dealt(64 * words).bit_products(bits, own)
        assert np.array_equal(share ^ other, bits & own)


@pytest.mark.parametrize("boolean", [False, True])
@pytest.mark.parametrize(("bits", "width"), [(1, 30), (2, 1), (4, 64), (8, 5)])
@pytest.mark.parametrize("count", [1, 65, 513])
def test_lookups(count: int, bits: int, width: int, boolean: bool) -> None:
    ends = Ends.dealt(one_of_n.lookup_ots(count, bits))
    index, tables = draw(bits, count), draw(width, 1 << bits, count)
    mine, theirs = ends.lookup(index, tables, bits, width, boolean)
    both = mine ^ theirs if boolean else reduce(mine + theirs, width)
    assert np.array_equal(both, tables[index.astype(np.int64), np.arange(count)])
    assert ends.sent == [
        one_of_n.lookup_bytes(count, bits, width),
        one_of_n.lookup_corrections_bytes(count, bits),
    ]


def recorded(monkeypatch: pytest.MonkeyPatch, name: str, place: int) -> list[tuple[int, int]]:
    """Of each call of a kernel: the tweak, which is argument number `place`, and its OTs."""
    calls: list[tuple[int, int]] = []
    kernel: Callable[..., Any] = getattr(kernels, name)

    def call(*arguments: Any) -> Any:
        pads, tweak = arguments[0], arguments[place]
        count = (pads.shape[0] + 1) * -(-pads.shape[1] // 512) * 512 if pads.ndim == 3 else len(pads)
        calls.append((tweak, count))
        return kernel(*arguments)

    monkeypatch.setattr(kernels, name, call)
    return calls


def test_no_tweak_and_no_transfer_is_used_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    sends = [recorded(monkeypatch, "transfer_send", 5), recorded(monkeypatch, "transfer_send_bits", 4)]
    sends.append(recorded(monkeypatch, "lookup_send", 5))
    receives = [recorded(monkeypatch, "transfer_receive", 4)]
    receives += [
        recorded(monkeypatch, "transfer_receive_bits", 3),
        recorded(monkeypatch, "lookup_receive", 4),
    ]
    ends = Ends.dealt(20_000)
    taken: list[U64] = []
    take = ends.sender.take

    def recording(count: int) -> U64:
        taken.append(take(count))
        return taken[-1]

    monkeypatch.setattr(ends.sender, "take", recording)
    for count in (1, 511, 512, 513, 70):
        ends.choose(plane(count), draw(9, 1, count), (9,))
        ends.bit_products(draw(64, count // 64 + 1), draw(64, count // 64 + 1))
        ends.lookup(draw(3, count), draw(9, 8, count), 3, 9)
    for kind in (sends, receives):
        spans = sorted(span for calls in kind for span in calls)
        assert len(spans) == 15
        assert all(first + count <= second for (first, count), (second, _) in pairwise(spans))
    used = np.concatenate(taken)
    assert len(np.unique(used, axis=0)) == len(used)
    assert [sorted(calls) for calls in sends] == [sorted(calls) for calls in receives]


def test_reserving_takes_what_is_missing() -> None:
    sender = DealtSender(9)
    transfers = TransferSender(sender)
    one, _ = channel_pair()
    transfers.reserve(one, 100)
    transfers.reserve(one, 128)
    transfers.take(64)
    transfers.reserve(one, 200)
    assert sender.asked == [128, 192]


def test_each_partys_share_and_message_are_uniform() -> None:
    """Of fixed values and bits; bit by bit, false alarms below 1e-9 in all."""
    count = 100_000
    for bits_kind in ("zeros", "ones"):
        ends = Ends.dealt(one_of_n.lookup_ots(count, 2) + 2 * ots(count), seed=11)
        bits, values = plane(count, bits_kind), np.full((1, count), 12345, dtype=np.uint64)
        parts = list(ends.choose(bits, values, (20,)))
        asked = ends.receiver.ask(bits, count)
        message = ends.sender.choose(asked.corrections, list(values), (20,), [np.empty_like(values[0])])
        parts.append(kernels.unpack(message, count, 20)[None])
        index = np.full(count, 2, dtype=np.uint64)
        tables = np.full((4, count), 999, dtype=np.uint64)
        parts += [part[None] for part in ends.lookup(index, tables, 2, 20)]
        for part in parts:
            ones = (part[0][:, None] >> np.arange(20, dtype=np.uint64) & np.uint64(1)).sum(axis=0)
            assert np.abs(ones.astype(np.int64) - count / 2).max() < SIGMAS * np.sqrt(count) / 2


def batch(channel: Channel, sender: TransferSender, receiver: TransferReceiver, party: int) -> list[Any]:
    """Two requests of each direction: extensions, one tick of corrections, one of messages."""
    count, widths = 1000, (13, 40)
    for end in (sender, receiver) if party == 0 else (receiver, sender):
        end.reserve(channel, 2 * ots(count))
    bits, values = plane(count), draw(13, 2, count)
    own = plane(count)
    asked: list[Asked] = [receiver.ask(bits, count), receiver.ask(bits, 64 * len(bits))]
    length = 2 * corrections_bytes(count)
    theirs = channel.exchange(np.concatenate([one.corrections for one in asked]), length)
    corrections = np.frombuffer(theirs, dtype=np.uint64).reshape(2, -1)
    shares, received = np.zeros_like(values), np.zeros_like(values)
    message = sender.choose(corrections[0], list(values), widths, list(shares))
    plane_message, share = sender.bit_products(corrections[1], own)
    first, second = choose_bytes(count, widths), bits_bytes(len(bits))
    got = bytes(channel.exchange(message.tobytes() + plane_message.tobytes(), first + second))
    asked[0].choose(np.frombuffer(got[:first], dtype=np.uint8), widths, list(received))
    other = asked[1].bit_products(np.frombuffer(got[first:], dtype=np.uint64))
    return [bits, values, own, shares, share, received, other]


def test_both_directions_over_softspoken() -> None:
    one, other = channel_pair()

    def party(index: int, channel: Channel) -> list[Any]:
        if index == 0:
            sender, receiver = SoftSpokenSender(channel), SoftSpokenReceiver(channel)
        else:
            receiver, sender = SoftSpokenReceiver(channel), SoftSpokenSender(channel)
        return batch(channel, TransferSender(sender), TransferReceiver(receiver), index)

    results = together(lambda: party(0, one), lambda: party(1, other))
    for chooser in (0, 1):
        bits, _, _, _, _, received, products = results[chooser]
        _, values, own, shares, share, _, _ = results[1 - chooser]
        chosen = unpacked(bits, 1000).astype(np.uint64)
        for column, width in enumerate((13, 40)):
            both = reduce(shares[column] + received[column], width)
            assert np.array_equal(both, chosen * values[column])
        assert np.array_equal(share ^ products, bits & own)


def test_the_extension_of_a_silent_party_ends() -> None:
    one, other = channel_pair()
    sender = TransferSender(together(lambda: SoftSpokenSender(one), lambda: SoftSpokenReceiver(other))[0])
    one.limit(0.2, math.inf)
    with pytest.raises(MpccError) as caught:
        sender.reserve(one, 64)
    assert caught.value.code == "MPC-R005"
