"""What the parties send and learn in a mixture's run is uniform, bit by bit and together, wherever tokens
go.
"""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.passes.experts.layout import Layout
from tests.runtime.protocols.harness import seed_pair
from tests.security.experts.controls import one_stream_for_all_masks, without_masks
from tests.security.experts.mixtures import Case, layouts
from tests.security.experts.openings import View, columns, view
from tests.security.experts.statistics import RARE, balance, difference, groups, relation

COPIES = 251  # prime, so that no other axis is taken for the copies
SESSIONS = 3
ROUTINGS = ("all to the first", "all to the last")


def copies(layout: Layout, top_k: int) -> Case:
    return Case(layout, top_k, tokens=2, lead=(COPIES,))


CASES = [copies(layout, 1 + number % 2) for number, layout in enumerate(layouts(group=2, capacity=1))]
PLAIN = copies(Layout("outer", 4), 2)


def shown(case: Case, routing: str) -> View:
    """Every routing in sessions of its own."""
    first = 100 * ROUTINGS.index(routing)
    sources = case.sources(case.inputs[routing])
    return view(case.prepared, sources, COPIES, range(first, first + SESSIONS))


def uniformity(one: View) -> float:
    """The smallest p-value of all tests of single wires, times the number of wires."""
    wires = [bits for part in one.parts for bits in part.values()]
    return min(min(groups(bits), balance(bits.reshape(len(bits), -1))) for bits in wires) * 2 * len(wires)


def change(one: View, other: View) -> float:
    """Of two views, by the bits that differ most."""
    return 3 * min(
        difference(columns(mine), columns(others))
        for mine, others in zip(one.parts, other.parts, strict=True)
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_crosses_is_uniform_wherever_tokens_go(case: Case) -> None:
    first, last = (shown(case, routing) for routing in ROUTINGS)
    for found in (first, last):
        assert uniformity(found) > RARE
    assert change(first, last) > RARE


def test_no_bit_tells_another() -> None:
    """The logits' openings, which serve all their comparisons, and the bits of these among them."""
    found = shown(PLAIN, "all to the last")
    kinds = [kind for kind, _, _ in found.learned]
    assert kinds.count("less_than") >= 2
    assert {"open_masked", "one_hot", "exponential", "row_reaches", "sine_series"} <= set(kinds)
    for part in found.parts:
        assert relation(columns(part)) > RARE


def test_a_mask_used_twice_is_noticed() -> None:
    """The answer is right all the same, and each opening is uniform on its own."""
    with one_stream_for_all_masks():
        run = PLAIN.prepared.run(PLAIN.sources(PLAIN.inputs["evenly"]), seed_pair(1))
        found = shown(PLAIN, "all to the first")
    assert np.abs(PLAIN.answer(run) - PLAIN.lowered.expected).max() < 0.01
    assert uniformity(found) > RARE
    assert relation(columns(found.learned)) < RARE


@pytest.mark.parametrize("kind", ["open_masked", "open_bits", "less_than", "one_hot", "serve", "truncate"])
def test_a_missing_mask_is_noticed(kind: str) -> None:
    names = {o.result.name for o in PLAIN.prepared.operations if o.kind == kind}
    with without_masks(names.__contains__):
        run = PLAIN.prepared.run(PLAIN.sources(PLAIN.inputs["evenly"]), seed_pair(1))
        first, last = (shown(PLAIN, routing) for routing in ROUTINGS)
    assert np.abs(PLAIN.answer(run) - PLAIN.lowered.expected).max() < 0.01
    assert uniformity(first) < RARE
    assert change(first, last) < RARE or kind == "truncate"  # whose values are tiny in their ring
