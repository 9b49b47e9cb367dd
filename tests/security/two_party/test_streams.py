"""Over the sessions of a connection no party takes randomness, an OT or a number of the hash twice."""

from __future__ import annotations

import pytest

from mpcc.runtime.two_party.ot.silent_parameters import SHORT, Stages
from tests.runtime.protocols.harness import seed_pair
from tests.security.two_party import controls
from tests.security.two_party.controls import Control
from tests.security.two_party.observed import programs, small_programs, views
from tests.security.two_party.streams import recording

OTS = {f"{what}, {side}" for what in ("OTs", "numbers of OTs") for side in ("sender", "receiver")}
FEW = ("truncate", "less_than")


@pytest.mark.parametrize("stages", [(), SHORT], ids=["SoftSpoken", "silent"])
def test_nothing_is_taken_twice(stages: Stages) -> None:
    made = small_programs(1, 1 << 14, FEW) if stages else programs(1)
    with recording() as uses:
        views(made, [seed_pair(1), seed_pair(2)], stages)
    trees = {"keys of trees", "roots of trees"} if stages else set()
    assert uses.kinds() == {"key stream", "leaves"} | OTS | trees
    assert uses.repeated() == set()


@pytest.mark.parametrize(
    ("control", "name", "expected"),
    [
        (controls.one_tweak, "truncate", {"numbers of OTs, sender", "numbers of OTs, receiver"}),
        (controls.one_extension, "truncate", {"leaves"}),
        (controls.one_public_part_of_slots, "sine_series", {"key stream"}),
        (controls.one_seed, "sine_series", {"key stream"}),
    ],
)
def test_what_is_taken_twice_is_noticed(control: Control, name: str, expected: set[str]) -> None:
    with control(), recording() as uses:
        views(small_programs(1, 1 << 12, [name]), [seed_pair(1), seed_pair(2)])
    assert uses.repeated() >= expected


def test_a_session_made_with_the_seeds_of_another_is_noticed() -> None:
    with recording() as uses:
        views(small_programs(1, 1 << 12, ["truncate"]), [seed_pair(1)] * 2)
    assert uses.repeated() == {"key stream"}
