"""Elementwise products of slots: party 1 encrypts, party 0 multiplies, adds, floods and switches down.

A ciphertext is (b, a) with b + a s = x + e, and x zero modulo the primes of q / t. It is held transformed,
so that x modulo the primes of t is the slots; a comes from a public seed. `docs/two_party/rlwe.md` says why
a reply reveals the sums alone.
"""

from __future__ import annotations

import math
import secrets

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import I64, U64, mask
from mpcc.runtime.two_party.rlwe import sampling
from mpcc.runtime.two_party.rlwe.ole_parameters import SlotParameters
from mpcc.runtime.two_party.rlwe.ole_residues import MixedRadix
from mpcc.runtime.two_party.rlwe.polynomials import add, scale, subtract, times


class Packing:
    """Arrays uint64[C, P, N] as bytes, prime by prime at so many bits."""

    def __init__(self, widths: tuple[int, ...], degree: int) -> None:
        self.widths = widths
        self.degree = degree

    def length(self, count: int) -> int:
        return count * sum(self.widths) * self.degree // 8

    def pack(self, x: U64) -> bytes:
        return b"".join(
            kernels.pack(np.ascontiguousarray(x[:, p]).reshape(-1), width).tobytes()
            for p, width in enumerate(self.widths)
        )

    def unpack(self, data: memoryview, count: int) -> U64:
        out = np.empty((count, len(self.widths), self.degree), dtype=np.uint64)
        stream, start = np.frombuffer(data, dtype=np.uint8), 0
        for p, width in enumerate(self.widths):
            end = start + count * width * self.degree // 8
            out[:, p] = kernels.unpack(stream[start:end], count * self.degree, width).reshape(
                count, self.degree
            )
            start = end
        return out


class _Scheme:
    def __init__(self, parameters: SlotParameters) -> None:
        self.parameters = parameters
        self.plain = len(parameters.plain)
        self.radix = MixedRadix(parameters.plain, parameters.degree)
        self.requests = Packing(parameters.request_widths, parameters.degree)
        self.replies = [Packing(parameters.reply_widths(side), parameters.degree) for side in (0, 1)]
        self._drawn = 0

    def public_parts(self, seed: bytes, count: int) -> U64:
        """a of the next `count` ciphertexts of the key, transformed: uint64[count, P, N]."""
        self._drawn += 1
        return kernels.uniform_residues(
            seed, self._drawn, count, self.parameters.degree, self.parameters.moduli
        )

    def share(self, slots: U64) -> tuple[U64, U64]:
        """Of shares modulo t, residues uint64[R, k, N]: they modulo 2^64, and whether each is at most
        (t-1)/2.
        """
        digits = self.radix.digits(slots)
        return self.radix.words(digits), np.uint64(1) - self.radix.exceed_half(digits)


class SlotEncryptor(_Scheme):
    """Party 1: has the secret key."""

    def __init__(self, parameters: SlotParameters) -> None:
        super().__init__(parameters)
        secret = sampling.ternary(1, parameters.degree)
        both = kernels.residues(np.concatenate([secret, -secret]), parameters.moduli)
        kernels.ntt_forward(both, parameters.tables)
        self._secret, self._minus_secret = both[0], both[None, 1:]
        self._middle = self._transformed_middle()
        self._seed = secrets.token_bytes(16)

    def key(self) -> bytes:
        """The seed of all a, and b of an encryption of zero: the public key. Once, before anything else."""
        nothing = np.zeros((1, self.parameters.degree), dtype=np.int64)
        return self._seed + self.encrypt(nothing)

    def encrypt(self, v: I64) -> bytes:
        """The message with b of encryptions of int64[C, N]."""
        parameters, plain = self.parameters, self.plain
        moduli = parameters.moduli
        b = kernels.residues(sampling.errors(len(v), parameters.degree), moduli)
        kernels.ntt_forward(b, parameters.tables)
        b[:, :plain] = add(b[:, :plain], kernels.residues(v, moduli[:plain]), moduli[:plain])
        a = self.public_parts(self._seed, len(v))
        kernels.multiply_accumulate(b[:, None], a[:, None], self._minus_secret, moduli)
        return self.requests.pack(b)

    def phase(self, message: memoryview, count: int) -> U64:
        """c0 + c1 s of a message with replies, modulo t p with p the first of the other primes, in
        coefficient form: uint64[count, k + 1, N].
        """
        parameters, plain = self.parameters, self.plain
        moduli = parameters.moduli[: plain + 1]
        split = self.replies[0].length(count)
        first, second = (
            self.replies[side].unpack(part, count)
            for side, part in enumerate((message[:split], message[split:]))
        )
        first[:, plain] <<= np.uint64(parameters.dropped[0])
        second[:, plain] <<= np.uint64(parameters.dropped[1])
        kernels.ntt_forward(second, parameters.reply_tables)
        product = np.broadcast_to(self._middle, second.shape).copy()
        secret = self._secret[None, None, : plain + 1]
        kernels.multiply_accumulate(product[:, None], second[:, None], secret, moduli)
        kernels.ntt_inverse(product, parameters.reply_tables)
        return add(first, product, moduli)

    def decrypt(self, message: memoryview, count: int) -> U64:
        """This party's shares modulo t from a message with replies: residues uint64[count, k, N]."""
        parameters, plain = self.parameters, self.plain
        moduli = parameters.moduli[: plain + 1]
        slots = kernels.drop_primes(self.phase(message, count), moduli, plain)
        kernels.ntt_forward(slots, parameters.plain_tables)
        return scale(slots, parameters.scale, moduli[:plain])

    def _transformed_middle(self) -> U64:
        """By how much a phase is too low, on average, transformed: uint64[k + 1, N]. The middle of what was
        dropped of c0, without that of the flood, and s times the middle of what was dropped of c1.
        """
        parameters, plain = self.parameters, self.plain
        moduli = parameters.moduli[: plain + 1]
        flood = (1 << (parameters.flood_bits - 1)) // math.prod(parameters.wide[1:])
        first, second = (1 << dropped >> 1 for dropped in parameters.dropped)
        middles = np.stack([_column(first - flood, moduli), _column(second, moduli)])
        transformed = np.repeat(middles, parameters.degree, axis=2)
        kernels.ntt_forward(transformed, parameters.reply_tables)
        return add(transformed[0], times(transformed[1:], self._secret[: plain + 1], moduli)[0], moduli)


