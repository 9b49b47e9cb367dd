"""Factors of functions that two parties make: close to those that a dealer derives from the same masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mpcc.runtime.protocols.base import ring_type
from mpcc.runtime.protocols.exponential import Scales
from mpcc.runtime.protocols.making_exponential import make_factors
from mpcc.runtime.ring import reduce, signed
from tests.runtime.protocols import cases_local, cases_protocols  # noqa: F401
from tests.runtime.protocols.cases import CASES
from tests.runtime.protocols.choices import Choices, choices, seeded
from tests.runtime.protocols.harness import Prepared, seed_pair
from tests.runtime.two_party.ideal import run_ideal
from tests.runtime.two_party.making import Made, made_and_dealt

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # NumPy's, of scalars that wrap


def made(kind: str, c: Choices) -> list[Made]:
    case = CASES[kind](c)
    seeds = seed_pair(int(c.values.integers(2**40)))
    return list(made_and_dealt(Prepared(case.program), case.arrays, seeds, (kind,), c.values))


def errors(slot: Made) -> np.ndarray:
    """In units of the dealt integers."""
    ring = ring_type(slot.operation).ring
    return np.abs(signed(reduce(slot.made - slot.dealt, ring), ring)).astype(np.float64)


def examine(kind: str, c: Choices) -> None:
    for slot in made(kind, c):
        if kind == "exponential":
            s = Scales(slot.operation)
            allowed = 3 * (slot.dealt * 2.0**-s.s0 + 1)
        else:
            allowed = np.full(slot.dealt.shape, 2.0)
        assert (errors(slot) <= allowed).all()


@pytest.mark.parametrize("kind", ["exponential", "sine_series"])
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(c=choices())
def test_generated_cases(kind: str, c: Choices) -> None:
    examine(kind, c)


@pytest.mark.parametrize("kind", ["exponential", "sine_series"])
def test_seeded_cases(kind: str) -> None:
    for number in range(20):
        examine(kind, seeded(number, number + 1000))


@pytest.mark.parametrize(
    ("j", "f", "fraction"),  # bits of the opening, of the argument's fraction and of both factors
    [
        (21, 16, 60),
        (21, 16, 62),
        (20, 16, 60),
        (18, 16, 62),
        (13, 12, 62),
        (6, 0, 60),
        (3, 0, 20),
        (2, 4, 10),
    ],
)
def test_factors_of_long_and_of_precise_exponentials(j: int, f: int, fraction: int) -> None:
    """Every mask's error in the result, for the largest public factor that is used with it."""
    generator, half = np.random.default_rng(j), 2.0 ** (j - f - 1)
    s0 = (fraction - math.ceil(half * math.log2(math.e))) // 2
    s1 = fraction - s0
    parts = generator.integers(0, 2**j, size=(2, 20000)).astype(np.uint64)
    makings = [[make_factors(j, f, s0, s1, parts[party], 64, party)] for party in (0, 1)]
    [one], [other], _ = run_ideal((makings[0], makings[1]), generator)
    t = reduce(parts[0] + parts[1], j)
    arguments = np.stack([signed(t, j) * 2.0**-f - half, t * 2.0**-f - 2 * half])
    error = np.abs((one + other).view(np.int64) - np.exp(arguments) * 2.0**s1) * 2.0**-s1
    largest = np.minimum(np.exp(half), np.exp(-arguments))
    assert (error * largest).max() < 4 * 2.0**-s0
