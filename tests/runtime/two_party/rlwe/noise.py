"""Noise of real ciphertexts, seen with the secret key, beside the bounds that the parameters come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.kernels import NttTables
from mpcc.runtime.ring import F64, I64, U64
from mpcc.runtime.two_party.rlwe import encryption, matrix_product, sampling
from mpcc.runtime.two_party.rlwe.layout import layout
from mpcc.runtime.two_party.rlwe.matrix_product import Sizes
from mpcc.runtime.two_party.rlwe.ole_parameters import SlotParameters
from mpcc.runtime.two_party.rlwe.ole_scheme import SlotEncryptor, SlotEvaluator
from mpcc.runtime.two_party.rlwe.parameters import DEGREE, REPLY_PRIMES, modulus
from mpcc.runtime.two_party.rlwe.polynomials import add, scale, subtract, times
from mpcc.runtime.two_party.rlwe.sampling import ERROR_BOUND, ERROR_VARIANCE
from tests.runtime.two_party.rlwe.pairs import Parties, draw, product
from tests.runtime.two_party.rlwe.phases import errors, phases


@dataclass(frozen=True)
class Noise:
    """Absolute values over the coefficients of replies. `bound_mean`, `bound_largest`: what the parameters
    allow. `phase`: the largest distance of a decrypted phase, with the flood and all that was dropped, from a
    multiple of q / t, in units of it: at 1/2 another message begins.
    """

    degree: int
    mean: float
    largest: float
    bound_mean: float
    bound_largest: float
    flood_bits: int
    phase: float

    @property
    def mean_margin(self) -> float:
        """Bits."""
        return math.log2(self.bound_mean / self.mean)

    @property
    def largest_margin(self) -> float:
        """Bits."""
        return math.log2(self.bound_largest / self.largest)

    @property
    def phase_margin(self) -> float:
        """Bits."""
        return -1 - math.log2(self.phase)

    @property
    def distance_bits(self) -> float:
        """A reply's N flooded coefficients are within 2^-this of floods alone, in statistical distance."""
        return self.flood_bits - math.log2(self.degree * self.mean)


@dataclass(frozen=True)
class SlotErrors:
    """Of replies, coefficient by coefficient: the noise, the flood that is added to it, and the phase's
    distance in units of q / t.
    """

    noise: F64
    flood: F64
    phase: F64


def slot_noise(parameters: SlotParameters, replies: int = 1) -> Noise:
    """Of replies with sums of products of random numbers."""
    generator = np.random.default_rng(5)
    u, v = (
        _numbers(generator, size, (replies, parameters.terms, parameters.degree)) for size in parameters.sizes
    )
    found = slot_errors(parameters, u, v)
    lifted = (parameters.plain_modulus - 1) // 2
    squares = parameters.degree * (parameters.terms * lifted**2 + 2)
    return Noise(
        parameters.degree,
        float(np.abs(found.noise).mean()),
        float(np.abs(found.noise).max()),
        math.sqrt(ERROR_VARIANCE * squares),
        ERROR_BOUND * parameters.degree * (parameters.terms * lifted + 2),
        parameters.flood_bits,
        float(np.abs(found.phase).max()),
    )


def slot_errors(parameters: SlotParameters, u: I64, v: I64) -> SlotErrors:
    """Of replies to sums over l of u[C, l, N] v[C, l, N]."""
    encryptor = SlotEncryptor(parameters)
    evaluator = SlotEvaluator(parameters, memoryview(encryptor.key()))
    message = memoryview(encryptor.encrypt(v.reshape(-1, parameters.degree)))
    observed: list[U64] = []
    floods: list[U64] = []

    def keep_sums(sums: U64) -> bytes:
        observed.append(sums.copy())
        return reply(sums)

    def keep_flood(bits: int, x: U64, moduli: U64) -> None:
        before = x.copy()
        flood(bits, x, moduli)
        floods.append(subtract(x, before, moduli))

    reply, flood = evaluator._reply, sampling.add_uniform_below
    with (
        mock.patch.object(evaluator, "_reply", keep_sums),
        mock.patch.object(sampling, "add_uniform_below", keep_flood),
    ):
        answer, _ = evaluator.products(message, u, 0)
    [(c0, c1)] = observed
    p, k = parameters.moduli, len(parameters.plain)
    phase = add(c0, times(c1, encryptor._secret, p), p)
    slots = encryptor.decrypt(memoryview(answer), len(u))
    phase[:, :k] = subtract(phase[:, :k], slots, p[:k])
    noise = _centred(_coefficients(phase, parameters.tables), p)

    kept = encryptor.phase(memoryview(answer), len(u))
    exact = np.zeros_like(kept)
    exact[:, :k] = scale(slots, pow(math.prod(parameters.wide[1:]), -1, parameters.plain_modulus), p[:k])
    difference = subtract(kept, _coefficients(exact, parameters.reply_tables), p[: k + 1])
    distance = _centred(difference, p[: k + 1]) / parameters.wide[0]
    return SlotErrors(noise, _whole(floods[0], p).astype(np.float64), distance)


