"""Runs that answer correctly and are not secure: what the tests of secrecy must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from mpcc.ir.program import Operation
from mpcc.runtime import kernels
from mpcc.runtime.correlations import slots
from mpcc.runtime.correlations.slots import Part, Role, Slot
from mpcc.runtime.interpreter import Interpreter
from mpcc.runtime.protocols import base, local, one_hot, openings
from mpcc.runtime.ring import U64


@contextmanager
def one_stream_for_all_masks() -> Iterator[None]:
    """Operations draw from the streams of their slots' names: two openings have one mask."""
    original = slots.stream
    with mock.patch.object(slots, "stream", lambda value_name, slot_name: original("", slot_name)):
        yield


@contextmanager
def without_masks(names: Callable[[str], bool]) -> Iterator[None]:
    """What values of these names open, they open under zeros."""
    original = Slot.expand

    def expand(slot: Slot, seed: bytes, value_name: str) -> Part:
        part = original(slot, seed, value_name)
        return np.zeros_like(part) if names(value_name) and slot.role is not Role.DERIVED else part

    with mock.patch.object(Slot, "expand", expand):
        yield


@contextmanager
def weakened(weaken: Callable[[Part, Slot], Part]) -> Iterator[None]:
    """Every seeded part is another one, for dealer and parties alike: the relations hold."""
    original = Slot.expand

    def expand(slot: Slot, seed: bytes, value_name: str) -> Part:
        part = original(slot, seed, value_name)
        return weaken(part, slot) if part.size else part

    with mock.patch.object(Slot, "expand", expand):
        yield


def narrow(part: Part, slot: Slot) -> Part:
    """Without its highest bit."""
    return np.asarray(part & part.dtype.type((1 << (slot.bits - 1)) - 1))


def biased(part: Part, slot: Slot) -> Part:
    """The lowest bit is 1 six times in ten."""
    often = np.random.default_rng(part.size).random(part.size) < 0.2
    return np.asarray(part | often.astype(part.dtype))


def even(part: Part, slot: Slot) -> Part:
    """The eight lowest bits hold an even number of ones: any seven are uniform."""
    odd = np.bitwise_count(part & part.dtype.type(255)) & 1
    return np.asarray(part ^ odd.astype(part.dtype))


def one_for_all(part: Part, slot: Slot) -> Part:
    """All elements are alike."""
    return np.full_like(part, part[0])


def third_of_three(part: Part, slot: Slot) -> Part:
    """Of three neighbours the last is the xor of the others: any two are independent."""
    part = part.copy()
    rest = part[: part.size // 3 * 3].reshape(-1, 3)
    rest[:, 2] = rest[:, 0] ^ rest[:, 1]
    return part


@contextmanager
def corrections_in_the_clear() -> Iterator[None]:
    """Party 1 gets what is dealt instead of a share of it."""
    with weakened(lambda part, slot: np.zeros_like(part) if slot.role is Role.DERIVED else part):
        yield


@contextmanager
def messages_as_long_as(share: Callable[[U64], int]) -> Iterator[None]:
    """An opening sends so many bytes more than it states."""
    original = base.masked_difference

    def opening(mine: U64, mask: U64, bits: int, offset: int = 0) -> Any:
        steps = original(mine, mask, bits, offset)
        received = yield np.concatenate([next(steps), np.zeros(share(mine), np.uint8)])
        try:
            steps.send(received)
        except StopIteration as stop:
            return stop.value

    with mock.patch.object(openings, "masked_difference", opening):
        yield


@contextmanager
def drawn_early(operation: Operation) -> Iterator[None]:
    """A later operation's correlation is drawn before an opening where the opened share is odd."""
    kept: dict[tuple[int, str], dict[str, Part]] = {}
    draw, run = Interpreter.draw, openings.OpenMasked.run.__func__  # type: ignore[attr-defined]

    def kept_or_drawn(party: Interpreter, wanted: Operation) -> dict[str, Part]:
        return kept.pop((party.index, wanted.result.name), None) or draw(party, wanted)

    def opening(cls: Any, opened: Operation, party: Interpreter, operands: list[U64]) -> Any:
        if int(operands[0].sum()) & 1:
            kept[party.index, operation.result.name] = draw(party, operation)
        return run(cls, opened, party, operands)

    with (
        mock.patch.object(Interpreter, "draw", kept_or_drawn),
        mock.patch.object(openings.OpenMasked, "run", classmethod(opening)),
    ):
        yield


@contextmanager
def gathered_one_hots() -> Iterator[None]:
    """One-hots are read at the places that the opened differences say."""

    def rotated(rows: U64, steps: U64) -> U64:
        places = (np.arange(rows.shape[1]) - steps.astype(np.int64)[:, None]) % rows.shape[1]
        return np.asarray(np.take_along_axis(rows, places, axis=1))

    with mock.patch.object(one_hot, "rotated", rotated):
        yield


@contextmanager
def work_that_depends_on_shares() -> Iterator[None]:
    """A sum of shares takes another kernel where its lowest bits are odd in number."""
    original = local.Add.compute

    def compute(operation: Any, arrays: list[U64]) -> U64:
        result = original(operation, arrays)
        if int(result.sum()) & 1:
            kernels.planes_pack(np.zeros(1, dtype=np.uint8))
        return result

    with mock.patch.object(local.Add, "compute", compute):
        yield
