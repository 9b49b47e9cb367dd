"""What an elementwise product is dealt; factors beyond one masked polynomial."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.ir.program import Operation, Value
from mpcc.runtime.correlations import plan
from mpcc.runtime.protocols import protocols
from tests.runtime.protocols.cases import Setting
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.harness import Prepared

Shape = tuple[int, ...]
Row = tuple[int, ...]
SQUARE = (0, 0, 1)


def product(s: Setting, operands: list[Value], rows: list[Row], ring: int) -> Value:
    """A factor with an empty row is a value's, one of masked bits theirs, any other a polynomial."""
    kinds = [
        "bits" if v.type.sharing == "masked_bits" else "polynomial" if row else "value"  # type: ignore[union-attr]
        for v, row in zip(operands, rows, strict=True)
    ]
    return s.emit(
        "product",
        *operands,
        ring=ring,
        factors=tuple(kinds),
        coefficients=tuple(rows),
        fractions=(0,) * len(rows),
    )


def the_operation(s: Setting, value: Value) -> Operation:
    return next(o for o in s.builder.program.operations if o.results == (value,))


def dealt(values: list[tuple[Shape, int]], bits: Shape, rows: list[Row], ring: int) -> dict[str, Shape]:
    """Elements and bits of each slot; `values`: shapes and openings."""
    s = Setting(seeded(0, 0))
    operands = [s.emit("open_masked", s.share(np.zeros(shape, np.int64)), bits=k) for shape, k in values]
    if bits:
        operands.append(s.emit("open_bits", s.bits(bits)))
    operation = the_operation(s, product(s, operands, rows, ring))
    slots = protocols["product"].slots(operation)
    assert plan.correction_bytes(operation) == sum(-(-slot.count * slot.bits // 8) for slot in slots)
    return {slot.name: (slot.count, slot.bits) for slot in slots}


@pytest.mark.parametrize(
    ("widths", "bits", "rows", "ring", "expected"),
    [
        (
            (20, 24),
            0,
            [(), ()],
            52,
            {"atoms": (3, 52), "wraps_z": (2, 32), "wraps_w": (2, 28), "wraps_zw": (1, 8)},
        ),
        ((20, 24), 0, [(), ()], 44, {"atoms": (3, 44), "wraps_z": (2, 24), "wraps_w": (2, 20)}),
        ((20, 24), 0, [(), ()], 20, {"atoms": (3, 20)}),
        ((20,), 0, [SQUARE], 52, {"atoms": (2, 52), "wraps_z": (2, 32)}),
        ((20,), 5, [(), (0, 1, 2, 3, 4, 5)], 52, {"atoms": (1 + 2 * 5, 52), "wraps_z": (1 + 5, 32)}),
        ((20,), 5, [SQUARE, (9, 1, 0, 0, 0, 0)], 52, {"atoms": (2 + 3, 52), "wraps_z": (2 + 2, 32)}),
        ((20,), 0, [(7,)], 52, {}),
        ((), 3, [(1, 2, 3, 4)], 12, {"atoms": (3, 12)}),
    ],
)  # fmt: skip
def test_each_atom_and_its_wraps_are_dealt_once(
    widths: Shape, bits: int, rows: list[Row], ring: int, expected: dict[str, Shape]
) -> None:
    count = 8
    slots = dealt([((count,), k) for k in widths], (bits, count) if bits else (), rows, ring)
    assert slots == {name: (atoms * count, width) for name, (atoms, width) in expected.items()}


def test_atoms_of_a_row_are_dealt_for_the_row() -> None:
    assert dealt([((6, 8), 20), ((6, 1), 24)], (), [(), ()], 52) == {
        "atoms": (48 + 6 + 48, 52),
        "wraps_z": (48 + 48, 32),
        "wraps_w": (6 + 48, 28),
        "wraps_zw": (48, 8),
    }
    assert dealt([((4, 1), 20)], (2, 5), [(), (0, 1, 1)], 30) == {
        "atoms": (4 + 2 * (5 + 20), 30),
        "wraps_z": (4 + 2 * 20, 10),
    }


def test_factors_beyond_one_polynomial() -> None:
    """Three values that broadcast, two factors of bits, and powers that do not fit beside each other."""
    s = Setting(seeded(4, 5))
    arrays = [s.choices.signed(shape, 12) for shape in ((3, 1), (5,), (3, 5))]
    widths, thresholds = (13, 30, 20), (-7, 3)
    opened = [s.emit("open_masked", s.share(x), bits=k) for x, k in zip(arrays, widths, strict=True)]
    compared = [s.choices.signed(shape, 5) for shape in ((3, 5), (5,))]
    for x in compared:
        less = s.less_than(s.share(x), 8, thresholds)
        opened.append(s.emit("open_bits", less))
    rows: list[Row] = [tuple(range(-3, 8)), tuple(range(5, 11)), (), (1, 2, 3), (0, -5, 1)]
    case = s.end(product(s, opened, rows, 64), to="public")
    one, two = (output["y"] for output in Prepared(case.program).run(case.arrays).outputs)
    assert np.array_equal(one, two)
    wide = [np.broadcast_to(x, (3, 5)) for x in (*arrays, *compared)]
    for index in np.ndindex(3, 5):
        expected = 1
        for x, row in zip(wide[:3], rows[:3], strict=True):
            expected *= sum(c * int(x[index]) ** i for i, c in enumerate(row or (0, 1)))
        for x, (first, *others) in zip(wide[3:], rows[3:], strict=True):
            expected *= first + sum(c for c, t in zip(others, thresholds, strict=True) if x[index] < t)
        assert (int(one[index]) - expected) % 2**64 == 0


def test_too_many_powers_are_refused() -> None:
    s = Setting(seeded(0, 0))
    opened = s.emit("open_masked", s.share(np.zeros(3, np.int64)), bits=9)
    product(s, [opened], [(1,) * 64], 64)
    with pytest.raises(ValueError, match="65 powers, at most 64"):
        product(s, [opened], [(1,) * 65], 64)
