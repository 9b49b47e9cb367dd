"""The knapsack against trying everything."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mpcc.compiler.choose.solve import cheapest


def brute_force(costs: list[list[float]], errors: list[list[float]], budget: float) -> float:
    """The least cost within the budget, infinite when there is none."""
    best = math.inf
    for picks in itertools.product(*(range(len(c)) for c in costs)):
        if sum(errors[n][i] for n, i in enumerate(picks)) <= budget:
            best = min(best, sum(costs[n][i] for n, i in enumerate(picks)))
    return best


@pytest.mark.parametrize("seed", range(20))
def test_as_cheap_as_the_best_of_all(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 6, 5)
    costs = [generator.random(size).tolist() for size in sizes]
    errors = [(10.0 ** generator.uniform(-12, -2, size)).tolist() for size in sizes]
    least = sum(map(min, errors))
    for budget in (least, 2 * least, 30 * least, 1.0):
        picked = cheapest(costs, errors, budget)
        assert picked is not None
        assert sum(errors[n][i] for n, i in enumerate(picked)) <= budget * (1 + 1e-6)
        assert sum(costs[n][i] for n, i in enumerate(picked)) == pytest.approx(
            brute_force(costs, errors, budget * (1 + 1e-6))
        )


def test_a_budget_that_nothing_keeps() -> None:
    assert cheapest([[1.0, 2.0]], [[0.5, 0.25]], 0.2) is None
    assert cheapest([[1.0, 2.0]], [[0.5, 0.25]], 0.25) == [1]


def test_equals_and_the_empty_choice() -> None:
    assert cheapest([], [], 0.0) == []
    assert cheapest([[1.0, 1.0, 1.0]], [[0.5, 0.5, 0.7]], 1.0) == [0]
    assert cheapest([[1.0]], [[0.0]], 0.0) == [0]
