"""Primes and tables of the number-theoretic transform modulo X^N + 1.

The transform of a polynomial a at degree N and prime p = 1 mod 2N is the vector a(psi^(2 rev(i) + 1)), i = 0
to N - 1, with psi a primitive 2N-th root of one mod p and rev the reversal of log2(N) bits. Its steps use the
powers psi^rev(i), each beside its quotient floor(power * 2^52 / p), by which a product is reduced without a
division (Shoup's method: Harvey, "Faster arithmetic for number-theoretic transforms", Journal of Symbolic
Computation 60, 2014). Where the processor has no such products of integers, it takes the power and the
quotient as doubles instead (van der Hoeven, Lecerf, Quintin, "Modular SIMD arithmetic in Mathemagix", ACM
TOMS 43, 2016, section 3).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PRIME_BITS = 50  # primes are below 2^50: four times one fits the 52 bits that AVX-512 multiplies
QUOTIENT_BITS = 52
MAX_PRIMES = 16
MIN_DEGREE, MAX_DEGREE = 1024, 16384
# Strong pseudoprime tests to these bases decide primality below 3.3 * 10^24 (Sorenson, Webster, 2015).
_BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)


@dataclass(frozen=True, eq=False)
class NttTables:
    """moduli uint64[P]; forward and inverse uint64[P, 4, N]: factors and their quotients, as integers and as
    the bits of doubles: w from -p/2 to p/2, and w / p rounded. Read only.

    Factor i of `forward` is psi^rev(i), of `inverse` psi^-rev(i); but the first two of `inverse`, those of
    the last step, carry the division by N as well: N^-1 and psi^-(N/2) N^-1.
    """

    moduli: NDArray[np.uint64]
    forward: NDArray[np.uint64]
    inverse: NDArray[np.uint64]


def ntt_tables(moduli: NDArray[np.uint64], degree: int) -> NttTables:
    """The tables for uint64[P] primes, each 1 mod 2 `degree` and below 2^50. Made once and kept.

    Raises ValueError when `degree` is not a power of two from 1024 to 16384, or a modulus no such prime.
    """
    return _tables_of_all(tuple(int(p) for p in moduli), degree)


@lru_cache(maxsize=32)
def _tables_of_all(moduli: tuple[int, ...], degree: int) -> NttTables:
    forward, inverse = (
        np.stack(tables) for tables in zip(*(_tables_of(p, degree) for p in moduli), strict=True)
    )
    tables = NttTables(np.array(moduli, dtype=np.uint64), forward, inverse)
    for array in (tables.moduli, tables.forward, tables.inverse):
        array.setflags(write=False)
    return tables


@lru_cache(maxsize=64)
def _tables_of(p: int, degree: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    if not MIN_DEGREE <= degree <= MAX_DEGREE or degree.bit_count() != 1:
        raise ValueError(f"ntt_tables: the degree is a power of two from {MIN_DEGREE} to {MAX_DEGREE}")
    if p >= 1 << PRIME_BITS or p % (2 * degree) != 1 or not is_prime(p):
        raise ValueError(f"ntt_tables: {p} is not a prime below 2^{PRIME_BITS} that is 1 mod {2 * degree}")
    psi = _root(p, degree)
    forward, inverse = _powers(psi, p, degree), _powers(pow(psi, -1, p), p, degree)
    scale = pow(degree, -1, p)
    inverse[0], inverse[1] = scale, inverse[1] * scale % p
    return _with_quotients(forward, p), _with_quotients(inverse, p)


def _root(p: int, degree: int) -> int:
    """A primitive 2 `degree`-th root of one: the same on every machine."""
    candidate = 2
    while pow(candidate, (p - 1) // 2, p) != p - 1:  # until it is no square
        candidate += 1
    return pow(candidate, (p - 1) // (2 * degree), p)


def _powers(psi: int, p: int, degree: int) -> list[int]:
    """psi^rev(i): the exponents of 2^k .. 2^(k+1)-1 are those before, plus degree / 2^(k+1)."""
    powers, step = [1], degree // 2
    while step:
        factor = pow(psi, step, p)
        powers += [power * factor % p for power in powers]
        step //= 2
    return powers


def _with_quotients(factors: list[int], p: int) -> NDArray[np.uint64]:
    centred = [factor if 2 * factor < p else factor - p for factor in factors]
    integers = np.array([factors, [(factor << QUOTIENT_BITS) // p for factor in factors]], dtype=np.uint64)
    doubles = np.array([centred, [factor / p for factor in centred]], dtype=np.float64)
    return np.concatenate([integers, doubles.view(np.uint64)])


def ntt_primes(bits: int, degree: int, count: int) -> list[int]:
    """The `count` largest primes below 2^bits that are 1 mod 2 `degree`, falling. Raises ValueError when
    there are fewer above 2^(bits-1), or bits is above 50.
    """
    step = 2 * degree
    candidates = range(((1 << bits) - 2) // step * step + 1, 1 << (bits - 1), -step)
    primes = [p for p, _ in zip(filter(is_prime, candidates), range(count), strict=False)]
    if bits > PRIME_BITS or len(primes) < count:
        raise ValueError(f"ntt_primes: there are not {count} primes of {bits} bits, at most {PRIME_BITS}")
    return primes


def is_prime(n: int) -> bool:
    """Of n below 3.3 * 10^24."""
    if n < 2 or any(n % base == 0 for base in _BASES):
        return n in _BASES
    odd, halvings = n - 1, 0
    while odd % 2 == 0:
        odd, halvings = odd // 2, halvings + 1
    return all(_strong(n, base, odd, halvings) for base in _BASES)


def _strong(n: int, base: int, odd: int, halvings: int) -> bool:
    power = pow(base, odd, n)
    if power in (1, n - 1):
        return True
    for _ in range(halvings - 1):
        power = power * power % n
        if power == n - 1:
            return True
    return False
