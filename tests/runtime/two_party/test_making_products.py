"""Products that two parties make: the values that a dealer derives from the same masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mpcc.ir.diagnostics import MpccError
from tests.runtime.protocols import cases_local, cases_protocols  # noqa: F401
from tests.runtime.protocols.cases import CASES, Setting
from tests.runtime.protocols.choices import Choices, choices, seeded
from tests.runtime.protocols.harness import Prepared, seed_pair
from tests.runtime.two_party.making import made_and_dealt

KINDS = ("product", "segmented_polynomial", "matmul", "linear", "gain")
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # NumPy's, of scalars that wrap


def examine(kind: str, c: Choices) -> None:
    case = CASES[kind](c)
    prepared = Prepared(case.program)
    seeds = seed_pair(int(c.values.integers(2**40)))
    for slot in made_and_dealt(prepared, case.arrays, seeds, KINDS, c.values):
        assert np.array_equal(slot.made, slot.dealt), slot.slot


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(c=choices())
def test_generated_cases(kind: str, c: Choices) -> None:
    examine(kind, c)


@pytest.mark.parametrize("kind", KINDS)
def test_seeded_cases(kind: str) -> None:
    for number in range(20):
        examine(kind, seeded(number, number + 1000))


def test_a_weight_beyond_its_stated_bound_is_refused() -> None:
    s = Setting(seeded(0, 0))
    served = s.emit("serve", s.share(np.zeros((2, 3), dtype=np.int64)), bits=40)
    weight = s.source("weight", np.full((3, 2), -(1 << 20)))
    case = s.end(s.emit("linear", served, weight, weight_bits=20), to="public")
    with pytest.raises(MpccError, match="20 bits and more") as refused:
        list(made_and_dealt(Prepared(case.program), case.arrays, seed_pair(0), ("linear",), s.choices.values))
    assert refused.value.code == "MPC-R046"
