"""Replies of party 0 as party 1 sees them with its secret key, before anything is dropped of them.

Party 1 may guess party 0's factor and compute what party 0 did: `c1` and `phase` are what a reply has beyond
that, for the guess that is right. What is left must be as if the guess said nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.kernels import NttTables
from mpcc.runtime.ring import F64, I64, U64
from mpcc.runtime.two_party.rlwe import encryption, layout, matrix_product, parameters
from mpcc.runtime.two_party.rlwe.matrix_product import Sizes
from mpcc.runtime.two_party.rlwe.ole_parameters import SlotParameters
from mpcc.runtime.two_party.rlwe.ole_scheme import SlotEncryptor, SlotEvaluator
from mpcc.runtime.two_party.rlwe.parameters import REPLY_PRIMES, moduli, modulus
from mpcc.runtime.two_party.rlwe.polynomials import add, subtract, times
from tests.runtime.two_party.rlwe.noise import _coefficients, _whole
from tests.runtime.two_party.rlwe.pairs import Parties
from tests.runtime.two_party.rlwe.phases import phases
from tests.security.two_party.observed import Numbers


@dataclass(frozen=True)
class Replies:
    """`c1`[replies, P, N], with its primes: less what the right guess gives. `known`, `phase`: noise and
    flood of the phase, in units of the flood's width, and the same less the noise that the guess gives.
    `masks`: party 0's share, uniform numbers.
    """

    c1: U64
    primes: tuple[int, ...]
    known: F64
    phase: F64
    masks: list[Numbers]

    def numbers(self) -> list[Numbers]:
        """c1, what two replies differ by, and the masks."""
        found = list(self.masks)
        for place, prime in enumerate(self.primes):
            own = self.c1[:, place]
            between = (own[1:] + np.uint64(prime) - own[:-1]) % np.uint64(prime)
            found += [Numbers(part.reshape(-1), prime) for part in (own, between)]
        return found


def slot_replies(parameters: SlotParameters, u: I64, v: I64) -> Replies:
    """To sums over l of u[C, l, N] v[C, l, N]."""
    encryptor = SlotEncryptor(parameters)
    key = memoryview(encryptor.key())
    message = memoryview(encryptor.encrypt(v.reshape(-1, parameters.degree)))
    whole: list[U64] = []

    def keep(x: U64, *arguments: Any) -> U64:
        whole.append(x.copy())
        return drop_primes(x, *arguments)

    drop_primes = kernels.drop_primes
    with mock.patch.object(kernels, "drop_primes", keep):
        _, share = SlotEvaluator(parameters, key).products(message, u, 0)
    guess = np.zeros((2, len(u), len(parameters.moduli), parameters.degree), dtype=np.uint64)
    SlotEvaluator(parameters, key).add_products(guess, message, u)
    p, count = parameters.moduli, len(parameters.plain)
    c0, c1 = whole  # in coefficient form
    guess0, guess1 = (_coefficients(part, parameters.tables) for part in guess)

    def noise(first: U64, second: U64, slots: U64) -> F64:
        """Of the phase of a ciphertext of these slots, over the flood's width."""
        phase = add(first, _times(second, encryptor._secret, parameters.tables), p)
        message = np.zeros_like(phase)
        message[:, :count] = slots
        left = subtract(phase, _coefficients(message, parameters.tables), p)
        centre = math.prod(int(prime) for prime in p) // 2
        offset = np.array([centre % int(prime) for prime in p], dtype=np.uint64)[:, None]
        whole = _whole(add(left, np.broadcast_to(offset, left.shape).copy(), p), p) - centre
        return np.asarray(whole.astype(np.float64) / 2.0**parameters.flood_bits)

    products = kernels.residues((u * v).sum(axis=1), p[:count])
    masks = subtract(np.zeros_like(share), share, p[:count])
    return Replies(
        subtract(c1, guess1, p),
        tuple(map(int, p)),
        noise(c0, c1, add(products, masks, p[:count])),
        noise(subtract(c0, guess0, p), subtract(c1, guess1, p), masks),
        [Numbers(masks[:, place].reshape(-1), int(prime)) for place, prime in enumerate(p[:count])],
    )


