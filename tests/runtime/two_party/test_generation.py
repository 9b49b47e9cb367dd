"""Correlations that the two parties make, of every kind: they are those that a dealer would derive from the
same masks, each party's are uniform, and programs run with them.

The requests are answered in the clear here: what is tested is what the protocols ask for and make of it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.two_party import schedule
from mpcc.runtime.two_party.schedule import derived
from tests.runtime.protocols import cases_local, cases_protocols  # noqa: F401
from tests.runtime.protocols.cases import CASES, Setting
from tests.runtime.protocols.choices import Choices, choices, seeded
from tests.runtime.protocols.harness import Prepared, seed_pair
from tests.runtime.protocols.uniformity import GROUP_BITS, assert_independent
from tests.runtime.two_party.ideal import IdealRunner, ideal_runners
from tests.runtime.two_party.sessions import KINDS, NUMBERS, Made, large_programs, made, slots_of, unpacked

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # NumPy's, of scalars that wrap
SESSIONS = 3
BLOCK = 1024  # elements of one kind lie so many, or a multiple, one after another


def test_every_kind_with_derived_slots_is_made() -> None:
    operations = [
        o for kind in CASES for number in NUMBERS[:3] for o in made(kind, number).prepared.operations
    ]
    assert sorted({operation.kind for operation in operations if derived(operation)}) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_parts_combine_to_what_a_dealer_derives(kind: str) -> None:
    for number in NUMBERS:
        m, seeds = made(kind, number), seed_pair(number)
        m.assert_dealt(m.pieces(seeds), seeds)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(c=choices())
def test_generated_parts_combine_to_what_a_dealer_derives(kind: str, c: Choices) -> None:
    case = CASES[kind](c)
    m, seeds = Made(Prepared(case.program), case.arrays), seed_pair(int(c.values.integers(2**40)))
    m.assert_dealt(m.pieces(seeds), seeds)


def test_a_weight_beyond_its_stated_bound_is_refused() -> None:
    s = Setting(seeded(0, 0))
    served = s.emit("serve", s.share(np.zeros((2, 3), dtype=np.int64)), bits=40)
    weight = s.source("weight", np.full((3, 2), -(1 << 20)))
    case = s.end(s.emit("linear", served, weight, weight_bits=20), to="public")
    with pytest.raises(MpccError, match="20 bits and more") as refused:
        Made(Prepared(case.program), case.arrays).pieces(seed_pair(0))
    assert refused.value.code == "MPC-R046"


@pytest.mark.parametrize("kind", KINDS)
def test_programs_run_with_them(kind: str) -> None:
    for number in NUMBERS:
        case = CASES[kind](seeded(number, number + 1000))
        run = Made(Prepared(case.program), case.arrays).run(seed_pair(number))
        replace(case, check=case.check_made or case.check).assert_correct(run)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_for_does_not_depend_on_secrets(kind: str) -> None:
    """Other masks, shares and weights of a program, the same sizes in the same order, at both parties."""
    for number in NUMBERS[:4]:
        asked: list[list[Any]] = []
        for values in (1, 2):
            m = made(kind, number, values)

            def ask(runner: IdealRunner, m: Made = m, values: int = values) -> list[Any]:
                list(m.generation(runner, seed_pair(values)).pieces())
                return runner.sizes

            asked += ideal_runners(ask)
        assert all(sizes == asked[0] for sizes in asked)


@pytest.mark.parametrize("m", large_programs(), ids=lambda m: m.name)
def test_each_party_makes_random_parts(m: Made) -> None:
    """The top bits of a part are uniform, and of different sessions independent.

    What they are beyond that is public: entries of one-hots add up to 1, the last block of a comparison may
    have fewer, wraps of squares are even.
    """
    # fixed seeds: of so many tests some would fail by chance
    runners = [partial(ideal_runners, seed=number) for number in range(SESSIONS)]
    sessions = [m.pieces(seed_pair(number), one) for number, one in enumerate(runners)]
    for index, (_, slot) in enumerate(slots_of(m.prepared.operations)):
        for party in (0, 1):
            parts, bits = [unpacked(slot, session[party][index]) for session in sessions], slot.bits
            samples = np.stack(parts).astype(np.uint64)
            if slot.boolean and bits == 64:  # packed planes
                samples, bits = np.unpackbits(samples.view(np.uint8), axis=1).astype(np.uint64), 1
            if samples.shape[1] < BLOCK:
                continue
            rows = samples.reshape(SESSIONS, -1, BLOCK)
            rows = rows[:, (rows >> np.uint64(max(0, bits - GROUP_BITS))).any(axis=(0, 2))]
            assert rows.size
            assert_independent(rows, np.zeros_like(rows), bits)
            assert_independent(rows[1:], rows[:-1], bits)


@pytest.mark.parametrize("limit", [1, 1 << 12])
def test_windows_are_bounded_and_change_nothing(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for m in large_programs():
        monkeypatch.setattr(schedule, "WINDOW_BYTES", limit)
        operations = m.prepared.operations
        cut = [window.operations for window in schedule.schedule(operations)]
        assert [i for window in cut for i in window] == list(range(len(operations)))
        for window in cut:
            sizes = [sum(s.expanded_bytes for s in derived(operations[i])) for i in window]
            assert sum(sizes) <= limit or len([size for size in sizes if size]) == 1
        seeds = seed_pair(1)
        for (_, slot), one, other, whole in zip(
            slots_of(operations), *m.pieces(seeds), m.dealt(seeds), strict=True
        ):
            assert len(one) == len(other) == len(whole) == slot.correction_bytes
