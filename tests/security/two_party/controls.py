"""Preparations that are not secure: what the tests of secrecy must notice."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import numpy as np

from mpcc.runtime.ring import I32, U64
from mpcc.runtime.two_party.ot import softspoken
from mpcc.runtime.two_party.ot.transfer import TransferReceiver, TransferSender, Tweaks
from mpcc.runtime.two_party.rlwe import encryption, sampling
from mpcc.runtime.two_party.rlwe.layout import Layout
from mpcc.runtime.two_party.rlwe.matrix_product import Rlwe
from mpcc.runtime.two_party.rlwe.ole_scheme import SlotEvaluator, _Scheme

Control = Callable[[], AbstractContextManager[Any]]


def wanted_bits_in_the_clear() -> AbstractContextManager[Any]:
    """Corrections without the random choices."""
    original = TransferReceiver.take

    def take(receiver: TransferReceiver, count: int) -> tuple[U64, U64]:
        choices, pads = original(receiver, count)
        return np.zeros_like(choices), pads

    return mock.patch.object(TransferReceiver, "take", take)


def values_in_the_clear() -> AbstractContextManager[Any]:
    """Delta is 0: both pads of a transfer are one, and a message is its values."""
    original = TransferSender.__init__

    def init(sender: TransferSender, *arguments: Any) -> None:
        original(sender, *arguments)
        sender.delta = np.zeros_like(sender.delta)

    return mock.patch.object(TransferSender, "__init__", init)


def one_public_part() -> AbstractContextManager[Any]:
    """Ciphertexts of matrix products that are not encrypted together have the same a."""
    original = Rlwe._numbered

    def numbered(rlwe: Rlwe, chosen: Layout) -> Iterator[tuple[slice, int]]:
        for some, _ in original(rlwe, chosen):
            yield some, 0

    return mock.patch.object(Rlwe, "_numbered", numbered)


@contextmanager
def one_public_part_of_slots() -> Iterator[None]:
    original = _Scheme.public_parts

    def public_parts(scheme: _Scheme, seed: bytes, count: int) -> U64:
        scheme._drawn = 0
        return original(scheme, seed, count)

    with mock.patch.object(_Scheme, "public_parts", public_parts):
        yield


def one_tweak() -> AbstractContextManager[Any]:
    return mock.patch.object(Tweaks, "take", return_value=0)


def one_extension() -> AbstractContextManager[Any]:
    """Every extension reads the leaves' key streams from their beginning."""
    return mock.patch.object(softspoken, "chunks_of", return_value=0)


@contextmanager
def one_seed() -> Iterator[None]:
    """Floods, errors and masks are all of one seed."""
    seed = secrets.token_bytes(16)
    with mock.patch.object(secrets, "token_bytes", lambda count: seed[:count].ljust(count, b"x")):
        yield


@contextmanager
def without_floods() -> Iterator[None]:
    with floods_of(lambda bits: 0):
        yield


@contextmanager
def floods_of(bits_for: Callable[[int], int]) -> Iterator[None]:
    """Floods of other widths."""
    original = sampling.add_uniform_below

    def add(bits: int, x: U64, moduli: U64) -> None:
        if bits_for(bits):
            original(bits_for(bits), x, moduli)

    with mock.patch.object(sampling, "add_uniform_below", add):
        yield


@contextmanager
def without_zero_encryptions() -> Iterator[None]:
    def nothing(public: U64, count: int, primes: int) -> U64:
        return np.zeros((2, count, *public.shape[1:]), dtype=np.uint64)

    def no_slots(scheme: SlotEvaluator, count: int) -> U64:
        parameters = scheme.parameters
        return np.zeros((2, count, len(parameters.moduli), parameters.degree), dtype=np.uint64)

    with (
        mock.patch.object(encryption, "_zeros", nothing),
        mock.patch.object(SlotEvaluator, "_zero_encryptions", no_slots),
    ):
        yield


@contextmanager
def one_zero_encryption_key() -> Iterator[None]:
    """All encryptions of zero have the same u, with errors of their own."""
    original, kept = sampling.ternary, dict[int, I32]()

    def ternary(count: int, degree: int) -> I32:
        if degree not in kept:
            kept[degree] = original(1, degree)
        return np.repeat(kept[degree], count, axis=0)

    with mock.patch.object(sampling, "ternary", ternary):
        yield
