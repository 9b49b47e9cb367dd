"""What a reply under encryption tells the owner of the secret key: nothing but its share, whatever party 0's
numbers are, small or large.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mpcc.runtime.two_party.rlwe.matrix_product import Sizes
from mpcc.runtime.two_party.rlwe.ole_parameters import slot_parameters
from tests.security.two_party import controls
from tests.security.two_party.controls import Control
from tests.security.two_party.observed import Numbers
from tests.security.two_party.replies import Replies, matrix_replies, slot_replies
from tests.security.two_party.verdicts import likeness, uniformity
from tests.security.views.verdicts import noticed

SIZES: Sizes = ((1, 64, 32, 128), 4, 12)
STEPS = 1 << 40  # of the flood's width, in which phases are whole numbers


def slots(largest: bool) -> Replies:
    """Party 0's numbers are the most and the least that they can be, in turns without a pattern, or 0."""
    parameters = slot_parameters((8, 8), 2)
    u, v = np.random.default_rng(1).integers(-128, 128, (2, 4, 2, parameters.degree))
    return slot_replies(parameters, np.where(u < 0, -128, 127) if largest else np.zeros_like(u), v)


def matrices(largest: bool) -> Replies:
    right = np.full((1, 32, 128), 16 if largest else 0, dtype=np.int32)
    return matrix_replies(SIZES, right, 3)


KINDS: dict[str, Callable[[bool], Replies]] = {"slots": slots, "matrices": matrices}


def alarms(one: Replies, other: Replies) -> set[str]:
    """`known`: how party 1's two candidates compare before it takes off what it guesses of the noise."""
    found: dict[str, float] = {}
    for replies in (one, other):
        for name, value in (("c1 and masks", replies.numbers()), ("flood", [flood_of(replies)])):
            found[name] = min(found.get(name, 1.0), *uniformity(value).values())
    alike = {f"known {name}": p for name, p in likeness(one.known, other.known).items()}
    return noticed(found | alike)


def flood_of(replies: Replies) -> Numbers:
    parts = np.clip(replies.phase, 0, 1 - 1 / STEPS)
    return Numbers((parts * STEPS).astype(np.uint64), STEPS)


@pytest.mark.parametrize("kind", KINDS)
def test_replies_are_alike_for_any_factor(kind: str) -> None:
    one, other = KINDS[kind](False), KINDS[kind](True)
    assert alarms(one, other) == set()
    for replies in (one, other):
        assert -(2.0**-38) < replies.known.min() < replies.known.max() < 1 + 2.0**-38
    assert np.abs(other.known - other.phase).max() < 2.0**-38  # what the guess took off


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (controls.without_floods, {"flood", "known variance", "known smirnov"}),
        (controls.without_zero_encryptions, {"c1 and masks"}),
        (controls.one_zero_encryption_key, {"c1 and masks"}),
    ],
)
def test_what_is_not_secure_is_noticed(kind: str, control: Control, expected: set[str]) -> None:
    with control():
        found = alarms(KINDS[kind](False), KINDS[kind](True))
    assert found >= expected


def test_one_seed_for_several_replies_is_noticed() -> None:
    with controls.one_seed():
        assert "c1 and masks" in alarms(matrices(False), matrices(True))


def test_each_statistic_notices_floods_that_depend_on_the_factor() -> None:
    """As wide as its own noise asks for, not as the largest that there can be."""
    one = slots(True)
    with controls.floods_of(lambda bits: bits - 1):
        other = slots(False)
    assert alarms(one, other) >= {"known mean", "known variance", "known tails", "known smirnov"}