@contextmanager
def _narrow_floods() -> Iterator[None]:
    """Of 40 bits more than the noise, so that a small product needs the two primes of a reply only."""
    with mock.patch.object(parameters, "STATISTICAL_BITS", 40):
        layout.layout.cache_clear()
        try:
            yield
        finally:
            layout.layout.cache_clear()


@_narrow_floods()
def matrix_replies(sizes: Sizes, right: np.ndarray, count: int) -> Replies:
    """To so many products of zeros with one right factor, sent with all bits of both primes: `sizes` need no
    more primes.
    """
    chosen, ring = layout.layout(*sizes), sizes[2]
    assert chosen.primes == REPLY_PRIMES
    packed: list[U64] = []
    pairs: list[tuple[U64, U64]] = []

    def keep_packed(ciphertexts: U64, *others: Any) -> Any:
        packed.extend(ciphertexts.transpose(1, 0, 2, 3).copy())
        return reply(ciphertexts, *others)

    def keep_pair(*arguments: Any) -> tuple[U64, U64]:
        first, second = receive_pair(*arguments)
        pairs.append((first[0].copy(), second[0].copy()))
        return first, second

    reply, receive_pair = encryption.reply, encryption._receive_pair
    parties, left = Parties(), np.zeros(sizes[0][:3], dtype=np.uint64)
    with (
        mock.patch.object(matrix_product, "reply", keep_packed),
        mock.patch.object(encryption, "_receive_pair", keep_pair),
        _whole_replies(),
    ):
        shares, _ = parties.products([sizes] * count, [left] * count, [right] * count)
    secret = parties.rlwe[1]._secret
    assert secret is not None
    p, q, flood_bits = moduli(REPLY_PRIMES), modulus(REPLY_PRIMES), chosen.noise.flood_bits
    c1: list[U64] = []
    known: list[F64] = []
    phase: list[F64] = []
    for number, ((first, second), (guess0, guess1)) in enumerate(zip(pairs, packed, strict=True)):
        product, in_product = divmod(number, chosen.replies)
        places, indices = chosen.received(in_product)
        whole = np.zeros_like(second)
        whole[:, places] = first
        masks = -shares[product].reshape(-1)[indices] & np.uint64((1 << ring) - 1)
        seen = np.array(phases(whole, second, secret), dtype=object)[places]
        guessed = np.array(phases(guess0, guess1, secret), dtype=object)[places]
        encoded = np.array([(2 * q * int(mask) + (1 << ring)) >> (ring + 1) for mask in masks], dtype=object)
        for kept, found in ((known, seen - encoded), (phase, seen - guessed - encoded)):
            centred = (found + q // 2) % q - q // 2
            kept.append((centred + (1 << flood_bits - 1)).astype(np.float64))  # `reply` centres floods
        c1.append(subtract(second, guess1, p))
    return Replies(
        np.stack(c1),
        tuple(map(int, p)),
        np.concatenate(known) / 2.0**flood_bits,
        np.concatenate(phase) / 2.0**flood_bits,
        [Numbers(-share.reshape(-1) & np.uint64((1 << ring) - 1), 1 << ring) for share in shares],
    )


@contextmanager
def _whole_replies() -> Iterator[None]:
    """Replies travel modulo both primes. Layouts remember how long theirs are."""
    with mock.patch.object(encryption, "WORD_RING", 0), mock.patch.object(layout, "WORD_RING", 0):
        layout.layout.cache_clear()
        try:
            yield
        finally:
            layout.layout.cache_clear()


def _times(x: U64, secret: U64, tables: NttTables) -> U64:
    """x[C, P, N] in coefficient form times the transformed secret[P, N]."""
    transformed = x.copy()
    kernels.ntt_forward(transformed, tables)
    return _coefficients(times(transformed, secret, tables.moduli), tables)
