"""F = W - B, the only message that a weight enters: uniform, and alike for all weights."""

from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.protocols.cases import Case, Setting
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.harness import Prepared, seed_pair
from tests.security.views.collect import observing
from tests.security.views.samples import Sample, Views, by_operation, columns
from tests.security.views.statistics import RARE, relation
from tests.security.views.verdicts import likeness, noticed, of_all, uniformity

SESSIONS = 4
WEIGHTS = {
    "zeros": np.zeros((45, 45)),
    "alike": np.full((45, 45), 3),
    "large": np.full((45, 45), -(2**40)),
    "mixed": np.random.default_rng(1).integers(-(2**20), 2**20, (45, 45)),
}


def twice(weight: np.ndarray) -> Case:
    """One served value times one weight, two times."""
    setting = Setting(seeded(0, 0))
    served = setting.emit("serve", setting.share(np.ones((1, 45), dtype=np.int64)), bits=37)
    source = setting.source("weight", weight.astype(np.int64))
    return setting.end(setting.emit("add", *(setting.emit("linear", served, source) for _ in range(2))))


PREPARED = Prepared(twice(WEIGHTS["zeros"]).program)


def received(name: str, first: int, mask_seeds: int = 10**6) -> list[Sample]:
    """Party 1's differences, in sessions of several stores: each with its own masks of weights."""
    views: Views = []
    for number in range(first, first + SESSIONS):
        with observing(PREPARED.linked) as seen:
            PREPARED.run(twice(WEIGHTS[name]).arrays, seed_pair(number), seed_pair(number + mask_seeds)[0])
        seen.views[1].received = seen.views[1].differences
        views.append(seen.views)
    return [sample for sample in by_operation(views, 1) if sample.received]


@pytest.mark.parametrize("name", WEIGHTS)
def test_differences_are_uniform_for_any_weights(name: str) -> None:
    found = received(name, 0)
    assert len(found) == 2
    assert noticed(of_all([uniformity(sample) for sample in found])) == set()
    sides = [columns(sample.received.values()) for sample in found]
    assert relation(np.concatenate(sides, axis=1)) > RARE  # each use of a weight has a mask of its own


@pytest.mark.parametrize("name", [name for name in WEIGHTS if name != "zeros"])
def test_differences_are_alike_for_any_weights(name: str) -> None:
    pairs = zip(received("zeros", 0), received(name, SESSIONS), strict=True)
    assert noticed(of_all([likeness(*pair) for pair in pairs])) == set()


def test_two_weights_under_one_mask_are_noticed() -> None:
    """Why a store is bound to one version of the weights."""
    one, other = received("alike", 0), received("large", 0)
    sides = [columns(found[0].received.values()) for found in (one, other)]
    assert relation(np.concatenate(sides, axis=1)) < RARE
