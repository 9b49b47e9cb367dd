"""Parameters of elementwise products: the plaintext's and the ciphertext's primes, noise, bits that travel.

The plaintext modulus t is a product of primes of the ciphertext modulus q = t w, so that (q / t) m, the
encoding of m mod t, is exact, is zero modulo every prime of w, and has its slots in the transforms modulo the
primes of t. The phase error of a reply is bounded by the flood; `docs/two_party/rlwe.md` derives the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from mpcc.runtime.kernels.ntt_tables import PRIME_BITS, NttTables, ntt_primes, ntt_tables
from mpcc.runtime.ring import U64
from mpcc.runtime.two_party.rlwe.parameters import FAILURE_BITS, SECURE_BITS, STATISTICAL_BITS
from mpcc.runtime.two_party.rlwe.sampling import ERROR_BOUND, ERROR_VARIANCE

MAX_SIZE = 64


@dataclass(frozen=True)
class SlotParameters:
    """Of sums of `terms` products of numbers of `sizes` bits of party 0 and of party 1.

    `plain`: the primes of t, rising. `wide`: the others of q; the first stays in a reply. `dropped`: how
    many low bits of a reply's remainder modulo that prime stay behind, of c0 and of c1. `flood_bits`: the
    flood of a coefficient is uniform below 2^flood_bits.
    """

    sizes: tuple[int, int]
    terms: int
    degree: int
    plain: tuple[int, ...]
    wide: tuple[int, ...]
    flood_bits: int
    dropped: tuple[int, int]

    @property
    def plain_modulus(self) -> int:
        return math.prod(self.plain)

    @property
    def scale(self) -> int:
        """q / t."""
        return math.prod(self.wide)

    @property
    def modulus_bits(self) -> float:
        return math.log2(self.plain_modulus) + math.log2(self.scale)

    @cached_property
    def moduli(self) -> U64:
        return np.array(self.plain + self.wide, dtype=np.uint64)

    @cached_property
    def tables(self) -> NttTables:
        return ntt_tables(self.moduli, self.degree)

    @cached_property
    def plain_tables(self) -> NttTables:
        return ntt_tables(self.moduli[: len(self.plain)], self.degree)

    @cached_property
    def wide_tables(self) -> NttTables:
        return ntt_tables(self.moduli[len(self.plain) :], self.degree)

    @cached_property
    def reply_tables(self) -> NttTables:
        return ntt_tables(self.moduli[: len(self.plain) + 1], self.degree)

    @property
    def request_widths(self) -> tuple[int, ...]:
        """Bits of a ciphertext's coefficient, prime by prime."""
        return tuple(p.bit_length() for p in self.plain + self.wide)

    def reply_widths(self, side: int) -> tuple[int, ...]:
        """Bits of a coefficient of c0 or c1 in a reply: modulo each prime of t, and what is kept of the
        rest.
        """
        return (
            *(p.bit_length() for p in self.plain),
            ((self.wide[0] - 1) >> self.dropped[side]).bit_length(),
        )

    @property
    def key_bytes(self) -> int:
        """Of the public key and the seed, sent once."""
        return 16 + self.degree * sum(self.request_widths) // 8

    def ciphertexts(self, count: int) -> int:
        """Replies that `count` sums take."""
        return -(-count // self.degree)

    def sent_bytes(self, ciphertexts: int) -> tuple[int, int]:
        """By party 0 and by party 1 for so many replies, without the key."""
        reply = sum(self.reply_widths(0)) + sum(self.reply_widths(1))
        request = self.terms * sum(self.request_widths)
        return ciphertexts * self.degree * reply // 8, ciphertexts * self.degree * request // 8


@lru_cache(maxsize=256)
def slot_parameters(sizes: tuple[int, int], terms: int = 1) -> SlotParameters:
    """Of the least degree at which q is within the standard's table. Raises ValueError when there is none."""
    if not all(1 <= size <= MAX_SIZE for size in sizes) or terms < 1:
        raise ValueError(f"slot_parameters: sizes are 1 to {MAX_SIZE} and terms at least 1")
    for degree, secure_bits in sorted(SECURE_BITS.items()):
        parameters = _at_degree(sizes, terms, degree)
        if parameters.modulus_bits <= secure_bits:
            return parameters
    raise ValueError(f"slot_parameters: no degree holds {terms} products of {sizes} bits")


def _at_degree(sizes: tuple[int, int], terms: int, degree: int) -> SlotParameters:
    plain = _plain_primes(2 * value_range(sizes, terms), degree)
    t = math.prod(plain)
    # Of the noise that depends on party 0's numbers, by coefficient: e U summed over the terms, and the noise
    # of the encryption of zero. |U| <= (t - 1) / 2.
    squares = degree * (terms * ((t - 1) // 2) ** 2 + 2)
    largest = ERROR_BOUND * degree * (terms * ((t - 1) // 2) + 2)
    deviation = math.isqrt(math.ceil(ERROR_VARIANCE * squares)) + 1
    flood_bits = (degree * deviation << STATISTICAL_BITS).bit_length()
    wide = _wide_primes((2 << flood_bits) + 4 * largest, plain, degree)
    return SlotParameters(sizes, terms, degree, plain, wide, flood_bits, _dropped_bits(wide[0], degree))


def value_range(sizes: tuple[int, int], terms: int) -> int:
    """Width of the range of a sum of products of numbers below 2^size, less 2^(size - 1) each."""
    return terms << (sum(sizes) - 1)


def _plain_primes(least: int, degree: int) -> tuple[int, ...]:
    """Primes with a product above `least`, as few and small as may be, of bits that differ by 1 at most."""
    bits = max(least.bit_length(), (16 * degree).bit_length())
    while True:
        count = -(-bits // PRIME_BITS)
        low, more = divmod(bits, count)
        primes = (*_primes(low, degree, count - more), *_primes(low + 1, degree, more))
        if math.prod(primes) > least:
            return tuple(sorted(primes))
        bits += 1


def _wide_primes(least: int, plain: tuple[int, ...], degree: int) -> tuple[int, ...]:
    """Primes, none of `plain`, with a product of at least `least`; their bits differ by one at most."""
    bits = least.bit_length()
    while True:
        count = -(-bits // PRIME_BITS)
        low, more = divmod(bits, count)
        primes = (*_primes(low + 1, degree, more, plain), *_primes(low, degree, count - more, plain))
        if math.prod(primes) >= least:
            return primes
        bits += 1


def _primes(bits: int, degree: int, count: int, without: tuple[int, ...] = ()) -> list[int]:
    """So many of these bits, or none where there are fewer: then a bit more is tried."""
    try:
        found = ntt_primes(bits, degree, count + len(without)) if count else []
    except ValueError:
        return []
    return [p for p in found if p not in without][:count]


def _dropped_bits(prime: int, degree: int) -> tuple[int, int]:
    """The most low bits of c0 and of c1 that may be dropped modulo t p: 2^(d0-1) / p at most 1/8, and what is
    left of 1/2 after a quarter for flood and noise, for those of c1 times the secret.

    The N independent numbers dropped of c1, uniform in [-r, r], meet a ternary secret: the sum is strictly
    sub-Gaussian of variance at most N r^2 / 3. The rounding of the primes dropped before adds (1 + N) / 2.
    """
    first = (prime // 4).bit_length() - 1
    room = prime / 4 - 2.0 ** (first - 1) - (1 + degree) / 2
    tail = math.sqrt(2 * degree / 3 * math.log(2) * (FAILURE_BITS + 1))
    second = math.floor(math.log2(room / tail)) + 1
    return first, second
