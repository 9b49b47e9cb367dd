"""Runs that answer correctly and are not secure: what the tests of obliviousness must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from mpcc.runtime import kernels
from mpcc.runtime.correlations import slots
from mpcc.runtime.correlations.slots import Part, Role, Slot
from mpcc.runtime.protocols import local, one_hot
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
