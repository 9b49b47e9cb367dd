"""All that a party receives while correlations are made: one form, and uniform, whatever the secrets are.

The parties' masks are one number for all elements and sessions, or new ones all the time; the weights are one
number. All randomness of the making itself is new. Every message but the points of base OTs is looked at, in
the domain in which it should be uniform.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mpcc.runtime.two_party.ot.silent_parameters import SHORT, Stages
from tests.runtime.protocols.harness import seed_pair
from tests.runtime.two_party.sessions import Made
from tests.security.two_party import controls
from tests.security.two_party.controls import Control
from tests.security.two_party.observed import Views, programs, small_programs, views
from tests.security.two_party.verdicts import of_sessions
from tests.security.views.controls import one_for_all, weakened
from tests.security.views.verdicts import noticed

FEW = ("truncate", "less_than", "one_hot")
ELEMENTS = 4096  # of the few


def fixed(made: Sequence[Made], seed: int, stages: Stages = ()) -> Views:
    """One mask for all elements and sessions."""
    with weakened(one_for_all):
        return views(made, [seed_pair(seed)] * 2, stages)


def forms(seen: Views) -> list[list[tuple[str, int]]]:
    return [session.form for party in seen for session in party]


def alarms(seen: Views) -> list[set[str]]:
    """What is noticed in each party's view."""
    return [noticed(of_sessions(party)) for party in seen]


def test_messages_are_uniform_and_of_one_form() -> None:
    one, many = fixed(programs(1), 1), views(programs(-1), [seed_pair(3), seed_pair(4)])
    assert alarms(one) == alarms(many) == [set(), set()]
    assert forms(one) == forms(many)
    kinds = [{label for session in party for label in session.numbers} for party in one]
    transfers = {"Transfers._corrections", "Transfers._receive", "SoftSpokenSender.extend"}
    assert kinds[0] > transfers
    assert kinds[1] > transfers
    assert {"residues of Rlwe._receive_keys", "residues of Rlwe._receive_left"} <= kinds[0]
    assert {"slots for SlotEvaluator.__init__", "slots for SlotEvaluator.add_products"} <= kinds[0]
    assert {"words of replies"} <= kinds[1]
    assert any(label.startswith("slots for SlotEncryptor.phase") for label in kinds[1])


def test_messages_with_silent_ot() -> None:
    made = small_programs(1, ELEMENTS, FEW)
    one, many = fixed(made, 1, SHORT), views(made, [seed_pair(3), seed_pair(4)], SHORT)
    assert alarms(one) == alarms(many) == [set(), set()]
    assert forms(one) == forms(many)
    assert any("SilentReceiver._begin" in session.numbers for session in one[0])


@pytest.mark.parametrize(
    ("control", "name", "expected"),
    [
        (controls.wanted_bits_in_the_clear, "truncate", {"uniform", "neighbours", "sessions"}),
        (controls.values_in_the_clear, "truncate", {"uniform", "neighbours", "sessions"}),
        (controls.one_public_part, "products", {"sessions"}),
        (controls.one_public_part_of_slots, "sine_series", {"sessions"}),
    ],
)
def test_what_is_not_secure_is_noticed(control: Control, name: str, expected: set[str]) -> None:
    made = small_programs(1, ELEMENTS, [name]) or programs(1)[-2:-1]
    with control():
        seen = fixed(made, 1)
    assert set.union(*alarms(seen)) >= expected
