"""Answers `Choose` and bit products by oblivious transfer, all of a step in as few messages as possible.

They are cut into batches of bounded size. In tick b both parties send the corrections of batch b, as
receivers, and the answers to those of batch b - 1, as senders: what one computes, the other's messages travel
beside. The OTs of a batch are made before, in messages of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mpcc.runtime.ring import U64
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.engine.requests import Choose
from mpcc.runtime.two_party.ot.transfer import (
    Asked,
    TransferReceiver,
    TransferSender,
    bits_bytes,
    choose_bytes,
    corrections_bytes,
    ots,
)

BATCH_OTS = 1 << 20  # 16 bytes each, at either end
PIECE_OTS = 1 << 16  # of one transfer: its message is in memory at once


@dataclass(frozen=True, eq=False)
class Crossed:
    """x and y for bits x of party `chooser` and y of the other, `own` uint64[m]: xor shares uint64[m]."""

    chooser: int
    own: U64


Transfer = Choose | Crossed


def bits_of(transfer: Transfer) -> int:
    """OTs of a transfer, but for padding."""
    return transfer.count if isinstance(transfer, Choose) else 64 * transfer.own.size


def sent_bytes(transfer: Transfer) -> tuple[int, int]:
    """By its receiver and by its sender."""
    count = bits_of(transfer)
    if isinstance(transfer, Choose):
        return corrections_bytes(count), choose_bytes(count, transfer.widths)
    return corrections_bytes(count), bits_bytes(transfer.own.size)


def part_of(transfer: Transfer, start: int, stop: int) -> Transfer:
    """Of its bits `start` .. `stop`, start a multiple of 64."""
    words = slice(start // 64, -(-stop // 64))
    if isinstance(transfer, Crossed):
        return Crossed(transfer.chooser, transfer.own[words])
    bits = None if transfer.bits is None else transfer.bits[words]
    values = None if transfer.values is None else tuple(_elements(v, start, stop) for v in transfer.values)
    negated = None if transfer.negated is None else transfer.negated[words]
    return replace(transfer, count=stop - start, bits=bits, values=values, negated=negated)


def _elements(values: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Of an array of any shape."""
    if values.flags.c_contiguous:
        return values.reshape(-1)[start:stop]
    return np.asarray(values.flat[start:stop])


def new_shares(transfer: Transfer) -> list[U64]:
    """What a transfer's shares are added to, by column; bit products have one."""
    if isinstance(transfer, Crossed):
        return [np.empty_like(transfer.own)]
    if transfer.into is not None:
        return list(transfer.into)
    return [np.zeros(transfer.count, dtype=np.uint64) for _ in transfer.widths]


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a transfer, from the bit `start` on, and the columns of its shares in whole."""

    transfer: Transfer
    start: int
    columns: list[U64]

    @property
    def shares(self) -> list[U64]:
        """The part's."""
        if isinstance(self.transfer, Crossed):
            start, length = self.start // 64, self.transfer.own.size
        else:
            start, length = self.start, self.transfer.count
        return [column[start : start + length] for column in self.columns]


def batches(transfers: Sequence[Transfer], shares: Sequence[list[U64]]) -> Iterator[list[Piece]]:
    """All transfers in order, cut so that a batch takes at most BATCH_OTS, a multiple of 64."""
    batch: list[Piece] = []
    room = BATCH_OTS
    for transfer, columns in zip(transfers, shares, strict=True):
        start, count = 0, bits_of(transfer)
        while start < count:
            stop = min(count, start + min(room, PIECE_OTS))
            batch.append(Piece(part_of(transfer, start, stop), start, columns))
            room -= ots(stop - start)
            start = stop
            if not room:
                yield batch
                batch, room = [], BATCH_OTS
    if batch:
        yield batch


def extensions_of(announced: int) -> list[int]:
    """How many OTs of those announced for a receiver are made at a time, all of them in the end."""
    whole, rest = divmod(announced, BATCH_OTS)
    return [BATCH_OTS] * whole + [rest] * bool(rest)


