"""Polynomials modulo X^N + 1 and modulo several primes: transforms, products, automorphisms, key switching.

x[R, P, N] are R polynomials as residues modulo P primes; see `twin_residues` for the primes and
`mpcc.runtime.kernels.ntt_tables` for the transform.
"""

import numpy as np

from mpcc.runtime.kernels.ntt_tables import MAX_DEGREE, MIN_DEGREE, NttTables
from mpcc.runtime.kernels.twin_arrays import I32, I64, U64, check
from mpcc.runtime.kernels.twin_residues import add, check_moduli, drop_primes, multiply, residues, subtract

__all__ = [
    "automorphism",
    "key_switch",
    "merge_pairs",
    "multiply_accumulate",
    "multiply_plain",
    "ntt_forward",
    "ntt_inverse",
]


def ntt_forward(x: U64, tables: NttTables) -> None:
    """Transforms each polynomial of x[R, P, N] in place."""
    _check_transform(x, tables, "ntt_forward")
    degree, p = x.shape[2], tables.moduli[:, None, None]
    blocks = 1
    while blocks < degree:
        pairs = x.reshape(*x.shape[:2], blocks, 2, degree // (2 * blocks))
        factors = tables.forward[:, 0, blocks : 2 * blocks, None]
        low, high = pairs[..., 0, :], multiply(pairs[..., 1, :], factors, p)
        pairs[..., 0, :], pairs[..., 1, :] = add(low, high, p), subtract(low, high, p)
        blocks *= 2


def ntt_inverse(x: U64, tables: NttTables) -> None:
    """The inverse of `ntt_forward`."""
    _check_transform(x, tables, "ntt_inverse")
    degree, p = x.shape[2], tables.moduli[:, None, None]
    blocks = degree // 2
    while blocks:
        pairs = x.reshape(*x.shape[:2], blocks, 2, degree // (2 * blocks))
        factors = tables.inverse[:, 0, blocks : 2 * blocks, None]
        low, high = pairs[..., 0, :], pairs[..., 1, :]
        total = add(low, high, p)
        if blocks == 1:
            total = multiply(total, tables.inverse[:, 0, :1, None], p)
        pairs[..., 0, :], pairs[..., 1, :] = total, multiply(subtract(low, high, p), factors, p)
        blocks //= 2


def multiply_accumulate(sums: U64, x: U64, y: U64, moduli: U64) -> None:
    """sums[I, J, P, N] += sum over l of x[I, l, P, N] y[l, J, P, N], element by element, modulo each prime.

    P moduli as in `twin_residues`; any N.
    """
    check(sums, np.uint64, 4, "multiply_accumulate: sums")
    check(x, np.uint64, 4, "multiply_accumulate: x")
    check(y, np.uint64, 4, "multiply_accumulate: y")
    check_moduli(moduli, "multiply_accumulate")
    if (
        sums.shape[:2] != (x.shape[0], y.shape[1])
        or x.shape[1] != y.shape[0]
        or not sums.shape[2:] == x.shape[2:] == y.shape[2:]
        or len(moduli) != x.shape[2]
    ):
        raise ValueError("multiply_accumulate: must be [I,J,P,N], [I,L,P,N], [L,J,P,N], with P moduli")
    for i in range(len(x)):
        for left, right in zip(x[i], y, strict=True):
            sums[i] = add(sums[i], multiply(left, right, moduli[:, None]), moduli[:, None])


def automorphism(x: U64, exponent: int, moduli: U64) -> U64:
    """uint64[R, P, N]: x(X^exponent) of x[R, P, N] in coefficient form. exponent odd, 0 < exponent < 2N."""
    check(x, np.uint64, 3, "automorphism: x")
    check_moduli(moduli, "automorphism")
    degree = x.shape[2]
    if degree.bit_count() != 1 or len(moduli) != x.shape[1]:
        raise ValueError("automorphism: x must be [R, P, N], with P moduli and N a power of two")
    if exponent % 2 == 0 or not 0 < exponent < 2 * degree:
        raise ValueError("automorphism: the exponent is odd, from 1 to 2N - 1")
    places = np.arange(degree) * exponent % (2 * degree)
    negated = np.where(x == 0, x, moduli[:, None] - x)
    out = np.empty_like(x)
    out[..., places % degree] = np.where(places < degree, x, negated)
    return out


def key_switch(c: U64, key: U64, tables: NttTables) -> U64:
    """uint64[R, 2, P, N]: round(sum over d of [c]_d key_d / p_P) of c[R, P, N], both in coefficient form,
    with [c]_d the residue modulo p_d as an integer from 0 to p_d - 1.

    `key`[P, 2, P+1, N] is transformed; `tables` has P+1 moduli, the last the special prime p_P. This is key
    switching with a digit for each prime and one special prime (Gentry, Halevi, Smart, "Homomorphic
    evaluation of the AES circuit", CRYPTO 2012; Bajard, Eynard, Hasan, Zucca, SAC 2016).
    """
    check(c, np.uint64, 3, "key_switch: c")
    check(key, np.uint64, 4, "key_switch: key")
    count, primes, degree = c.shape
    _check_tables(tables, primes + 1, degree, "key_switch")
    if key.shape != (primes, 2, primes + 1, degree):
        raise ValueError("key_switch: the key must be [P,2,P+1,N], for polynomials modulo P primes")
    digits = np.ascontiguousarray(c[:, :, None, :] % tables.moduli[:, None])
    ntt_forward(digits.reshape(-1, primes + 1, degree), tables)
    sums = np.zeros((count, 2, primes + 1, degree), dtype=np.uint64)
    multiply_accumulate(sums, digits, key, tables.moduli)
    ntt_inverse(sums.reshape(-1, primes + 1, degree), tables)
    switched = drop_primes(sums.reshape(-1, primes + 1, degree), tables.moduli, primes)
    return switched.reshape(count, 2, primes, degree)


def multiply_plain(x: U64, y: I64 | I32, tables: NttTables) -> U64:
    """uint64[I, J, P, N] in coefficient form: the sum over l of x[I, l, P, N], transformed, times polynomials
    of signed integers y[l, J, n], whose coefficients from n on are zero. n is a power of two.
    """
    check(x, np.uint64, 4, "multiply_plain: x")
    check(y, np.int32 if getattr(y, "dtype", None) == np.int32 else np.int64, 3, "multiply_plain: y")
    depth, columns, length = y.shape
    rows, _, primes, degree = x.shape
    _check_tables(tables, primes, degree, "multiply_plain")
    if x.shape[1] != depth or length > degree or length.bit_count() != 1:
        raise ValueError("multiply_plain: must be [I,L,P,N] and [L,J,n], n a power of two up to N")
    padded = np.zeros((depth * columns, degree), dtype=np.int64)
    padded[:, :length] = y.reshape(-1, length)
    factors = residues(padded, tables.moduli)
    ntt_forward(factors, tables)
    sums = np.zeros((rows, columns, primes, degree), dtype=np.uint64)
    multiply_accumulate(sums, x, factors.reshape(depth, columns, primes, degree), tables.moduli)
    ntt_inverse(sums.reshape(-1, primes, degree), tables)
    return sums


def merge_pairs(x: U64, shift: int, exponent: int, key: U64, tables: NttTables) -> U64:
    """Ciphertexts x[2, 2R, P, N] in coefficient form, pair by pair to one: uint64[2, R, P, N].

    Of (a, b) it is a + X^shift b + phi(a - X^shift b), with phi: X -> X^exponent and `key_switch` by `key` of
    phi's second polynomial (Chen, Dai, Kim, Song, ACNS 2021, section 3.3). 0 < shift < N.
    """
    check(x, np.uint64, 4, "merge_pairs: x")
    parts, count, primes, degree = x.shape
    if parts != 2 or count % 2 or not 0 < shift < degree:
        raise ValueError("merge_pairs: x must be [2, 2R, P, N], and shift 1 to N - 1")
    _check_tables(tables, primes + 1, degree, "merge_pairs")
    moduli, p = tables.moduli[:-1], tables.moduli[:-1, None]
    shifted = np.roll(x[:, 1::2], shift, axis=-1)
    shifted[..., :shift] = subtract(np.zeros_like(shifted[..., :shift]), shifted[..., :shift], p)
    difference = subtract(x[:, ::2], shifted, p).reshape(count, primes, degree)
    turned = automorphism(difference, exponent, moduli).reshape(2, -1, primes, degree)
    switched = key_switch(turned[1], key, tables).transpose(1, 0, 2, 3)
    merged = add(add(x[:, ::2], shifted, p), switched, p)
    merged[0] = add(merged[0], turned[0], p)
    return merged


def _check_transform(x: U64, tables: NttTables, what: str) -> None:
    check(x, np.uint64, 3, f"{what}: x")
    _check_tables(tables, x.shape[1], x.shape[2], what)


def _check_tables(tables: NttTables, primes: int, degree: int, what: str) -> None:
    check_moduli(tables.moduli, what)
    shape = (primes, 4, degree)
    if (
        not MIN_DEGREE <= degree <= MAX_DEGREE
        or tables.forward.shape != shape
        or tables.inverse.shape != shape
    ):
        raise ValueError(f"{what}: the tables must be of as many moduli and of the degree of the polynomials")
