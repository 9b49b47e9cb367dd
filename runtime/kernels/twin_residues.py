"""Residues modulo small primes: what is signed, scaled, rounded or drawn at random.

A number modulo q = p_0 .. p_(P-1) is stored as its residues, uint64[P, n], each reduced. Moduli are odd,
coprime in pairs and below 2^50, at most 16. Rounding is exact: x / d with d odd is floor((x + (d-1)/2) / d),
and the floor of a quotient by a product of primes is the floor by one prime after the other, each an exact
division once the residue is subtracted.
"""

import math
from collections.abc import Iterable

import numpy as np

from mpcc.runtime.kernels.ntt_tables import MAX_PRIMES, PRIME_BITS
from mpcc.runtime.kernels.twin_arrays import I32, I64, U64, check, low_mask
from mpcc.runtime.kernels.twin_rings import expand

__all__ = ["drop_primes", "residues", "scale_down", "scale_up", "uniform_residues"]


def check_moduli(moduli: U64, what: str) -> None:
    check(moduli, np.uint64, 1, f"{what}: moduli")
    primes = [int(p) for p in moduli]
    if not 1 <= len(primes) <= MAX_PRIMES or math.lcm(*primes) != math.prod(primes):
        raise ValueError(f"{what}: 1 to {MAX_PRIMES} moduli, coprime in pairs")
    if any(p < 3 or p % 2 == 0 or p >= 1 << PRIME_BITS for p in primes):
        raise ValueError(f"{what}: a modulus is odd and below 2^{PRIME_BITS}")


def multiply(a: U64, b: U64, p: U64) -> U64:
    """a b mod p. The quotient comes from floating point: it is below 2^50, so off by one at most."""
    quotient = (a.astype(np.float64) * b / p).astype(np.uint64)
    remainder = (a * b - quotient * p).view(np.int64)
    remainder += np.where(remainder < 0, p, np.uint64(0)).view(np.int64)
    reduced: U64 = np.minimum(remainder.view(np.uint64), remainder.view(np.uint64) - p)
    return reduced


def add(a: U64, b: U64, p: U64) -> U64:
    """a + b mod p."""
    total: U64 = np.minimum(a + b, a + b - p)
    return total


def subtract(a: U64, b: U64, p: U64) -> U64:
    """a - b mod p."""
    difference: U64 = np.minimum(a - b, a - b + p)
    return difference


def residues(values: I64 | I32 | U64, moduli: U64) -> U64:
    """uint64[R, P, n]: int64 or int32[R, n] as signed, or uint64[R, n] as unsigned integers, modulo each."""
    dtypes = (np.int32, np.uint64)
    dtype = next((each for each in dtypes if getattr(values, "dtype", None) == each), np.int64)
    check(values, dtype, 2, "residues: values")
    check_moduli(moduli, "residues")
    wide = np.uint64 if dtype == np.uint64 else np.int64
    return (values.astype(wide)[:, None, :] % moduli.astype(wide)[:, None]).astype(np.uint64)


def scale_up(values: U64, bits: int, moduli: U64) -> U64:
    """uint64[R, P, n]: round(q m / 2^bits) modulo each prime, a half up, of m = `values`[R, n] mod 2^bits.

    q m = 2^bits round(q m / 2^bits) + r, so modulo a prime of q the result is -r / 2^bits.
    """
    check(values, np.uint64, 2, "scale_up: values")
    mask = low_mask(bits)
    check_moduli(moduli, "scale_up")
    half = np.uint64(1 << (bits - 1))
    rest = ((values * np.multiply.reduce(moduli) + half) & mask) - half
    factors = [-pow(1 << bits, -1, int(p)) % int(p) for p in moduli]
    return multiply(
        residues(rest.view(np.int64), moduli), np.array(factors, dtype=np.uint64)[:, None], moduli[:, None]
    )


def scale_down(x: U64, moduli: U64, bits: int) -> U64:
    """uint64[R, n]: round(2^bits x / q) mod 2^bits of x[R, P, n]."""
    _check_residues(x, moduli, "scale_down: x")
    mask = low_mask(bits)
    primes = [int(p) for p in moduli]
    half = math.prod(primes) // 2
    scaled = multiply(x, _column((1 << bits) % p for p in primes), moduli[:, None])
    scaled = add(scaled, _column(half % p for p in primes), moduli[:, None])
    out = np.full((len(x), x.shape[2]), half & ((1 << 64) - 1), dtype=np.uint64)
    for d in reversed(range(len(primes))):
        out = (out - scaled[:, d]) * np.uint64(pow(primes[d], -1, 1 << 64))
        scaled = _divide(scaled, primes, d)
    return out & mask


def drop_primes(x: U64, moduli: U64, keep: int) -> U64:
    """uint64[R, keep, n]: round(x / product of the moduli after the first `keep`), of x[R, P, n]."""
    _check_residues(x, moduli, "drop_primes: x")
    if not 1 <= keep <= len(moduli):
        raise ValueError("drop_primes: keep is 1 to the number of moduli")
    primes = [int(p) for p in moduli]
    half = math.prod(primes[keep:]) // 2
    out = add(x, _column(half % p for p in primes), moduli[:, None])
    for d in reversed(range(keep, len(primes))):
        out = _divide(out, primes, d)
    return np.ascontiguousarray(out)


def uniform_residues(key: bytes, stream: int, count: int, degree: int, moduli: U64) -> U64:
    """uint64[count, P, degree]: uniform but for a bias below 2^-78. Element i, counted through the array, is
    the little-endian number of 128 bits in block i of the key stream of `expand`, modulo its prime.
    """
    check_moduli(moduli, "uniform_residues")
    if count < 0 or degree < 0:
        raise ValueError("uniform_residues: count and degree are not negative")
    words = expand(key, stream, 2 * count * len(moduli) * degree, 64).reshape(count, len(moduli), degree, 2)
    p = moduli[:, None]
    high = multiply(words[..., 1] % p, _column((1 << 64) % int(p) for p in moduli), p)
    return add(high, words[..., 0] % p, p)


def _check_residues(x: U64, moduli: U64, what: str) -> None:
    check(x, np.uint64, 3, what)
    check_moduli(moduli, what.split(":")[0])
    if x.shape[1] != len(moduli):
        raise ValueError(f"{what} must be [R, P, n], with P moduli")


def _column(values: Iterable[int]) -> U64:
    return np.array(list(values), dtype=np.uint64)[:, None]


def _divide(x: U64, primes: list[int], d: int) -> U64:
    """floor(x / p_d) modulo the primes before it."""
    rest = x[:, d, None] % _column(primes[:d])
    difference = subtract(x[:, :d], rest, _column(primes[:d]))
    return multiply(difference, _column(pow(primes[d], -1, p) for p in primes[:d]), _column(primes[:d]))
