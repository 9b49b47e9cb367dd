"""Encryption, and what hides a reply: its flood and its encryption of zero, seen with the secret key."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.runtime import kernels
from mpcc.runtime.ring import U64, mask
from mpcc.runtime.two_party.rlwe.encryption import encrypt, reply
from mpcc.runtime.two_party.rlwe.keys import PUBLIC, EvaluationKeys, SecretKey, missing, public_parts
from mpcc.runtime.two_party.rlwe.parameters import DEGREE, WIDTHS, moduli, modulus, prefix, tables
from mpcc.runtime.two_party.rlwe.sampling import ERROR_BOUND, ERROR_VARIANCE
from tests.runtime.two_party.rlwe.phases import errors, phases


@pytest.mark.parametrize("primes", [2, 3, 4])
@pytest.mark.parametrize("ring", [8, 52, 64])
def test_a_ciphertexts_phase_is_its_message(primes: int, ring: int) -> None:
    secret, rng = SecretKey(), np.random.default_rng(1)
    messages = rng.integers(0, int(mask(ring)), (2, DEGREE), dtype=np.uint64, endpoint=True)
    messages[0, :2] = 0, mask(ring)
    c0 = encrypt(secret, 5, messages, ring, primes)
    c1 = public_parts(secret.seed, 5, 2, primes)
    kernels.ntt_inverse(c1, tables(prefix(primes)))
    for one, other, message in zip(c0, c1, messages, strict=True):
        noise = errors(phases(one, other, secret), message, modulus(primes), ring)
        assert np.abs(noise).max() <= ERROR_BOUND + 0.5
        assert abs(noise.var() - ERROR_VARIANCE) < 1.2  # six deviations


def test_a_reply_to_nothing_is_flood_and_an_encryption_of_zero() -> None:
    """In a wide ring and with as many primes as a reply has, nothing is rounded."""
    secret, keys, primes, flood_bits = SecretKey(), EvaluationKeys(), 2, 60
    keys.seed = secret.seed
    for exponent, digit, rows in missing({}, {PUBLIC: primes}):
        for row, b in zip(rows, secret.part(exponent, digit, rows), strict=True):
            keys.take(exponent, digit, row, b)
    nothing = np.zeros((2, 2, primes, DEGREE), dtype=np.uint64)
    masks = np.zeros(2 * DEGREE, dtype=np.uint64)
    places = [np.arange(DEGREE)] * 2
    messages = reply(nothing, places, masks, 64, keys.public(primes), flood_bits)
    widths = WIDTHS[:primes] * 4
    words = [kernels.unpack(m, DEGREE, width) for m, width in zip(messages, widths, strict=True)]
    ciphertexts: U64 = np.array(words).reshape(2, 2, primes, DEGREE)
    seen = [np.array(phases(c0, c1, secret), dtype=np.float64) / 2.0**flood_bits for c0, c1 in ciphertexts]
    for phase in seen:
        assert np.abs(phase).max() <= 0.5 + 2**-40
        assert abs(phase.mean()) < 0.02
        assert abs(phase.var() - 1 / 12) < 0.006
        assert np.abs(np.histogram(phase, 16, (-0.5, 0.5))[0] - 512).max() < 135  # six deviations
    assert 12 * abs(np.mean(seen[0] * seen[1])) < 0.07
    for c1 in ciphertexts[:, 1].reshape(-1, DEGREE):
        assert np.abs(np.histogram(c1, 16, (0, 2.0**46))[0] - 512).max() < 135
    assert not np.array_equal(ciphertexts[0], ciphertexts[1])


def test_keys_for_more_primes_extend_those_for_fewer() -> None:
    secret = SecretKey()
    some = secret.part(3, 1, (0, 1, 4))
    np.testing.assert_array_equal(secret.part(3, 1, (0, 1, 2, 4))[[0, 1, 3]], some)
    assert not np.array_equal(secret.part(3, 0, (0,)), some[:1])
    assert all((part < p).all() for part, p in zip(some, moduli(2), strict=False))
