"""Comparisons read openings that others need, too: differences, more bits than are compared, dropped bits."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.ir.program import Value
from mpcc.runtime.protocols import protocols
from tests.runtime.protocols.cases import Setting
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.harness import Prepared, predicted


def learned(s: Setting, bits: Value, count: int) -> np.ndarray:
    """[count, n] of 0 and 1, from one integer an element."""
    case = s.end(_as_integer(s, bits, count), to="party1")
    run = Prepared(case.program).run(case.arrays)
    assert run.sent == predicted(case.program)
    return run.outputs[1]["y"] >> np.arange(count).reshape(-1, *(1,) * run.outputs[1]["y"].ndim) & 1


def _as_integer(s: Setting, bits: Value, count: int) -> Value:
    row = (0, *(1 << i for i in range(count)))
    opened = s.emit("open_bits", bits)
    return s.emit("product", opened, factors=("bits",), coefficients=(row,), fractions=(0,))


@pytest.mark.parametrize(("bits", "opened"), [(8, 8), (20, 33), (36, 36), (38, 40), (63, 63), (64, 64)])
def test_pairs_of_a_row_from_one_opening(bits: int, opened: int) -> None:
    """All pairs (i, j): views of one opening and their difference, up to the ends of what its bits hold."""
    generator = np.random.default_rng(bits)
    x = generator.integers(-(1 << (bits - 2)), 1 << (bits - 2), size=(40, 6))
    x[:8, :2] = (-(1 << (bits - 2)), (1 << (bits - 2)) - 1)
    x[8:20, 3] = x[8:20, 4]
    x[20:30, 3] = x[20:30, 4] + 1
    first, second = (tuple(int(i) for i in side) for side in np.triu_indices(6, 1))
    s = Setting(seeded(1, 2))
    masked = s.emit("open_masked", s.share(x), bits=opened)
    sides = [s.emit("take", masked, axis=1, indices=side) for side in (first, second)]
    difference = s.emit("sub", *sides)
    below = s.emit("less_than", difference, bits=bits, width=6, thresholds=(0,))
    (result,) = learned(s, below, 1)
    assert np.array_equal(result, x[:, first] < x[:, second])
    operations = s.builder.program.operations
    assert sum(o.kind == "open_masked" for o in operations) == 1


@pytest.mark.parametrize(("bits", "drop"), [(9, 1), (9, 4), (20, 13), (33, 31)])
def test_dropped_bits_are_rounded_either_way(bits: int, drop: int) -> None:
    """As by a shift: less than a unit off, exact for multiples, and at the threshold either of both."""
    unit, thresholds = 1 << drop, (-3, 0, 17)
    around = np.array([t * unit + d for t in thresholds for d in (-unit, -unit // 2, -1, 0, 1, unit)])
    x = np.repeat(around, 400)
    s = Setting(seeded(3, 4))
    masked = s.emit("open_masked", s.share(x), bits=bits + drop)
    below = s.emit("less_than", masked, bits=bits, width=4, drop=drop, thresholds=thresholds)
    result = learned(s, below, len(thresholds))
    floor = x >> drop
    for row, t in zip(result, thresholds, strict=True):
        down, up = floor < t, -(-x >> drop) < t
        assert ((row == down) | (row == up)).all()
        uncertain = row[down != up]
        assert 0.1 < uncertain.mean() < 0.9


def test_one_block_takes_no_tick_and_sends_nothing() -> None:
    s = Setting(seeded(5, 6))
    masked = s.emit("open_masked", s.share(np.arange(-32, 32)), bits=30)
    below = s.emit("less_than", masked, bits=7, width=6, thresholds=(-5,))
    (operation,) = [o for o in s.builder.program.operations if o.result is below]
    assert protocols["less_than"].messages(operation) == []
    assert np.array_equal(learned(s, below, 1)[0], np.arange(-32, 32) < -5)
