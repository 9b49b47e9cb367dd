"""Products of party 1's private matrices with party 0's.

Party 1 sends its encrypted factors (`layout`, `encryption`), party 0 multiplies them by its own, packs the
products (`packing`), adds a random mask and sends the replies. The mask, negated, is party 0's share.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64, reduce
from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.engine.requests import MatrixProduct
from mpcc.runtime.two_party.rlwe.encoding import left_polynomials, multiply
from mpcc.runtime.two_party.rlwe.encryption import (
    encrypt,
    pack_residues,
    receive_reply,
    receive_residues,
    reply,
)
from mpcc.runtime.two_party.rlwe.keys import (
    SEED_BYTES,
    EvaluationKeys,
    Given,
    SecretKey,
    merge,
    missing,
    missing_bytes,
    needs,
    public_parts,
)
from mpcc.runtime.two_party.rlwe.layout import Layout, layout
from mpcc.runtime.two_party.rlwe.packing import Packer
from mpcc.runtime.two_party.rlwe.parameters import DEGREE, moduli, modulus, prefix, tables
from mpcc.runtime.two_party.rlwe.polynomials import scale

_AT_ONCE = 8  # ciphertexts that are encrypted together: they stay in the cache

Sizes = tuple[tuple[int, int, int, int], int, int]  # a request's shape, right_bits and ring


def matrix_product_bytes(shape: tuple[int, int, int, int], right_bits: int, ring: int) -> tuple[int, int]:
    """Bytes that party 0 and party 1 send for a `MatrixProduct` of these sizes, without keys."""
    chosen = layout(shape, right_bits, ring)
    return chosen.answer_bytes, chosen.request_bytes


def key_bytes(sizes: Sequence[Sizes]) -> int:
    """Bytes of the keys that party 1 sends, once, for products of these sizes in one session."""
    return missing_bytes({}, needs(layout(*each) for each in sizes))


class Rlwe:
    """Matrix products between the two parties of `channel`; party 1 has the secret key, for one session."""

    def __init__(self, party: int, channel: Channel) -> None:
        self._channel = channel
        self._secret = SecretKey() if party == 1 else None
        self._evaluation = EvaluationKeys()
        self._given: Given = {}
        self._ciphertexts = 0  # calls of `public_parts` until now

    def matrix_products(self, requests: Sequence[MatrixProduct]) -> list[U64]:
        """Shares mod 2^ring of each product, uint64[batch, m, n], in one round trip for all.

        Both parties call it with the same sizes. Raises MPC-R004..R008 from the channel.
        """
        layouts = [layout(each.shape, each.right_bits, each.ring) for each in requests]
        needed = needs(layouts)
        forward = missing_bytes(self._given, needed) + sum(each.request_bytes for each in layouts)
        backward = sum(each.answer_bytes for each in layouts)
        pairs = list(zip(requests, layouts, strict=True))
        if self._secret is not None:
            self._channel.start_tick(forward, 0)
            self._send_keys(self._secret, needed)
            for request, chosen in pairs:
                self._send_left(self._secret, request.own, chosen)
            self._channel.start_tick(0, backward)
            return [self._receive_product(self._secret, chosen) for chosen in layouts]
        self._channel.start_tick(0, forward)
        self._channel.start_tick(backward, 0)
        self._receive_keys(needed)
        return [self._evaluate(request.own, chosen) for request, chosen in pairs]

    def _send_keys(self, secret: SecretKey, needed: Given) -> None:
        if needed and not self._given:
            self._channel.send(secret.seed)
        for exponent, digit, rows in missing(self._given, needed):
            for message in pack_residues(secret.part(exponent, digit, rows), rows):
                self._channel.send(message)
        self._given = merge(self._given, needed)

    def _receive_keys(self, needed: Given) -> None:
        if needed and not self._given:
            self._evaluation.seed = bytes(self._channel.receive(SEED_BYTES))
        for exponent, digit, rows in missing(self._given, needed):
            for row, part in zip(rows, receive_residues(self._channel, rows, DEGREE), strict=True):
                self._evaluation.take(exponent, digit, row, part)
        self._given = merge(self._given, needed)

    def _send_left(self, secret: SecretKey, left: U64, chosen: Layout) -> None:
        for element in left:
            for row_block in range(chosen.row_blocks):
                messages = left_polynomials(element, chosen, row_block)
                for some, number in self._numbered(chosen):
                    ciphertexts = encrypt(secret, number, messages[some], chosen.ring, chosen.primes)
                    for inner_block, ciphertext in enumerate(ciphertexts, some.start):
                        sent = ciphertext[:, chosen.sent(row_block, inner_block)]
                        for message in pack_residues(sent, prefix(chosen.primes)):
                            self._channel.send(message)

    def _receive_product(self, secret: SecretKey, chosen: Layout) -> U64:
        share = np.empty(chosen.batch * chosen.rows * chosen.columns, dtype=np.uint64)
        for number in range(chosen.replies):
            places, indices = chosen.received(number)
            share[indices] = receive_reply(self._channel, secret, places, chosen.ring)
        return share.reshape(chosen.batch, chosen.rows, chosen.columns)

    def _evaluate(self, right: np.ndarray, chosen: Layout) -> U64:
        """Party 0's part of one product; sends the replies."""
        share = np.empty(chosen.batch * chosen.rows * chosen.columns, dtype=np.uint64)
        done = 0
        for packed in self._packed(right, chosen):
            received = [chosen.received(done + i) for i in range(packed.shape[1])]
            count = sum(len(places) for places, _ in received)
            masks = kernels.expand(secrets.token_bytes(16), 0, count, chosen.ring)
            share[np.concatenate([indices for _, indices in received])] = reduce(-masks, chosen.ring)
            places = [places for places, _ in received]
            public = self._evaluation.public(chosen.primes)
            for message in reply(packed, places, masks, chosen.ring, public, chosen.noise.flood_bits):
                self._channel.send(message)
            done += packed.shape[1]
        return share.reshape(chosen.batch, chosen.rows, chosen.columns)

    def _packed(self, right: np.ndarray, chosen: Layout) -> Iterator[U64]:
        """The products of all batch elements, packed, uint64[2, R, P, N] at a time."""
        packer = Packer(chosen, lambda exponent: self._evaluation.switching(exponent, chosen.primes))
        for element in right:
            left = self._receive_left(chosen)
            for products in multiply(left, element, chosen):
                packed = packer.push(products)
                if packed.shape[1]:
                    yield packed
        last = packer.finish()
        if last.shape[1]:
            yield last

    def _receive_left(self, chosen: Layout) -> U64:
        """One batch element's ciphertexts over 2^levels, transformed: uint64[2 * row blocks, inner blocks,
        P, N], all c0 before all c1.
        """
        rows, p = prefix(chosen.primes), moduli(chosen.primes)
        blocks = np.zeros((2, chosen.row_blocks, chosen.inner_blocks, len(rows), DEGREE), dtype=np.uint64)
        for row_block in range(chosen.row_blocks):
            for inner_block in range(chosen.inner_blocks):
                places = chosen.sent(row_block, inner_block)
                blocks[0, row_block, inner_block][:, places] = receive_residues(
                    self._channel, rows, len(places)
                )
            kernels.ntt_forward(blocks[0, row_block], tables(rows))
            for some, number in self._numbered(chosen):
                part = blocks[1, row_block, some]
                part[:] = public_parts(self._evaluation.seed, number, len(part), chosen.primes)
        factor = pow(2**chosen.levels, -1, modulus(chosen.primes))
        scaled = scale(blocks.reshape(-1, len(rows), DEGREE), factor, p)
        return scaled.reshape(2 * chosen.row_blocks, chosen.inner_blocks, len(rows), DEGREE)

    def _numbered(self, chosen: Layout) -> Iterator[tuple[slice, int]]:
        """A row block's ciphertexts, those that are encrypted together, and their `public_parts`' number: the
        same at both parties.
        """
        for first in range(0, chosen.inner_blocks, _AT_ONCE):
            self._ciphertexts += 1
            yield slice(first, first + _AT_ONCE), self._ciphertexts - 1
