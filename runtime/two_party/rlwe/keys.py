"""Party 1's secret key, and what it gives party 0: a public key, and keys that switch after automorphisms.

What is given is made of rows: an encryption under the secret key s, modulo one prime of the chain, of zero
in the public key (b, a), and in digit d of the key for X -> X^g of p s(X^g) modulo q_d and of zero modulo
the others. The a of a row are expanded from a seed; the b are sent, transformed, when a product first needs
them: what was given for fewer primes is part of what serves more (key switching as in
`kernels.key_switch`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import I32, U64
from mpcc.runtime.two_party.rlwe import sampling
from mpcc.runtime.two_party.rlwe.layout import Layout
from mpcc.runtime.two_party.rlwe.parameters import (
    DEGREE,
    SPECIAL,
    chain,
    coefficient_bytes,
    moduli,
    prefix,
    switching,
    tables,
)
from mpcc.runtime.two_party.rlwe.polynomials import add, scale, subtract, times

SEED_BYTES = 16
_FIRST_CIPHERTEXT = 2 * DEGREE << 8  # streams of the seed below are the keys', from it on the ciphertexts'
PUBLIC = 0  # stands for the exponent of the public key, which has one digit
Given = dict[int, int]  # exponent: for how many primes party 0 has its key


def needs(layouts: Iterable[Layout]) -> Given:
    needed: Given = {}
    for each in layouts:
        for exponent in (PUBLIC, *each.exponents):
            needed[exponent] = max(needed.get(exponent, 0), each.primes)
    return needed


def missing(given: Given, needed: Given) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """(exponent, digit, rows) that party 0 does not have, in the order in which they are sent."""
    for exponent, primes in sorted(needed.items()):
        before = given.get(exponent, 0)
        for digit in range(1 if exponent == PUBLIC else primes):
            rows = prefix(primes) if exponent == PUBLIC else switching(primes)
            have = () if digit >= before else prefix(before) if exponent == PUBLIC else switching(before)
            missing_rows = tuple(row for row in rows if row not in have)
            if missing_rows:
                yield exponent, digit, missing_rows


def missing_bytes(given: Given, needed: Given) -> int:
    """With the seed, which goes before the first."""
    rows = sum(coefficient_bytes(rows, DEGREE) for _, _, rows in missing(given, needed))
    return rows + (0 if given or not needed else SEED_BYTES)


def merge(given: Given, needed: Given) -> Given:
    return {each: max(given.get(each, 0), needed.get(each, 0)) for each in given.keys() | needed.keys()}


def public_parts(seed: bytes, number: int, count: int, primes: int) -> U64:
    """The a of `count` ciphertexts, transformed: uint64[count, P, N]. No `number` comes twice a session."""
    return kernels.uniform_residues(seed, _FIRST_CIPHERTEXT + number, count, DEGREE, moduli(primes))


def _row_part(seed: bytes, exponent: int, digit: int, row: int) -> U64:
    """The a of a row, transformed: uint64[N]."""
    stream = (exponent << 8) + (digit << 4) + row
    return kernels.uniform_residues(seed, stream, 1, DEGREE, tables((row,)).moduli).reshape(DEGREE)


class SecretKey:
    """Party 1's."""

    def __init__(self) -> None:
        self.seed = secrets.token_bytes(SEED_BYTES)  # of all a: public
        self._all = switching(SPECIAL)
        self._secret = kernels.residues(sampling.ternary(1, DEGREE), tables(self._all).moduli)
        self._errors: dict[tuple[int, int], I32] = {}  # one for all rows of a digit
        self._transformed = self._secret.copy()
        kernels.ntt_forward(self._transformed, tables(self._all))

    def transformed(self, rows: tuple[int, ...]) -> U64:
        """uint64[P, N]: s modulo the primes `rows`."""
        rows_of: U64 = self._transformed[0, list(rows)]
        return rows_of

    def masked(self, a: U64, plain: U64, rows: tuple[int, ...]) -> U64:
        """plain - a s, all transformed: uint64[R, P, N]."""
        moduli = tables(rows).moduli
        return subtract(plain, times(a, self.transformed(rows), moduli), moduli)

    def part(self, exponent: int, digit: int, rows: tuple[int, ...]) -> U64:
        """The b of so many rows, uint64[P, N]."""
        if (exponent, digit) not in self._errors:
            self._errors[exponent, digit] = sampling.errors(1, DEGREE)
        plain = kernels.residues(self._errors[exponent, digit], tables(rows).moduli)
        kernels.ntt_forward(plain, tables(rows))
        if exponent != PUBLIC and digit in rows:
            place, table = rows.index(digit), tables((digit,))
            turned = kernels.automorphism(self._secret[:, [digit]], exponent, table.moduli)
            kernels.ntt_forward(turned, table)
            gadget = scale(turned, chain()[SPECIAL], table.moduli)
            plain[:, place : place + 1] = add(plain[:, place : place + 1], gadget, table.moduli)
        a = np.stack([_row_part(self.seed, exponent, digit, row) for row in rows])
        b: U64 = self.masked(a[None], plain, rows)[0]
        return b


class EvaluationKeys:
    """What party 0 has of party 1's key."""

    def __init__(self) -> None:
        self.seed = b""
        self._rows: dict[tuple[int, int, int], U64] = {}  # exponent, digit, row: uint64[2, N]
        self._gathered: dict[tuple[int, int], U64] = {}  # exponent, primes

    def take(self, exponent: int, digit: int, row: int, b: U64) -> None:
        self._rows[exponent, digit, row] = np.stack([b, _row_part(self.seed, exponent, digit, row)])

    def public(self, primes: int) -> U64:
        """uint64[2, P, N]."""
        return self._gather(PUBLIC, 0, prefix(primes))

    def switching(self, exponent: int, primes: int) -> U64:
        """uint64[P, 2, P+1, N], as `kernels.key_switch` takes it."""
        if (exponent, primes) not in self._gathered:
            digits = [self._gather(exponent, digit, switching(primes)) for digit in range(primes)]
            self._gathered[exponent, primes] = np.stack(digits)
        return self._gathered[exponent, primes]

    def _gather(self, exponent: int, digit: int, rows: tuple[int, ...]) -> U64:
        return np.stack([self._rows[exponent, digit, row] for row in rows], axis=1)
