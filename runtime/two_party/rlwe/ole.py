"""Elementwise products and sums of products of the parties' private numbers, by slots of RLWE ciphertexts.

Shares modulo t come out of the ciphertexts: x_0 + x_1 is the sum, or the sum + t. The sum lies in the lower
half of [0, t), so that there is no wrap exactly where both shares lie there, too: one product of private
bits (as in truncation with a known top bit: Huang, Lu, Hong, Ding, "Cheetah", USENIX Security 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64, constant, reduce
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.engine.circuits import multiply_bits, together
from mpcc.runtime.two_party.engine.requests import Choose, InnerProduct, Multiply
from mpcc.runtime.two_party.rlwe.ole_parameters import SlotParameters, slot_parameters, value_range
from mpcc.runtime.two_party.rlwe.ole_scheme import SlotEncryptor, SlotEvaluator

PIECE_BYTES = 1 << 23  # of the ciphertexts that party 0 holds at a time, about
AHEAD = 2  # pieces that party 1 sends before it waits for the first reply


@dataclass(eq=False)
class _Group:
    """Requests with the same parameters, in one run of slots: `own` uint64[terms, n]."""

    parameters: SlotParameters
    own: U64
    shares: U64  # [n], filled piece by piece
    lower: U64  # [n], whether the share modulo t is at most (t-1)/2

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Ciphertexts from .. to of each piece."""
        parameters = self.parameters
        size = 8 * parameters.degree * len(parameters.moduli) * (parameters.terms + 1)
        step = max(1, PIECE_BYTES // size)
        total = parameters.ciphertexts(self.own.shape[1])
        return ((start, min(total, start + step)) for start in range(0, total, step))

    def slots(self, party: int, start: int, stop: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """This party's numbers less 2^(size - 1) in ciphertexts from .. to: int64[C, terms, N]; the slots
        left over are zero.
        """
        parameters = self.parameters
        degree, middle = parameters.degree, constant(1 << (parameters.sizes[party] - 1))
        out = np.zeros((stop - start, parameters.terms, degree), dtype=np.int64)
        taken = (self.own[:, start * degree : stop * degree] - middle).view(np.int64)
        for place in range(stop - start):
            part = taken[:, place * degree : (place + 1) * degree]
            out[place, :, : part.shape[1]] = part
        return out

    def take(self, start: int, words: U64, lower: U64) -> None:
        degree, count = self.parameters.degree, self.own.shape[1]
        part = slice(start * degree, min(count, start * degree + words.size))
        self.shares[part] = words.reshape(-1)[: part.stop - part.start]
        self.lower[part] = lower.reshape(-1)[: part.stop - part.start]


class Elementwise:
    """Answers `Multiply` and `InnerProduct` requests between the two parties of `channel`.

    `choose` answers `Choose` requests, in messages of its own. A key is made and sent with the first request
    of its parameters and serves the session.
    """

    def __init__(
        self, party: int, channel: Channel, choose: Callable[[list[Choose]], list[list[U64]]]
    ) -> None:
        self._party = party
        self._channel = channel
        self._choose = choose
        self._schemes: dict[SlotParameters, SlotEncryptor | SlotEvaluator] = {}

    def products(self, requests: Sequence[Multiply | InnerProduct]) -> list[U64]:
        """Shares mod 2^ring of each request's sums, uint64[n]. Two round trips for all; ciphertexts travel in
        pieces of bounded memory. Raises MPC-R004..R008 from the channel.
        """
        if not requests:
            return []
        asked = [(slot_parameters(request.sizes, terms_of(request)), request) for request in requests]
        groups = {}
        for parameters in dict.fromkeys(parameters for parameters, _ in asked):
            own = [_rows(request) for other, request in asked if other == parameters]
            together_ = np.concatenate(own, axis=1)
            count = together_.shape[1]
            groups[parameters] = _Group(
                parameters, together_, np.empty(count, np.uint64), np.empty(count, np.uint64)
            )
        self._multiply([group for group in groups.values() if group.own.shape[1]])
        return self._without_wraps(asked, groups)

    def declared_bytes(self, shapes: Sequence[tuple[SlotParameters, int]]) -> tuple[int, int]:
        """What party 0 and party 1 send for sums of these parameters and counts, with keys that are still
        due, without what `choose` sends.
        """
        counts: dict[SlotParameters, int] = {}
        for parameters, count in shapes:
            counts[parameters] = counts.get(parameters, 0) + count
        totals = [0, 0]
        for parameters, count in counts.items():
            first, second = parameters.sent_bytes(parameters.ciphertexts(count))
            key = parameters.key_bytes if count and parameters not in self._schemes else 0
            totals[0] += first
            totals[1] += second + key
        return totals[0], totals[1]

    def _multiply(self, groups: list[_Group]) -> None:
        sent = self.declared_bytes([(group.parameters, group.own.shape[1]) for group in groups])
        self._channel.start_tick(sent[self._party], sent[1 - self._party])
        if self._party == 0:
            self._evaluate(groups)
        else:
            self._encrypt(groups)

    def _evaluate(self, groups: list[_Group]) -> None:
        for group in groups:
            parameters = group.parameters
            if parameters not in self._schemes:
                self._schemes[parameters] = SlotEvaluator(
                    parameters, self._channel.receive(parameters.key_bytes)
                )
            scheme = self._schemes[parameters]
            assert isinstance(scheme, SlotEvaluator)
            lowest = value_range(parameters.sizes, parameters.terms) // 2
            for start, stop in group.pieces():
                message = self._channel.receive(parameters.sent_bytes(stop - start)[1])
                reply, share = scheme.products(message, group.slots(0, start, stop), lowest)
                self._channel.send(reply)
                group.take(start, *scheme.share(share))

    def _encrypt(self, groups: list[_Group]) -> None:
        waiting: list[tuple[_Group, int, int]] = []
        for group in groups:
            parameters = group.parameters
            if parameters not in self._schemes:
                scheme = self._schemes[parameters] = SlotEncryptor(parameters)
                self._channel.send(scheme.key())
            scheme = self._encryptor(group)
            for start, stop in group.pieces():
                numbers = group.slots(1, start, stop)
                self._channel.send(scheme.encrypt(numbers.reshape(-1, parameters.degree)))
                waiting.append((group, start, stop))
                if len(waiting) > AHEAD:
                    self._decrypt(*waiting.pop(0))
        for piece in waiting:
            self._decrypt(*piece)

    def _decrypt(self, group: _Group, start: int, stop: int) -> None:
        scheme = self._encryptor(group)
        reply = self._channel.receive(group.parameters.sent_bytes(stop - start)[0])
        group.take(start, *scheme.share(scheme.decrypt(reply, stop - start)))

    def _encryptor(self, group: _Group) -> SlotEncryptor:
        scheme = self._schemes[group.parameters]
        assert isinstance(scheme, SlotEncryptor)
        return scheme

    def _without_wraps(
        self,
        asked: list[tuple[SlotParameters, Multiply | InnerProduct]],
        groups: dict[SlotParameters, _Group],
    ) -> list[U64]:
        """Shares mod 2^ring, request by request.

        With A and B half of what u and v are below, u v = (u - A) (v - B) + A v + B u - A B. The slots hold
        the sum of the first products, plus terms A B, so that it is not negative; each party adds what it
        knows.
        """
        used = dict.fromkeys(groups, 0)
        shares, makings = [], []
        for parameters, request in asked:
            group, start = groups[parameters], used[parameters]
            part = slice(start, start + request.own.shape[-1])
            used[parameters] = part.stop
            other = constant(1 << (request.sizes[1 - self._party] - 1))
            shares.append(group.shares[part] + _rows(request).sum(axis=0, dtype=np.uint64) * other)
            if self._party == 0:
                shares[-1] -= constant(
                    value_range(request.sizes, parameters.terms) + parameters.plain_modulus
                )
            lower = kernels.planes_pack(group.lower[part].astype(np.uint8))
            makings.append(multiply_bits(lower, request.own.shape[-1], request.ring, self._party))
        both = together(makings)
        asked_bits = [each for each in next(both) if isinstance(each, Choose)]
        answers = self._choose(asked_bits)
        try:
            both.send(answers)
        except StopIteration as end:
            unwrapped = end.value
        return [
            reduce(share + product * constant(parameters.plain_modulus), request.ring)
            for (parameters, request), share, product in zip(asked, shares, unwrapped, strict=True)
        ]


def terms_of(request: Multiply | InnerProduct) -> int:
    return request.own.shape[0] if isinstance(request, InnerProduct) else 1


def _rows(request: Multiply | InnerProduct) -> U64:
    return request.own if isinstance(request, InnerProduct) else request.own[None]
