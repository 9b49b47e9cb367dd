"""A mixture's run looks the same from outside wherever its tokens go: every line executed, message, draw,
kernel call and index of either party, for every layout.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

from mpcc.passes.experts.layout import Layout
from tests.runtime.protocols.harness import seed_pair
from tests.security.experts.mixtures import Case, layouts
from tests.security.experts.trace import Trace, traced
from tests.security.views.controls import gathered_one_hots, work_that_depends_on_shares

NORMALISED = (("normalised", True),)
GATED = (("gated", True), ("activation", "silu"), *NORMALISED)
CASES = [
    *(Case(layout, 1) for layout in layouts(group=4, capacity=2)),
    *(Case(layout, 2, GATED) for layout in layouts(group=4, capacity=4)),
    # the model's own capacity
    *(Case(Layout("all", 4), k, (("capacity", 2), ("claims", "first"))) for k in (1, 2)),
    Case(Layout("outer", 4), 2, (("capacity", 3), ("claims", "scores"))),
    # a router in groups
    Case(Layout("outer", 4), 1, NORMALISED, experts=8),
    Case(Layout("dispatch", 2, capacity=2), 2, experts=8),
]
SEEDS = seed_pair(1)
Form = tuple[list[list[int]], int]


def observed(case: Case, x: np.ndarray) -> tuple[tuple[Trace, Trace], Form]:
    """Both traces, and the lengths of all that was sent and dealt."""
    traces, run = traced(case.prepared, case.sources(x), SEEDS)
    lengths = [[len(message) for message in sent] for sent in run.transcripts]
    return traces, (lengths, run.payload_bytes)


def differences(case: Case) -> list[str]:
    """How traces and lengths differ from those of the first input."""
    first, *others = case.inputs
    case.prepared.run(case.sources(case.inputs[first]), SEEDS)  # fills caches of what the program decides
    expected, lengths = observed(case, case.inputs[first])
    found = []
    for routing in others:
        traces, form = observed(case, case.inputs[routing])
        found += [f"{routing}: lengths {form}"] if form != lengths else []
        for party, (mine, other) in enumerate(zip(expected, traces, strict=True)):
            found += [f"{routing}, party {party}: {d}"] if (d := mine.difference(other)) else []
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_run_looks_the_same_wherever_tokens_go(case: Case) -> None:
    selections = {case.chosen(x).tobytes() for x in case.inputs.values()}
    assert len(selections) >= 5  # ties and what is beyond the range choose as others do
    assert differences(case) == []


CONTROL = Case(Layout("outer", 4), 2)


@pytest.mark.parametrize(
    ("weakness", "seen"), [(gathered_one_hots, "index"), (work_that_depends_on_shares, "kernel")]
)
def test_a_trace_shows_what_depends_on_routing(
    weakness: Callable[[], AbstractContextManager[None]], seen: str
) -> None:
    with weakness():
        found = differences(CONTROL)
    assert found
    assert all(seen in difference for difference in found)


def test_a_trace_has_every_kind_of_event() -> None:
    (trace, _), (lengths, _) = observed(CONTROL, CONTROL.inputs["evenly"])
    kinds = {str(event[0]) for event in trace.events}
    assert kinds == {"line", "reads", "writes", "sends", "receives", "draws", "kernel", "index"}
    assert sum(event[2] for event in trace.events if event[0] == "sends") == sum(lengths[0])
    assert {kind for kind, _, _ in trace.opened} == {"row_reaches", "exponential", "sine_series"}
