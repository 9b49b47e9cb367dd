"""Parameters of the ring learning with errors scheme for matrix products: primes, noise, modulus, security.

All products of a session use prefixes q_0 .. q_(P-1) of one chain of primes and one special prime p of key
switching, so that a key for P primes is part of the key for more. The largest modulus an element of the
secret key is ever used with is q_0 .. q_3 p, of 218 bits: 128 bits of security at N = 8192 with a ternary
secret (Albrecht et al., "Homomorphic encryption security standard", 2018, table 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mpcc.runtime.kernels.ntt_tables import NttTables, ntt_primes, ntt_tables
from mpcc.runtime.ring import U64
from mpcc.runtime.two_party.rlwe.sampling import ERROR_BOUND, ERROR_VARIANCE

# Of the modulus, by N, for 128 bits of security (the standard's table 1).
SECURE_BITS = {4096: 109, 8192: 218, 16384: 438}
DEGREE = 8192  # N
STATISTICAL_BITS = 54  # of a reply: 2^14 of them together are within 2^-40 of such without the noise
FAILURE_BITS = 80  # a coefficient is decrypted to another value with probability below 2^-80

_SIZES = (46, 46, 46, 41)
_SPECIAL_SIZE = 39
WIDTHS = (*_SIZES, _SPECIAL_SIZE)  # bits of a residue
MOST_PRIMES = len(_SIZES)
SPECIAL = MOST_PRIMES  # the row of the special prime
REPLY_PRIMES = 2  # a reply is decrypted modulo so many, and travels modulo them in rings wider than WORD_RING
ROUNDED_BITS = (2, 10)  # else its coefficients of c0 and c1 travel as so many bits more than the ring's
WORD_RING = 64 - max(ROUNDED_BITS)


@lru_cache(maxsize=1)
def chain() -> tuple[int, ...]:
    """q_0 .. q_3 and the special prime."""
    primes = tuple(
        prime
        for size in sorted(set(WIDTHS), reverse=True)
        for prime in ntt_primes(size, DEGREE, WIDTHS.count(size))
    )
    assert math.log2(math.prod(primes)) <= SECURE_BITS[DEGREE]
    return primes


def prefix(primes: int) -> tuple[int, ...]:
    """The rows of a ciphertext."""
    return tuple(range(primes))


def switching(primes: int) -> tuple[int, ...]:
    """The rows of a key that switches such a ciphertext."""
    return (*range(primes), SPECIAL)


@lru_cache(maxsize=32)
def tables(rows: tuple[int, ...]) -> NttTables:
    """Of the chain's primes `rows`; `tables(rows).moduli` are the primes."""
    return ntt_tables(np.array([chain()[row] for row in rows], dtype=np.uint64), DEGREE)


def moduli(primes: int) -> U64:
    return tables(prefix(primes)).moduli


def modulus(primes: int) -> int:
    return math.prod(chain()[:primes])


def coefficient_bytes(rows: tuple[int, ...], count: int) -> int:
    """Of `count` coefficients, the residues of each prime packed to its width."""
    return sum((count * WIDTHS[row] + 7) // 8 for row in rows)


@dataclass(frozen=True)
class Noise:
    """Of a packed ciphertext's coefficient, all that depends on party 0's factor: bounds of its mean
    absolute value and of its largest.

    Its parts, for an inner length K, factors of magnitude at most W and n_w columns in a polynomial:
    - encryption: errors of party 1's ciphertexts times weights, at most K n_w of them in a coefficient;
    - encoding: round(q m / 2^k) is off by 1/2 at most, and meets K weights (elsewhere m and the error are 0);
    - key switching, one a level, doubled by every level after it: errors of the key times digits below q_d,
      over p, and the rounding of both components, (1 + N) / 2 at most with a ternary secret;
    - the encryption of zero: e u + e_1 + e_2 s; the rounding of the mask.
    The first, and the first of key switching, are sums of independent errors with coefficients that do not
    depend on them (digits are those of c1, which is made of uniform a), so that the mean is at most the
    deviation.
    """

    mean: float
    largest: float

    @property
    def flood_bits(self) -> int:
        """Uniform floods of so many bits, added to the N coefficients of a reply, hide the noise: the
        statistical distance is at most N mean / 2^flood_bits.
        """
        return math.ceil(math.log2(DEGREE * self.mean)) + STATISTICAL_BITS


def noise(inner: int, columns: int, right_bits: int, primes: int, levels: int) -> Noise:
    """Of products of inner length `inner`, `columns` of them in a polynomial, packed 2^levels to one."""
    weight = 2.0**right_bits
    digits = math.sqrt(sum(float(p) ** 2 for p in chain()[:primes])) / chain()[SPECIAL]
    rounding = (2**levels - 1) * (1 + DEGREE) / 2
    deviation = math.sqrt(ERROR_VARIANCE) * (
        weight * math.sqrt(inner * columns) + (2**levels - 1) * math.sqrt(DEGREE) * digits
    )
    zero = ERROR_BOUND * (2 * DEGREE + 1) + 1
    largest = ERROR_BOUND * (weight * inner * columns + (2**levels - 1) * DEGREE * math.sqrt(primes) * digits)
    fixed = inner * weight / 2 + rounding + zero
    return Noise(deviation + fixed, largest + fixed)


def least_primes(inner: int, columns: int, right_bits: int, levels: int, ring: int) -> int | None:
    """The least number of primes at which a reply is decrypted exactly; None if the chain is too short.

    The phase of a reply is q m / 2^ring + noise + flood; what is left of 1/2 after the roundings on the way
    must hold the last two, times 2^ring / q.
    """
    room = 0.5 - _rounding(ring)
    for primes in range(REPLY_PRIMES, MOST_PRIMES + 1):
        bound = noise(inner, columns, right_bits, primes, levels)
        if 2.0**ring * (2.0 ** (bound.flood_bits - 1) + bound.largest) <= modulus(primes) * room:
            return primes
    return None


def _rounding(ring: int) -> float:
    """What rounding a reply for its journey, and decrypting it modulo REPLY_PRIMES primes, adds at most, in
    units of the message.

    The rounding errors of c1, independent and uniform, meet a ternary secret: a strictly sub-Gaussian sum of
    variance at most N / 12.
    """
    exact = (1 + DEGREE) / 2 * 2.0**ring / modulus(REPLY_PRIMES)
    if ring > WORD_RING:
        return exact
    tail = math.sqrt(2 * DEGREE / 12 * math.log(2) * (FAILURE_BITS + 1))
    return exact + 2.0 ** -(ROUNDED_BITS[0] + 1) + tail * 2.0 ** -ROUNDED_BITS[1]
