"""Lookups: the receiver's private index into the sender's private table, 1-out-of-2^w oblivious transfer.

w correlated OTs a lookup, one for each bit of the index; the sender's message has all entries of the table
but the first under pads of which the receiver knows one (kernels.lookup_*). Cheaper than w transfers of
values with products in between where tables are small: w bits and (2^w - 1) entries, in one message each.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.two_party.ot.extension import words_of
from mpcc.runtime.two_party.ot.transfer import U8, TransferReceiver, TransferSender, ots


def lookup_ots(count: int, bits: int) -> int:
    """Correlated OTs that `count` lookups with indices of so many bits take."""
    return bits * ots(count)


def lookup_corrections_bytes(count: int, bits: int) -> int:
    """From the receiver."""
    return 8 * bits * words_of(count)


def lookup_bytes(count: int, bits: int, width: int) -> int:
    """From the sender, for entries of `width` bits."""
    return ((1 << bits) - 1) * ((count * width + 7) // 8)


def answer(
    sender: TransferSender, corrections: U64, tables: U64, width: int, boolean: bool = False
) -> tuple[U8, U64]:
    """The message and this party's shares, uint64[count], of the entries that the receiver's indices name.

    `tables`: uint64[2^bits, count], column i the table of lookup i; `corrections`: the receiver's message,
    uint64[bits, ceil(count / 64)]. Shares are mod 2^width or, where `boolean`, by xor.
    """
    count, bits = tables.shape[1], len(corrections)
    pads = sender.take(lookup_ots(count, bits)).reshape(bits, -1, 2)
    tweak = sender.tweaks.take(lookup_tweaks(count, bits))
    return kernels.lookup_send(pads, sender.delta, corrections, tables, width, tweak, boolean)


@dataclass(frozen=True, eq=False)
class AskedLookup:
    """Lookups under way at the receiver: send `corrections`, and give the sender's message to `entries`,
    once."""

    corrections: U64
    _index: U64
    _pads: U64
    _tweak: int

    def entries(self, message: U8, width: int, boolean: bool = False) -> U64:
        """This party's shares, uint64[count]."""
        return kernels.lookup_receive(self._pads, self._index, message, width, self._tweak, boolean)


def ask(receiver: TransferReceiver, index: U64, bits: int) -> AskedLookup:
    """A request for the entries at `index`, uint64[count], each below 2^bits; bits is 1 to 8."""
    count = len(index)
    choices, pads = receiver.take(lookup_ots(count, bits))
    tweak = receiver.tweaks.take(lookup_tweaks(count, bits))
    corrections = kernels.planes_split(index, 0, bits) ^ choices.reshape(bits, -1)
    return AskedLookup(corrections, index, pads.reshape(bits, -1, 2), tweak)


def lookup_tweaks(count: int, bits: int) -> int:
    """Numbers of the hash that lookups use: one for each OT and one for each entry's pad."""
    return (bits + 1) * -(-count // kernels.KEY_OTS) * kernels.KEY_OTS
