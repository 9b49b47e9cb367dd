"""Encryption by party 1, replies of party 0, and their decryption.

A message m mod 2^k has the phase c0 + c1 s = round(q m / 2^k) + e, so that a multiple of it by an integer
is exact mod 2^k without a term for the wrap. Party 1's ciphertexts are symmetric: c1 = a comes from a seed
and c0 alone is sent. A reply is made independent of what it was computed from, but for its message: an
encryption of zero under the public key makes c1 pseudorandom to the owner of the secret key, too, and a
flood hides the noise in the phase.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import I64, U64
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.rlwe import sampling
from mpcc.runtime.two_party.rlwe.keys import SecretKey, public_parts
from mpcc.runtime.two_party.rlwe.parameters import (
    DEGREE,
    REPLY_PRIMES,
    ROUNDED_BITS,
    WIDTHS,
    WORD_RING,
    moduli,
    prefix,
    tables,
)
from mpcc.runtime.two_party.rlwe.polynomials import add, subtract

Message = np.ndarray[tuple[int], np.dtype[np.uint8]]


def encrypt(key: SecretKey, number: int, messages: U64, ring: int, primes: int) -> U64:
    """c0 of messages[R, N] mod 2^ring: uint64[R, P, N], in coefficient form. `number`: see `public_parts`."""
    a, rows = public_parts(key.seed, number, len(messages), primes), prefix(primes)
    masks = key.masked(a, np.zeros_like(a), rows)
    kernels.ntt_inverse(masks, tables(rows))
    small = kernels.residues(sampling.errors(len(messages), DEGREE), moduli(primes))
    encoded = kernels.scale_up(messages, ring, moduli(primes))
    return add(masks, add(small, encoded, moduli(primes)), moduli(primes))


def pack_residues(x: U64, rows: tuple[int, ...]) -> list[Message]:
    """uint64[P, n] as a message for each prime."""
    return [kernels.pack(np.ascontiguousarray(part), WIDTHS[row]) for part, row in zip(x, rows, strict=True)]


def receive_residues(channel: Channel, rows: tuple[int, ...], count: int) -> U64:
    """uint64[P, count], as `pack_residues` had it."""
    return np.stack([_receive(channel, count, WIDTHS[row]) for row in rows])


def reply(
    packed: U64, places: Sequence[I64], masks: U64, ring: int, public: U64, flood_bits: int
) -> list[Message]:
    """Messages with the packed ciphertexts uint64[2, R, P, N], in coefficient form.

    Of c0 only the coefficients `places` of each are sent; `masks` mod 2^ring, as many as all of them, are
    added. `public` is the public key [2, P, N].
    """
    count, primes = packed.shape[1:3]
    p = moduli(primes)
    rerandomised = add(packed, _zeros(public, count, primes), p)
    needed = [c0[:, place] for c0, place in zip(rerandomised[0], places, strict=True)]
    first = add(np.concatenate(needed, axis=1)[None], kernels.scale_up(masks[None], ring, p), p)
    flood = sampling.uniform_below(flood_bits, 1, len(masks), p)
    middle = np.array([pow(2, flood_bits - 1, int(each)) for each in p], dtype=np.uint64)
    first = add(first, subtract(flood, middle[:, None], p), p)
    sizes = np.cumsum([len(place) for place in places])[:-1]
    messages: list[Message] = []
    if ring > WORD_RING:
        first = kernels.drop_primes(first, p, REPLY_PRIMES)
        second = kernels.drop_primes(rerandomised[1], p, REPLY_PRIMES)
        for c0, c1 in zip(np.split(first[0], sizes, axis=1), second, strict=True):
            messages += pack_residues(c0, prefix(REPLY_PRIMES)) + pack_residues(c1, prefix(REPLY_PRIMES))
        return messages
    bits = tuple(ring + more for more in ROUNDED_BITS)
    words = kernels.scale_down(first, p, bits[0])
    second = kernels.scale_down(rerandomised[1], p, bits[1])
    for c0, c1 in zip(np.split(words[0], sizes), second, strict=True):
        messages += [kernels.pack(c0, bits[0]), kernels.pack(c1, bits[1])]
    return messages


def _zeros(public: U64, count: int, primes: int) -> U64:
    """Encryptions of zero under the public key: uint64[2, count, P, N], in coefficient form."""
    rows = prefix(primes)
    u = kernels.residues(sampling.ternary(count, DEGREE), moduli(primes))
    kernels.ntt_forward(u, tables(rows))
    products = np.zeros((2, count, primes, DEGREE), dtype=np.uint64)
    kernels.multiply_accumulate(products, public[:, None], u[None], moduli(primes))
    flat = products.reshape(2 * count, primes, DEGREE)
    kernels.ntt_inverse(flat, tables(rows))
    small = kernels.residues(sampling.errors(2 * count, DEGREE), moduli(primes))
    return add(products, small.reshape(products.shape), moduli(primes))


def receive_reply(channel: Channel, key: SecretKey, places: I64, ring: int) -> U64:
    """Decrypts one reply: its messages at `places` of c0, mod 2^ring."""
    first, second = _receive_pair(channel, len(places), ring)
    rows, p = prefix(REPLY_PRIMES), moduli(REPLY_PRIMES)
    kernels.ntt_forward(second, tables(rows))
    product = np.zeros_like(second)[:, None]
    kernels.multiply_accumulate(product, second[:, None], key.transformed(rows)[None, None], p)
    kernels.ntt_inverse(product[:, 0], tables(rows))
    phases = add(first, product[:, 0][:, :, places], p)
    return kernels.scale_down(phases, p, ring).reshape(-1)


def _receive_pair(channel: Channel, count: int, ring: int) -> tuple[U64, U64]:
    """c0 and c1 modulo REPLY_PRIMES primes: uint64[1, P, count] and [1, P, N]."""
    rows, p = prefix(REPLY_PRIMES), moduli(REPLY_PRIMES)
    if ring > WORD_RING:
        return receive_residues(channel, rows, count)[None], receive_residues(channel, rows, DEGREE)[None]
    bits = tuple(ring + more for more in ROUNDED_BITS)
    first = kernels.scale_up(_receive(channel, count, bits[0])[None], bits[0], p)
    return first, kernels.scale_up(_receive(channel, DEGREE, bits[1])[None], bits[1], p)


def _receive(channel: Channel, count: int, bits: int) -> U64:
    data = channel.receive((count * bits + 7) // 8)
    return kernels.unpack(np.frombuffer(data, dtype=np.uint8), count, bits)
