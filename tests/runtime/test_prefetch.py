"""Correlations expanded ahead: the same parts, once, within a budget, and an end whatever happens."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from mpcc.runtime.correlations.draw import CorrelationSource
from mpcc.runtime.correlations.prefetch import Draw, Prefetch
from mpcc.runtime.correlations.slots import Role, Slot

SLOTS = [Slot("mask", Role.UNIFORM, 100, 30), Slot("private", Role.PARTY0, 7, 1)]
DRAWS: list[Draw] = [(f"v{i}", SLOTS) for i in range(20)] + [("none", [])]


def source() -> CorrelationSource:
    return CorrelationSource(0, b"k" * 16, memoryview(b""), {})


@pytest.mark.parametrize("budget", [0, 1000, 1 << 20])
def test_the_same_parts_as_without(budget: int) -> None:
    with Prefetch(source(), DRAWS, budget) as prefetch:
        prefetch.wait()
        for name, slots in DRAWS:
            expected = source().draw(name, slots)
            parts = prefetch.draw(name, slots)
            assert parts.keys() == expected.keys()
            for slot, part in parts.items():
                assert np.array_equal(part, expected[slot])


def test_what_was_not_announced_is_drawn_at_once() -> None:
    with Prefetch(source(), DRAWS[:2]) as prefetch:
        assert np.array_equal(prefetch.draw("v5", SLOTS)["mask"], source().draw("v5", SLOTS)["mask"])


@pytest.mark.parametrize("name", ["v0", "v19", "unannounced"])
def test_a_correlation_is_used_once(name: str) -> None:
    with Prefetch(source(), DRAWS) as prefetch:
        prefetch.draw(name, SLOTS)
        with pytest.raises(RuntimeError, match="already used"):
            prefetch.draw(name, SLOTS)


def test_the_budget_bounds_what_is_ready() -> None:
    drawn: list[str] = []

    class Watched(CorrelationSource):
        def draw(self, value_name: str, slots: list[Slot]) -> dict[str, np.ndarray]:
            drawn.append(value_name)
            return super().draw(value_name, slots)

    with Prefetch(Watched(0, b"k" * 16, memoryview(b""), {}), DRAWS, budget=2000) as prefetch:
        prefetch.wait()
        assert len(drawn) == 3  # 856 bytes each: the third passes the budget
        prefetch.draw("v0", SLOTS)
        prefetch.draw("v1", SLOTS)
        prefetch.wait()
        assert len(drawn) == 5


def test_a_failure_reaches_whoever_waits() -> None:
    class Broken(CorrelationSource):
        def draw(self, value_name: str, slots: list[Slot]) -> dict[str, np.ndarray]:
            raise ValueError("damaged")

    with Prefetch(Broken(0, b"k" * 16, memoryview(b""), {}), DRAWS) as prefetch:
        with pytest.raises(ValueError, match="damaged"):
            prefetch.draw("v3", SLOTS)
        with pytest.raises(ValueError, match="damaged"):
            prefetch.wait()


def test_the_thread_ends_with_the_block() -> None:
    before = set(threading.enumerate())
    with pytest.raises(KeyError), Prefetch(source(), DRAWS, budget=0):
        raise KeyError("stop")
    assert set(threading.enumerate()) <= before
