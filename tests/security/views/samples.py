"""Many views of one party as samples: each copy of each session is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mpcc.runtime.ring import U64
from tests.runtime.protocols.harness import seed_pair
from tests.security.views.collect import Event, Key, Parts, View, observing
from tests.security.views.subjects import Secret, Subject

SESSIONS = 8
WIDEST = 40  # bits of a wire that are compared with those of all others
MOST_ELEMENTS, MOST_ROWS = 2048, 4


@dataclass(frozen=True, eq=False)
class Wire:
    """A message, or a part of a slot: `values`[samples, elements] of so many bits."""

    values: U64
    bits: int

    @cached_property
    def spread(self) -> np.ndarray:
        """[samples, elements, bits], the lowest first."""
        octets = np.ascontiguousarray(self.values)[..., None].view(np.uint8)
        return np.unpackbits(octets, axis=-1, bitorder="little", count=self.bits)

    @property
    def flat(self) -> np.ndarray:
        """[samples, bits]."""
        return self.spread.reshape(len(self.values), -1)


Wires = dict[Key, Wire]


@dataclass(frozen=True)
class Sample:
    """What an observer's `View` has, `each` samples a session, one session after another."""

    drawn: Wires
    received: Wires
    learned: Wires
    results: Wires
    revealed: Wires
    each: int

    @property
    def masked(self) -> list[Wire]:
        """What must be uniform, and independent of everything."""
        return [wire for part in (self.drawn, self.received, self.learned) for wire in part.values()]

    @property
    def unrevealed(self) -> Sample:
        return replace(self, revealed={})


PARTS = ("drawn", "received", "learned", "results", "revealed")
Views = list[tuple[View, View]]  # of sessions of one program: both parties'


def sampled(views: Views, observer: int, copies: int, names: Sequence[str] = PARTS) -> Sample:
    """Of a program whose copies are its first axis; no more than the parts of these names."""

    def together(parts: list[Parts]) -> Wires:
        values = {key: [part[key].of_copies(copies) for part in parts] for key in parts[0]}
        return {key: Wire(np.concatenate(found), parts[0][key].bits) for key, found in values.items()}

    parts = {name: [getattr(both[observer], name) for both in views] for name in names}
    return Sample(**{name: together(parts.get(name, [{}])) for name in PARTS}, each=copies)


def by_operation(views: Views, observer: int) -> list[Sample]:
    """Of any program: a sample for each operation and number of elements. Each element counts as a copy, or
    the first ones of many.
    """
    groups: dict[tuple[str, int], dict[str, Wires]] = {}
    for name in PARTS:
        parts: list[Parts] = [getattr(both[observer], name) for both in views]
        for key, first in parts[0].items():
            count = first.values.size // first.rows
            found = [part[key].of_copies(count)[:MOST_ELEMENTS, :MOST_ROWS] for part in parts]
            group = groups.setdefault((key[1], count), {name: {} for name in PARTS})
            group[name][key] = Wire(np.concatenate(found), first.bits)
    return [Sample(**group, each=min(count, MOST_ELEMENTS)) for (_, count), group in groups.items() if count]


def forms(views: Views) -> list[tuple[list[Event], list[Event]]]:
    """What both parties did in each session, without contents."""
    return [(first.events, second.events) for first, second in views]


def sessions(
    subject: Subject,
    observer: int,
    secret: Secret,
    first: int,
    seeds: Callable[[int], tuple[bytes, bytes]] = seed_pair,
) -> Views:
    """Runs of numbers from `first` on, with fresh randomness each."""
    views = []
    for number in range(first, first + SESSIONS):
        case = subject.case(observer, secret, number)
        with observing(subject.prepared.linked) as seen:
            subject.prepared.run(case.arrays, seeds(number))
        views.append(seen.views)
    return views


def columns(wires: Iterable[Wire], widest: int = WIDEST) -> np.ndarray:
    """Bits [samples, columns]: so many of each wire, evenly spread, or all."""
    wires = list(wires)
    places = [np.linspace(0, w.flat.shape[1] - 1, min(widest, w.flat.shape[1])).astype(int) for w in wires]
    return np.concatenate([w.flat[:, chosen] for w, chosen in zip(wires, places, strict=True)], axis=1)
