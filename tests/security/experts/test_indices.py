"""Three operations look up tables at places that follow from what they open: both parties know these places,
and they are distributed alike wherever tokens go.
"""

from __future__ import annotations

import itertools
from contextlib import nullcontext

import numpy as np
import pytest

from mpcc.passes.experts.layout import Layout
from tests.runtime.protocols.harness import seed_pair
from tests.security.experts.mixtures import Case
from tests.security.experts.trace import OPENED, Trace, traced
from tests.security.views.controls import without_masks
from tests.security.views.statistics import RARE, distribution

COPIES = 251  # prime, so that no other number of elements is a multiple of it
SESSIONS = 2
ROUTINGS = ("all to the first", "all to the last")
CASE = Case(Layout("outer", 4), 2, tokens=2, lead=(COPIES,))


def places(trace: Trace) -> list[np.ndarray]:
    """Indices [COPIES, ..] of each place in the code, in order; some are taken for all copies at once, some
    for a row at a time.
    """
    found = []
    for _, group in itertools.groupby(trace.opened, key=lambda entry: entry[:2]):
        indices = [index for _, _, index in group]
        if indices[0].size % COPIES:
            indices = [np.stack(indices)]
        found += [index.reshape(COPIES, -1) for index in indices]
    return found


def sample(routing: str) -> list[np.ndarray]:
    """Indices [COPIES * SESSIONS, ..] of sessions that no other routing has."""
    first = 100 * ROUTINGS.index(routing)
    sessions = []
    for number in range(first, first + SESSIONS):
        (mine, other), _ = traced(CASE.prepared, CASE.sources(CASE.inputs[routing]), seed_pair(number))
        assert {kind for kind, _, _ in mine.opened} == set(OPENED)
        for index, others in zip(places(mine), places(other), strict=True):
            assert np.array_equal(index, others)
        sessions.append(places(mine))
    return [np.concatenate(indices) for indices in zip(*sessions, strict=True)]


@pytest.mark.parametrize("unmasked", [None, *OPENED])
def test_places_that_follow_from_openings_do_not_follow_the_routing(unmasked: str | None) -> None:
    """With a mask left out they do."""
    names = {o.result.name for o in CASE.prepared.operations if o.kind == unmasked}
    with without_masks(names.__contains__) if unmasked else nullcontext():
        first, last = (sample(routing) for routing in ROUTINGS)
    smallest = min(distribution(one, other) for one, other in zip(first, last, strict=True)) * len(first)
    assert (smallest > RARE) == (unmasked is None)
