"""Dealing ahead of writing: the same pieces in order, a failure in its place, no mask past its last use."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mpcc.runtime.dealing.corrections import Dealing, one_ahead
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.base import Dealt
from tests.runtime.party_processes import PATIENT
from tests.runtime.protocols.cases import Setting
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.harness import MASK_SEED, SEEDS, Prepared

PIECES = [memoryview(bytes([number])) for number in range(5)]


def test_the_same_pieces_in_order() -> None:
    before = set(threading.enumerate())
    assert list(one_ahead(iter(PIECES))) == PIECES
    assert list(one_ahead(iter([]))) == []
    assert set(threading.enumerate()) <= before


def test_the_next_piece_is_made_while_one_is_used() -> None:
    made = [threading.Event() for _ in PIECES]

    def make() -> Iterator[memoryview]:
        for event, piece in zip(made, PIECES, strict=True):
            event.set()
            yield piece

    for number, _ in enumerate(one_ahead(make())):
        assert all(event.wait(PATIENT) for event in made[: number + 2])
        assert not any(event.is_set() for event in made[number + 2 :])


def test_a_failure_comes_in_its_place() -> None:
    def make() -> Iterator[memoryview]:
        yield from PIECES[:2]
        raise ValueError("no third")

    pieces = one_ahead(make())
    assert [next(pieces), next(pieces)] == PIECES[:2]
    with pytest.raises(ValueError, match="no third"):
        next(pieces)


def test_masks_end_with_their_last_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chain of openings and products; its last product reads the first mask, too."""
    opening, masks, most = protocols["open_masked"], list[weakref.ref[Any]](), 0
    deal = opening.deal

    def watched(*arguments: Any) -> Dealt:
        nonlocal most
        dealt = deal(*arguments)
        masks.append(weakref.ref(dealt.mask))
        most = max(most, sum(mask() is not None for mask in masks))
        return dealt

    monkeypatch.setattr(opening, "deal", watched)
    s = Setting(seeded(1, 1))
    first = value = s.emit("open_masked", s.share(np.ones(4, dtype=np.int64)), bits=30)
    for number in range(10):
        other = value if number < 9 else first
        product = s.emit(
            "product",
            value,
            other,
            ring=64,
            factors=("value", "value"),
            coefficients=((), ()),
            fractions=(0, 0),
        )
        value = s.emit("open_masked", product, bits=30)
    prepared = Prepared(s.end(product).program)
    list(Dealing(SEEDS, MASK_SEED).corrections(prepared.operations))
    assert (len(masks), most) == (11, 2)  # the first one, and the one just made
