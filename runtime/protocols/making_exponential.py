"""The factors of an exponential, made by two parties from each one's own exponentials.

Let t = t0 + t1 mod 2^j be the mask, m its top bit, r the rest, and E = exp(r 2^-f - B/2). Then the factors
are s_0 = E, s_1 = E exp(-B/2) where m = 0, and the other way round where m = 1. With L = r mod 2^w,
u = 2^(w-f) and g the carry out of the low w bits of t0 + t1,
  exp(L 2^-f - u) = exp(L0 2^-f - u) exp(L1 2^-f) exp(-u g)
is a product of numbers that each party knows, of few bits as their range is short, and a factor that a shared
bit selects; each bit of r above w that is 0 selects another one. Such a factor is a public integer and a
truncation, for which a value is first extended to a wider ring.

Errors, in units of 2^-s1: below 1 for each truncation at the scale s1, those of the h bits of r above w and
that of exp(-B/2), and relative ones of at most 2^-p for each public factor of p bits and 2^-(p+1) for each of
the parties' two numbers. A factor is off by less than 3 (1 + 2^-s0 of its size), about 1 as a rule, which
adds at most 4 2^-s0 to the error of the exponential.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpcc.runtime.protocols.private_products import select, truncated
from mpcc.runtime.ring import U64, mask, reduce
from mpcc.runtime.two_party.engine.circuits import elements_of, sum_bits
from mpcc.runtime.two_party.engine.requests import Making, Multiply

GUARD_BITS = 4  # of a factor, beyond those of the public factor
SLACK = 2  # bits of a ring above 2^s for truncations of values that may exceed 2^s by half of it
LONGEST = 4.0  # u: products of two exponentials of [0, u) with some 20 bits each fit a word


@dataclass(frozen=True)
class Widths:
    """w and u; `growth`, the bits of exp(u); the bits p of the parties' numbers and of the public factors of
    the first step and the others; the scales, in bits, of the product and of the first step.
    """

    w: int
    u: float
    growth: int
    own: int
    first: int
    later: int
    product: int
    scale: int


def widths(j: int, f: int, s0: int, s1: int) -> Widths:
    """The longest u for which p can be what the public factor's scale s0 asks for."""
    w = j - 1
    while True:
        u = 2.0 ** (w - f)
        growth = math.ceil(u * math.log2(math.e))
        most = (64 - SLACK - 2 * growth) // 2
        if w == 0 or u <= 0.5 or (u <= LONGEST and most >= s0 + 2):
            break
        w -= 1
    own = min(s0 + GUARD_BITS, most)
    scale = min(own + growth + 1, s1)
    first = min(s0 + GUARD_BITS, 64 - SLACK - growth - scale)
    later = min(s0 + GUARD_BITS, 64 - SLACK - s1)
    return Widths(w, u, growth, own, first, later, 2 * own + growth, scale)


def make_factors(j: int, f: int, s0: int, s1: int, part: U64, ring: int, party: int) -> Making:
    """Shares of (s_0, s_1) 2^s1 mod 2^ring, uint64[2, n], from this party's part of t, uint64[n]."""
    k = widths(j, f, s0, s1)
    planes = yield from sum_bits(part, j, party)
    own = part >> np.uint64(k.w)
    high = [elements_of(plane, part.size) for plane in planes[k.w :]]
    exponent = (part & mask(k.w)).astype(np.float64) * 2.0**-f - (k.u if party == 0 else 0.0)
    scale = k.own + k.growth if party == 0 else k.own
    number = np.rint(np.exp(exponent) * 2.0**scale).astype(np.uint64)
    size, wide = k.own + k.growth + 1, k.product + k.growth + SLACK
    [x] = yield [Multiply(number, (size, size), wide)]
    narrow = k.scale + k.growth + SLACK
    x = yield from truncated(x, wide, k.product - k.scale, narrow, party)
    if k.w > 0:
        carry = high[0] ^ (own & np.uint64(1))
        x = yield from _damped(x, carry, narrow, k.u, k.first, party)
    x, narrow = reduce(x << np.uint64(s1 - k.scale), s1 + SLACK), s1 + SLACK
    for place, bit in enumerate(high[:-1]):
        clear = bit if party else bit ^ np.uint64(1)
        x = yield from _damped(x, clear, narrow, k.u * 2**place, k.later, party)
    whole = yield from truncated(x, narrow, 0, max(ring, narrow + k.later), party)
    factor, shift = _public(2.0 ** (j - 1 - f), k.later)
    small = yield from truncated(
        reduce(whole * factor, narrow + k.later), narrow + k.later, shift, ring, party
    )
    _, [chosen] = yield from select(high[-1], [whole - small], [ring], party)
    return np.stack([reduce(whole - chosen, ring), reduce(small + chosen, ring)])


def _damped(x: U64, bit: U64, ring: int, exponent: float, bits: int, party: int) -> Making:
    """x exp(-exponent) where a shared bit is set, else x; mod 2^ring."""
    wide = ring + bits
    factor, shift = _public(exponent, bits)
    extended = yield from truncated(x, ring, 0, wide, party)
    damped = yield from truncated(reduce(extended * factor, wide), wide, shift, ring, party)
    _, [change] = yield from select(bit, [damped - x], [ring], party)
    return reduce(x + change, ring)


def _public(exponent: float, bits: int) -> tuple[np.uint64, int]:
    """exp(-exponent) as an integer of `bits` bits, and the bits to truncate after a product with it."""
    shift = bits + math.floor(exponent * math.log2(math.e))
    return np.uint64(min(round(math.exp(-exponent) * 2.0**shift), (1 << bits) - 1)), shift