def answer_rounds(ots: int) -> int:
    """Of transfers that take so many OTs in all, but for making these."""
    return -(-ots // BATCH_OTS) + 1 if ots else 0


def taken_ots(batch: list[Piece], chooser: int) -> int:
    """OTs that a batch takes with this party as receiver."""
    return sum(ots(bits_of(piece.transfer)) for piece in batch if piece.transfer.chooser == chooser)


class Transfers:
    """One party's ends of the transfers in both directions, for as long as the parties are connected."""

    def __init__(
        self, party: int, channel: Channel, sender: TransferSender, receiver: TransferReceiver
    ) -> None:
        self._party = party
        self._channel = channel
        self._sender = sender
        self._receiver = receiver
        self._ready = [0, 0]  # OTs that are made, by the party that receives
        self._announced = [0, 0]  # OTs that are not made yet

    def announce(self, ots: tuple[int, int]) -> None:
        """So many will be asked for, by party 0 and party 1 as receiver: they may be made ahead of steps."""
        self._announced = list(ots)

    def answer(self, transfers: Sequence[Transfer]) -> list[list[U64]]:
        """This party's shares of each, by column; bit products have one. Raises MPC-R004..R008."""
        shares = [new_shares(transfer) for transfer in transfers]
        states: list[Asked | U64] = []
        for asked, asking in pairwise([[], *batches(transfers, shares), []]):
            self._reserve(asked, asking)
            states = self._tick(asked, states, asking)
        return shares

    def _reserve(self, asked: list[Piece], asking: list[Piece]) -> None:
        """Makes the OTs of a batch: where any are missing, as many more as `extensions_of` says."""
        for chooser in (0, 1):
            needed = taken_ots(asking, chooser)
            if self._ready[chooser] < needed:
                made = max(needed - self._ready[chooser], min(BATCH_OTS, self._announced[chooser]))
                self._ready[chooser] += made
                self._announced[chooser] = max(0, self._announced[chooser] - made)
                if chooser == self._party:
                    self._receiver.reserve(self._channel, self._ready[chooser])
                else:  # the sender takes its OTs when it answers
                    self._sender.reserve(self._channel, self._ready[chooser] + taken_ots(asked, chooser))
            self._ready[chooser] -= needed

    def _tick(self, asked: list[Piece], states: list[Asked | U64], asking: list[Piece]) -> list[Asked | U64]:
        """Corrections of `asking`, for which it returns what each end keeps, and messages of `asked`."""
        lengths = [0, 0]  # that this party and the other send
        for piece in asking:
            lengths[not self._chooses(piece)] += sent_bytes(piece.transfer)[0]
        for piece in asked:
            lengths[self._chooses(piece)] += sent_bytes(piece.transfer)[1]
        self._channel.start_tick(*lengths)
        requests = {i: self._ask(piece) for i, piece in enumerate(asking) if self._chooses(piece)}
        for piece, state in zip(asked, states, strict=True):
            if not self._chooses(piece):
                assert isinstance(state, np.ndarray)
                self._send(piece, state)
        kept = [requests[i] if i in requests else self._corrections(p) for i, p in enumerate(asking)]
        for piece, state in zip(asked, states, strict=True):
            if self._chooses(piece):
                assert isinstance(state, Asked)
                self._receive(piece, state)
        return kept

    def _chooses(self, piece: Piece) -> bool:
        return piece.transfer.chooser == self._party

    def _ask(self, piece: Piece) -> Asked:
        transfer = piece.transfer
        bits = transfer.bits if isinstance(transfer, Choose) else transfer.own
        assert bits is not None
        asked = self._receiver.ask(np.ascontiguousarray(bits), bits_of(transfer))
        self._channel.send(asked.corrections)
        return asked

    def _corrections(self, piece: Piece) -> U64:
        length = sent_bytes(piece.transfer)[0]
        return np.frombuffer(self._channel.receive(length), dtype=np.uint64)

    def _send(self, piece: Piece, corrections: U64) -> None:
        """The answer."""
        transfer, shares = piece.transfer, piece.shares
        if isinstance(transfer, Crossed):
            plane, shares[0][:] = self._sender.bit_products(corrections, np.ascontiguousarray(transfer.own))
            self._channel.send(plane)
            return
        assert transfer.values is not None
        values = [np.ascontiguousarray(column, dtype=np.uint64) for column in transfer.values]
        message = self._sender.choose(
            corrections, values, transfer.widths, shares, transfer.boolean, transfer.negated
        )
        self._channel.send(message)

    def _receive(self, piece: Piece, asked: Asked) -> None:
        transfer, shares = piece.transfer, piece.shares
        message = self._channel.receive(sent_bytes(transfer)[1])
        if isinstance(transfer, Crossed):
            shares[0][:] = asked.bit_products(np.frombuffer(message, dtype=np.uint64))
        else:
            asked.choose(np.frombuffer(message, dtype=np.uint8), transfer.widths, shares, transfer.boolean)
