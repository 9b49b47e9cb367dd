"""What the parties send and learn in a mixture's run is uniform, bit by bit and together, wherever tokens
go.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mpcc.passes.experts.layout import Layout
from tests.runtime.protocols.harness import seed_pair
from tests.security.experts.mixtures import Case, layouts
from tests.security.views.collect import observing
from tests.security.views.controls import one_stream_for_all_masks, without_masks
from tests.security.views.samples import Sample, columns, sampled
from tests.security.views.statistics import RARE, balance, difference, groups, relation

COPIES = 251  # prime, so that no other axis is taken for the copies
SESSIONS = 3
ALL = 1 << 30
ROUTINGS = ("all to the first", "all to the last")


def copies(layout: Layout, top_k: int) -> Case:
    return Case(layout, top_k, tokens=2, lead=(COPIES,))


CASES = [copies(layout, 1 + number % 2) for number, layout in enumerate(layouts(group=2, capacity=1))]
PLAIN = copies(Layout("outer", 4), 2)


def shown(case: Case, routing: str) -> list[Sample]:
    """What both parties receive and learn. Every routing in sessions of its own."""
    first, views = 100 * ROUTINGS.index(routing), []
    for number in range(first, first + SESSIONS):
        with observing(case.prepared.linked) as seen:
            case.prepared.run(case.sources(case.inputs[routing]), seed_pair(number))
        views.append(seen.views)
    return [sampled(views, observer, COPIES, ("received", "learned")) for observer in (0, 1)]


def uniformity(found: list[Sample]) -> float:
    """The smallest p-value of all tests of single wires, times the number of wires."""
    wires = [wire for one in found for wire in one.masked]
    return min(min(groups(wire.spread), balance(wire.flat)) for wire in wires) * 2 * len(wires)


def parts(found: list[Sample]) -> list[np.ndarray]:
    """All bits that each party receives, and all that it learns by them."""
    return [columns(part.values(), ALL) for one in found for part in (one.received, one.learned)]


def change(one: list[Sample], other: list[Sample]) -> float:
    """Of two routings, by the bits that differ most."""
    return 4 * min(itertools.starmap(difference, zip(parts(one), parts(other), strict=True)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_crosses_is_uniform_wherever_tokens_go(case: Case) -> None:
    first, last = (shown(case, routing) for routing in ROUTINGS)
    for found in (first, last):
        assert uniformity(found) > RARE
    assert change(first, last) > RARE


def test_no_bit_tells_another() -> None:
    """The logits' openings, which serve all their comparisons, and the bits of these among them."""
    found = shown(PLAIN, "all to the last")
    kinds = [kind for kind, _, _ in found[0].learned]
    assert kinds.count("less_than") >= 2
    assert {"open_masked", "one_hot", "exponential", "row_reaches", "sine_series"} <= set(kinds)
    for part in parts(found):
        assert relation(part) > RARE


def test_a_mask_used_twice_is_noticed() -> None:
    """The answer is right all the same, and each opening is uniform on its own."""
    with one_stream_for_all_masks():
        run = PLAIN.prepared.run(PLAIN.sources(PLAIN.inputs["evenly"]), seed_pair(1))
        found = shown(PLAIN, "all to the first")
    assert np.abs(PLAIN.answer(run) - PLAIN.lowered.expected).max() < 0.01
    assert uniformity(found) > RARE
    assert min(map(relation, parts(found))) < RARE


@pytest.mark.parametrize("kind", ["open_masked", "open_bits", "less_than", "one_hot", "serve", "truncate"])
def test_a_missing_mask_is_noticed(kind: str) -> None:
    names = {o.result.name for o in PLAIN.prepared.operations if o.kind == kind}
    with without_masks(names.__contains__):
        run = PLAIN.prepared.run(PLAIN.sources(PLAIN.inputs["evenly"]), seed_pair(1))
        first, last = (shown(PLAIN, routing) for routing in ROUTINGS)
    assert np.abs(PLAIN.answer(run) - PLAIN.lowered.expected).max() < 0.01
    assert uniformity(first) < RARE
    assert change(first, last) < RARE or kind == "truncate"  # whose values are tiny in their ring
