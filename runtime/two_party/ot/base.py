"""Base oblivious transfers of random keys on the prime-order subgroup of edwards25519.

Chou and Orlandi, "The Simplest Protocol for Oblivious Transfer" (LATINCRYPT 2015): the sender has one point
A = a G; for choice c the receiver sends B = b G + c A and has the key of b A, the sender those of a B and
a B - a A. As later analyses ask for, a key is a hash of all that both sent and of the transfer's number,
not of the shared point alone.

libsodium (PyNaCl) does the arithmetic, in constant time, and refuses points that are not encoded
canonically, not on the curve, of small order or outside the subgroup.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

import numpy as np
from nacl import exceptions
from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_scalar_reduce,
    crypto_core_ed25519_sub,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)
from numpy.typing import NDArray

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.ring import U64
from mpcc.runtime.transport.channel import Channel

POINT_BYTES = 32
KEY_BYTES = 16
ROUNDS = 2
DOMAIN = b"mpcc base OT"


def base_bytes(count: int) -> tuple[int, int]:
    """Bytes that the sender and the receiver of `count` transfers send."""
    return POINT_BYTES, POINT_BYTES * count


def send(channel: Channel, count: int, session: bytes) -> U64:
    """Both keys of `count` transfers, uint64[count, 2, 2]: of each, one becomes the receiver's.

    `session` names what the keys are for; both parties give the same. Takes ROUNDS. Raises MPC-R004..R008,
    and MPC-R090 for points that no honest party sends.
    """
    secret = _scalar()
    own = crypto_scalarmult_ed25519_base_noclamp(secret)
    channel.exchange(own, 0)
    theirs = bytes(channel.exchange(b"", base_bytes(count)[1]))
    transcript = _transcript(session, own, theirs)
    shift = _checked(crypto_scalarmult_ed25519_noclamp, secret, own)
    keys = bytearray()
    for number in range(count):
        point = theirs[POINT_BYTES * number : POINT_BYTES * (number + 1)]
        shared = _checked(crypto_scalarmult_ed25519_noclamp, secret, point)
        keys += _key(transcript, number, shared)
        keys += _key(transcript, number, _checked(crypto_core_ed25519_sub, shared, shift))
    return np.frombuffer(bytes(keys), dtype=np.uint64).reshape(count, 2, 2)


def receive(channel: Channel, choices: NDArray[np.uint8], session: bytes) -> U64:
    """The keys of `choices`, each 0 or 1: uint64[count, 2]. Raises as `send` does."""
    theirs = bytes(channel.exchange(b"", POINT_BYTES))
    shared, points = [], bytearray()
    for choice in choices:
        secret = _scalar()
        own = crypto_scalarmult_ed25519_base_noclamp(secret)
        shifted = _checked(crypto_core_ed25519_add, own, theirs)
        points += _select(int(choice), own, shifted)
        shared.append(_checked(crypto_scalarmult_ed25519_noclamp, secret, theirs))
    channel.exchange(points, 0)
    transcript = _transcript(session, theirs, bytes(points))
    keys = b"".join(_key(transcript, number, point) for number, point in enumerate(shared))
    return np.frombuffer(keys, dtype=np.uint64).reshape(len(choices), 2)


def _scalar() -> bytes:
    """Uniform modulo the order of the subgroup, up to 2^-250: 64 bytes, reduced."""
    return bytes(crypto_core_ed25519_scalar_reduce(secrets.token_bytes(64)))


def _select(choice: int, zero: bytes, one: bytes) -> bytes:
    """The point of `choice`, without a branch on it."""
    points = np.frombuffer(zero + one, dtype=np.uint8).reshape(2, POINT_BYTES)
    selected: NDArray[np.uint8] = points[0] ^ (points[0] ^ points[1]) & np.uint8(-choice & 0xFF)
    return selected.tobytes()


def _checked(operation: Callable[[bytes, bytes], bytes], first: bytes, second: bytes) -> bytes:
    try:
        return operation(first, second)
    except exceptions.RuntimeError:
        raise MpccError(
            "MPC-R090",
            "a point of the base oblivious transfers is not in the group",
            remedy="the connection or the other party's process is not sound: run the same version of mpcc "
            "on both sides, and start again",
        ) from None


def _transcript(session: bytes, sender: bytes, receiver: bytes) -> bytes:
    return hashlib.sha256(DOMAIN + len(session).to_bytes(8, "little") + session + sender + receiver).digest()


def _key(transcript: bytes, number: int, shared: bytes) -> bytes:
    place = number.to_bytes(4, "little")
    return hashlib.sha256(DOMAIN + b" key" + transcript + place + shared).digest()[:KEY_BYTES]