class SlotEvaluator(_Scheme):
    """Party 0: has the public key."""

    def __init__(self, parameters: SlotParameters, key: memoryview) -> None:
        super().__init__(parameters)
        self._seed = bytes(key[:16])
        b = self.requests.unpack(key[16:], 1)
        self._key = np.stack([b, self.public_parts(self._seed, 1)], axis=0)  # [2, 1, P, N]

    def products(self, message: memoryview, u: I64, constant: int) -> tuple[bytes, U64]:
        """The replies to a message with encryptions of v[C, L, N], and this party's shares modulo t, residues
        uint64[C, k, N], of the sum over l of u[C, L, N] v[C, L, N], plus `constant`.
        """
        parameters, plain = self.parameters, self.plain
        moduli = parameters.moduli[:plain]
        masks = kernels.uniform_residues(secrets.token_bytes(16), 0, len(u), parameters.degree, moduli)
        sums = self._zero_encryptions(len(u))
        sums[0, :, :plain] = add(sums[0, :, :plain], masks, moduli)
        self.add_products(sums, message, u)
        return self._reply(sums), subtract(_column(constant, moduli), masks, moduli)

    def add_products(self, sums: U64, message: memoryview, u: I64) -> None:
        """Adds the ciphertexts of the sums, to the ones in sums[2, C, P, N], transformed."""
        moduli = self.parameters.moduli
        count, terms, degree = u.shape
        b = self.requests.unpack(message, count * terms)
        a = self.public_parts(self._seed, count * terms)
        factors = self._factors(u.reshape(-1, degree))
        for row in range(count):
            rows = slice(row * terms, (row + 1) * terms)
            for side, parts in enumerate((b, a)):
                own = sums[side, row : row + 1, None]
                kernels.multiply_accumulate(own, factors[None, rows], parts[rows, None], moduli)

    def _factors(self, u: I64) -> U64:
        """u as polynomials modulo t, lifted to integers, transformed: uint64[R, P, N]."""
        parameters, plain = self.parameters, self.plain
        slots = kernels.residues(u, parameters.moduli[:plain])
        polynomials = slots.copy()
        kernels.ntt_inverse(polynomials, parameters.plain_tables)
        lifted = self.radix.lift(polynomials, parameters.moduli[plain:])
        kernels.ntt_forward(lifted, parameters.wide_tables)
        return np.concatenate([slots, lifted], axis=1)

    def _zero_encryptions(self, count: int) -> U64:
        """All c0, then all c1, transformed: uint64[2, count, P, N]. c0 has no error: the flood is added to
        it.
        """
        parameters = self.parameters
        drawn = [sampling.ternary(count, parameters.degree), sampling.errors(count, parameters.degree)]
        small = kernels.residues(np.concatenate(drawn), parameters.moduli)
        kernels.ntt_forward(small, parameters.tables)
        sums = np.zeros((2, count, len(parameters.moduli), parameters.degree), dtype=np.uint64)
        sums[1] = small[count:]
        kernels.multiply_accumulate(sums, self._key, small[None, :count], parameters.moduli)
        return sums

    def _reply(self, sums: U64) -> bytes:
        """Floods c0 and leaves of both what decryption needs."""
        parameters, plain = self.parameters, self.plain
        moduli, plain_moduli = parameters.moduli, parameters.moduli[:plain]
        kernels.ntt_inverse(sums.reshape(-1, len(moduli), parameters.degree), parameters.tables)
        sampling.add_uniform_below(parameters.flood_bits, sums[0], moduli)
        parts = []
        for side, dropped in enumerate(parameters.dropped):
            kept = kernels.drop_primes(sums[side], moduli, plain + 1)
            low = kernels.residues(kept[:, plain] & mask(dropped), plain_moduli)
            kept[:, :plain] = subtract(kept[:, :plain], low, plain_moduli)
            kept[:, plain] >>= np.uint64(dropped)
            parts.append(self.replies[side].pack(kept))
        return b"".join(parts)


def _column(number: int, moduli: U64) -> U64:
    """uint64[P, 1]: a number modulo each prime."""
    return np.array([[number % int(p)] for p in moduli], dtype=np.uint64)
