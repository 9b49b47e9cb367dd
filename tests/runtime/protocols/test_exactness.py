"""A hundredth of the large run of tests/benchmarks/exactness.py: 10^6 truncations, 10^5 of other checks."""

from __future__ import annotations

import math

import pytest

from tests.benchmarks.exactness import CHECKS, TRUNCATIONS, Job, jobs, perform

ALL = list(jobs(0.01))


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_no_element_is_wrong(check: str) -> None:
    outcomes = [perform(job) for job in ALL if job.check == check]
    assert sum(o.elements for o in outcomes) >= 5000
    assert sum(o.wrong for o in outcomes) == 0


@pytest.mark.parametrize("parameters", TRUNCATIONS, ids=str)
def test_truncation_is_unbiased(parameters: tuple[int, ...]) -> None:
    """The mean error over uniform inputs: its deviation is below 1 / sqrt(6 n), six of these are allowed."""
    outcome = perform(Job("truncation", parameters, 200_000, 77))
    assert outcome.error < 1
    assert abs(outcome.sum / outcome.elements) < 6 / math.sqrt(6 * outcome.elements)
