"""1-out-of-2^w oblivious transfer of table entries from w correlated transfers (Naor and Pinkas, STOC 1999).

Each of the w OTs gives both ends a hash for a bit of the index (`twin_transfer`), of which the receiver
knows one. The xor of the w hashes that belong to an entry's bits, hashed again with the entry's number as
block, is the entry's pad: pads of different entries are hashes of different inputs, and the receiver lacks a
part of all inputs but one.

OT numbers: with s = n rounded up to a multiple of 512, bit l of lookup i has number first_tweak + l s + i,
and the second hash of lookup i has first_tweak + w s + i.
"""

import numpy as np

from mpcc.runtime.kernels.twin_arrays import U8, U64, check, low_mask, words_of
from mpcc.runtime.kernels.twin_rings import pack, planes_unpack, unpack
from mpcc.runtime.kernels.twin_transfer import KEY_OTS, hash_blocks, hash_pads

__all__ = ["lookup_receive", "lookup_send"]

MAX_LOOKUP_BITS = 8


def lookup_send(
    pads: U64,
    delta: U64,
    corrections: U64,
    tables: U64,
    width: int,
    first_tweak: int,
    boolean: bool,
) -> tuple[U8, U64]:
    """The sender's part of n lookups in its tables of 2^w entries mod 2^width: its shares of the entries.

    `pads`: q uint64[w, 64 ceil(n / 64), 2] of correlated OTs; `corrections`: a plane of each bit of the
    index, uint64[w, ceil(n / 64)]; `tables` uint64[2^w, n]. Returns the message, uint8[], entries 1 to 2^w -
    1 as `pack` makes them, and shares uint64[n]: mod 2^width, or by xor where `boolean`.
    """
    check(tables, np.uint64, 2, "lookup_send: tables")
    check(corrections, np.uint64, 2, "lookup_send: corrections")
    check(delta, np.uint64, 1, "lookup_send: delta")
    bits, count = _sizes(pads, tables.shape[1])
    if len(delta) != 2 or len(tables) != 1 << bits or corrections.shape != (bits, words_of(count)):
        raise ValueError("lookup: delta must be [2], tables [2^w, n], corrections [w, ceil(n/64)]")
    step = _step(count)
    keys = np.empty((bits, 2, count, 2), dtype=np.uint64)
    for bit in range(bits):
        corrected = np.uint64(0) - planes_unpack(corrections[bit : bit + 1], count)[0].astype(np.uint64)
        if_zero = pads[bit, :count] ^ corrected[:, None] & delta
        for side in (0, 1):
            tweak = first_tweak + bit * step
            keys[bit, side] = hash_pads(if_zero ^ delta if side else if_zero, tweak, 1)
    messages, share, first = [], np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64)
    for entry in range(1 << bits):
        key = np.bitwise_xor.reduce([keys[bit, entry >> bit & 1] for bit in range(bits)])
        pad = _entry_pads(key, np.full(count, entry, dtype=np.uint64), first_tweak + bits * step)
        if entry == 0:
            first = pad
            share = (tables[0] ^ pad if boolean else tables[0] - pad) & low_mask(width)
        else:
            hidden = (
                tables[entry] ^ tables[0] ^ first ^ pad
                if boolean
                else tables[entry] - tables[0] + first - pad
            )
            messages.append(pack(hidden, width))
    return np.concatenate(messages), share


def lookup_receive(pads: U64, index: U64, message: U8, width: int, first_tweak: int, boolean: bool) -> U64:
    """The receiver's shares uint64[n] of the entries at `index`, uint64[n], each below 2^w. `pads`: t, as q
    at the sender.
    """
    check(index, np.uint64, 1, "lookup_receive: index")
    check(message, np.uint8, 1, "lookup_receive: message")
    bits, count = _sizes(pads, len(index))
    length = (count * width + 7) // 8
    if len(message) != ((1 << bits) - 1) * length:
        raise ValueError("lookup: message must hold ceil(n*width/8) bytes an entry but the first")
    step, kept = _step(count), index & np.uint64((1 << bits) - 1)
    key = np.bitwise_xor.reduce(
        [hash_pads(pads[bit, :count], first_tweak + bit * step, 1) for bit in range(bits)]
    )
    share = _entry_pads(key, kept, first_tweak + bits * step)
    for entry in range(1, 1 << bits):
        hidden = unpack(message[(entry - 1) * length : entry * length], count, width)
        hidden &= np.uint64(0) - (kept == entry).astype(np.uint64)
        share = share ^ hidden if boolean else share + hidden
    return share & low_mask(width)


def _entry_pads(keys: U64, entries: U64, first_tweak: int) -> U64:
    return hash_blocks(keys, first_tweak, entries[:, None])[:, 0].copy()


def _sizes(pads: U64, count: int) -> tuple[int, int]:
    check(pads, np.uint64, 3, "lookup: pads")
    if not 1 <= len(pads) <= MAX_LOOKUP_BITS or pads.shape[1:] != (64 * words_of(count), 2):
        raise ValueError(f"lookup: pads must be [w, 64 ceil(n/64), 2], w 1 to {MAX_LOOKUP_BITS}")
    return len(pads), count


def _step(count: int) -> int:
    return -(-count // KEY_OTS) * KEY_OTS
