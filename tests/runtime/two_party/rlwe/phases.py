"""Phases of ciphertexts, c0 + c1 s, as Python's integers: what the owner of the secret key sees."""

from __future__ import annotations

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64
from mpcc.runtime.two_party.rlwe.keys import SecretKey
from mpcc.runtime.two_party.rlwe.parameters import moduli, modulus, prefix, tables
from mpcc.runtime.two_party.rlwe.polynomials import add, times
from tests.runtime.kernels.integers import to_integers


def phases(c0: U64, c1: U64, secret: SecretKey) -> list[int]:
    """Of one ciphertext in coefficient form, [P, N] each: -q/2 .. q/2."""
    primes = len(c0)
    transformed = c1[None].copy()
    kernels.ntt_forward(transformed, tables(prefix(primes)))
    turned = times(transformed, secret.transformed(prefix(primes)), moduli(primes))
    kernels.ntt_inverse(turned, tables(prefix(primes)))
    phase = add(c0, turned[0], moduli(primes))
    return [centred(each, modulus(primes)) for each in to_integers(phase, moduli(primes))]


def centred(number: int, modulus: int) -> int:
    return (number + modulus // 2) % modulus - modulus // 2


def errors(phases: list[int], messages: U64, q: int, ring: int) -> np.ndarray:
    """phase - q m / 2^ring, in units of the phase."""
    differences = [(p << ring) - q * m for p, m in zip(phases, messages.tolist(), strict=True)]
    return np.array([centred(each, q << ring) / (1 << ring) for each in differences])
