"""The cheapest choice within the error budget: a multiple-choice knapsack, solved exactly (HiGHS)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import csr_matrix

SLACK = 1e-9  # of the budget: sums in another order


def cheapest(
    costs: Sequence[Sequence[float]], errors: Sequence[Sequence[float]], budget: float
) -> list[int] | None:
    """One option for each node, with the least sum of costs whose sum of errors is within the budget.

    None when there is none. Dominated options are left out of the program first.
    """
    kept = [_undominated(c, e) for c, e in zip(costs, errors, strict=True)]
    if sum(min(errors[n][i] for i in k) for n, k in enumerate(kept)) > budget * (1 + SLACK):
        return None
    if not kept:
        return []
    owner = [n for n, k in enumerate(kept) for _ in k]
    option = [i for k in kept for i in k]
    size = len(option)
    cost = np.array([costs[n][i] for n, i in zip(owner, option, strict=True)])
    error = np.array([errors[n][i] for n, i in zip(owner, option, strict=True)])
    once = csr_matrix((np.ones(size), (owner, range(size))), shape=(len(kept), size))
    scale = budget if budget > 0 else 1.0
    result = milp(
        cost / (np.abs(cost).max() or 1.0),
        integrality=np.ones(size),
        bounds=(0, 1),
        constraints=[
            LinearConstraint(once, 1, 1),
            LinearConstraint(error[None, :] / scale, -np.inf, budget / scale * (1 + SLACK)),
        ],
    )
    if result.x is None:
        raise RuntimeError(f"the choice of approximations was not solved: {result.message}")
    chosen = [0] * len(kept)
    for n, i, x in zip(owner, option, result.x, strict=True):
        if x > 0.5:
            chosen[n] = i
    return chosen


def _undominated(costs: Sequence[float], errors: Sequence[float]) -> list[int]:
    """Options that no other one beats in both; of equals the first."""
    order = sorted(range(len(costs)), key=lambda i: (costs[i], errors[i], i))
    kept: list[int] = []
    for i in order:
        if not kept or errors[i] < errors[kept[-1]]:
            kept.append(i)
    return kept
