"""Messages of openings and truncations, with the arithmetic beside them."""

import numpy as np

from mpcc.runtime.kernels.twin_arrays import U8, U64, check, low_mask
from mpcc.runtime.kernels.twin_rings import pack, unpack

__all__ = ["pack_difference", "shift_right", "truncate_close", "truncate_open", "unpack_add", "unpack_sum"]


def pack_difference(a: U64, b: U64, bits: int, offset: int = 0) -> U8:
    """`pack` of a + offset - b, uint64[n] each, offset mod 2^64: opens a under the mask b."""
    check(a, np.uint64, 1, "pack_difference: a")
    check(b, np.uint64, 1, "pack_difference: b")
    if len(a) != len(b):
        raise ValueError("pack_difference: a and b must have one length")
    return pack(a - b + np.uint64(offset), bits)


def unpack_sum(a: U8, b: U8, count: int, bits: int) -> U64:
    """The sum mod 2^bits of both parties' messages, each as `unpack` takes it."""
    return unpack(a, count, bits) + unpack(b, count, bits) & low_mask(bits)


def unpack_add(x: U64, data: U8, bits: int) -> U64:
    """x[n] plus a message, as `unpack` takes it, mod 2^bits."""
    check(x, np.uint64, 1, "unpack_add: x")
    return x + unpack(data, len(x), bits) & low_mask(bits)


def truncate_open(share: U64, own: U64, ring: int, party: int) -> U8:
    """The message of a truncation, one bit an element (docs/protocols/truncate.md).

    y = share (+ 2^(ring-2) at party 0) mod 2^ring; the bit is 1 - msb(y), xor the lowest bit of `own`.
    `share` and `own` are uint64[n], `ring` is 2 to 64.
    """
    y = _shifted(share, own, ring, party)
    clear = (y >> np.uint64(ring - 1)) ^ np.uint64(1)
    return pack(clear ^ own, 1)


def truncate_close(
    share: U64,
    own: U64,
    product: U64,
    mine: U8,
    theirs: U8,
    bits: int,
    ring: int,
    result: int,
    party: int,
) -> U64:
    """This party's share uint64[n] of x / 2^bits mod 2^result, 0 <= bits <= ring - 2.

    `own`[n], each 0 or 1, masks this party's bits in `mine`, the message of `truncate_open`; `theirs` is the
    other party's message; `product`[n] is a share of the product of both masks. Party 0 rounds its share up
    and party 1 down; where neither share's top bit is set, 2^(ring - bits) does not wrap around.
    """
    y = _shifted(share, own, ring, party)
    check(product, np.uint64, 1, "truncate_close: product")
    low_mask(result)
    if not 0 <= bits <= ring - 2:
        raise ValueError("truncate_close: bits 0 to ring - 2")
    if len(product) != len(share) or len(mine) != (len(share) + 7) // 8 or len(theirs) != len(mine):
        raise ValueError("truncate_close: product must be [n], mine and theirs [ceil(n/8)]")
    m, t = unpack(mine, len(share), 1), unpack(theirs, len(share), 1)
    flip_mine, flip_theirs = 1 - 2 * m, 1 - 2 * t
    both_clear = t * flip_mine * own + flip_mine * flip_theirs * product
    total = y >> np.uint64(bits)
    if party == 0:  # m t is public; -w 2^(ring - bits) = (both_clear - 1) 2^(ring - bits)
        both_clear = both_clear + m * t - np.uint64(1)
        round_up = (y & np.uint64((1 << bits) - 1)) != 0
        total = total + round_up - np.uint64(1 << (ring - 2 - bits))
    total = total + (both_clear << np.uint64(ring - bits))
    return total & low_mask(result)


def _shifted(share: U64, own: U64, ring: int, party: int) -> U64:
    check(share, np.uint64, 1, "truncate: share")
    check(own, np.uint64, 1, "truncate: own")
    if not 2 <= ring <= 64:
        raise ValueError("truncate: ring 2 to 64")
    if party not in (0, 1):
        raise ValueError("party must be 0 or 1")
    if len(share) != len(own):
        raise ValueError("truncate: share and own must have one length")
    return share + np.uint64(0 if party else 1 << (ring - 2)) & low_mask(ring)


def shift_right(x: U64, offset: int, ring: int, bits: int) -> U64:
    """(x[n] + offset mod 2^ring) / 2^bits, rounded down; offset mod 2^64, bits 0 to 63."""
    check(x, np.uint64, 1, "shift_right: x")
    mask = low_mask(ring)
    if not 0 <= bits <= 63:
        raise ValueError("shift_right: bits 0 to 63")
    return (x + np.uint64(offset) & mask) >> np.uint64(bits)
