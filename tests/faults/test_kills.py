"""kill -9 of either party and of the dealer at random points; `python -m tests.faults` does it more often."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.faults.dealer_kills import NAMES, DealerKills
from tests.faults.kills import Kills
from tests.faults.preparation_kills import PreparationKills
from tests.faults.setting import Setting
from tests.faults.works import Work, compiled, small


@pytest.mark.parametrize(("make", "runs"), [(small, 8), (compiled, 4)])
def test_a_party_is_killed(tmp_path: Path, make: Callable[[Path], Work], runs: int) -> None:
    kills = Kills(Setting(tmp_path, 2 * runs + 2, make), Random())
    for number in range(runs):
        kills.run(number % 2)


@pytest.mark.parametrize(("tls", "runs"), [(False, 4), (True, 1)])
def test_a_party_is_killed_that_prepares(tmp_path: Path, tls: bool, runs: int) -> None:
    """No seed is used again, and no session is of use that only one party has."""
    kills = PreparationKills(tmp_path, Random(), tls)
    for number in range(runs):
        kills.run(number % 2)
    found = kills.seeds_and_payloads()
    assert len(found) == len(set(found))


def test_the_dealer_or_whom_it_deals_to_is_killed(tmp_path: Path) -> None:
    with contextlib.closing(DealerKills(tmp_path, Random())) as dealing:
        for number in range(2 * len(NAMES)):
            dealing.run(number % len(NAMES))