def matrix_noise(sizes: Sizes) -> Noise:
    """Of the first reply of a matrix product of random numbers, in the coefficients that are needed."""
    ring, chosen = sizes[2], layout(*sizes)
    packed: list[U64] = []
    pairs: list[tuple[U64, U64]] = []

    def keep_packed(ciphertexts: U64, *others: Any) -> Any:
        packed.extend(ciphertexts.transpose(1, 0, 2, 3).copy())
        return reply(ciphertexts, *others)

    def keep_pair(*arguments: Any) -> tuple[U64, U64]:
        first, second = receive_pair(*arguments)
        pairs.append((first.copy(), second.copy()))
        return first, second

    reply, receive_pair = encryption.reply, encryption._receive_pair
    left, right = draw(np.random.default_rng(7), sizes)
    parties = Parties()
    with (
        mock.patch.object(matrix_product, "reply", keep_packed),
        mock.patch.object(encryption, "_receive_pair", keep_pair),
    ):
        _, (share,) = parties.products([sizes], [left], [right])
    secret = parties.rlwe[1]._secret
    assert secret is not None
    assert len(packed) == len(pairs) == chosen.replies

    places, indices = chosen.received(0)
    exact = product(left, right, ring).reshape(-1)[indices]
    c0, c1 = packed[0]
    before = np.array(phases(c0, c1, secret), dtype=object)[places].tolist()
    noise = np.abs(errors(before, exact, modulus(chosen.primes), ring))

    first, second = pairs[0]
    whole = np.zeros_like(second[0])
    whole[:, places] = first[0]
    after = np.array(phases(whole, second[0], secret), dtype=object)[places].tolist()
    kept = modulus(REPLY_PRIMES)
    distance = np.abs(errors(after, share.reshape(-1)[indices], kept, ring)) * 2.0**ring / kept
    bounds = chosen.noise
    return Noise(
        DEGREE,
        float(noise.mean()),
        float(noise.max()),
        bounds.mean,
        bounds.largest,
        bounds.flood_bits,
        float(distance.max()),
    )


def _numbers(generator: np.random.Generator, size: int, shape: tuple[int, ...]) -> I64:
    return generator.integers(-(1 << (size - 1)), (1 << (size - 1)) - 1, size=shape, endpoint=True)


def _coefficients(transformed: U64, tables: NttTables) -> U64:
    x = transformed.copy()
    kernels.ntt_inverse(x, tables)
    return x


def _centred(x: U64, primes: U64) -> F64:
    """The numbers of residues [C, P, n], in (-q/2, q/2]: [C * n]."""
    q = math.prod(int(p) for p in primes)
    whole = _whole(x, primes)
    return np.where(whole > q // 2, whole - q, whole).astype(np.float64)


def _whole(x: U64, primes: U64) -> np.ndarray[Any, np.dtype[np.object_]]:
    """In [0, q)."""
    q = math.prod(int(p) for p in primes)
    total = np.zeros((len(x), x.shape[2]), dtype=object)
    for place, p in enumerate(int(prime) for prime in primes):
        others = q // p
        total += x[:, place].astype(object) * (others * pow(others, -1, p))
    return (total % q).reshape(-1)
