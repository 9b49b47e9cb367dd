"""Segmented polynomials against Python integers; what is dealt; what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.ir.program import Attributes, Operation, Value
from mpcc.runtime.correlations import plan
from mpcc.runtime.protocols import protocols
from tests.runtime.protocols.cases import Setting
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.harness import Prepared, seed_pair

Pairs = tuple[tuple[int, int], ...]
Rows = tuple[tuple[int, ...], ...]
COUNT = 40


def exact(z: int, w: int, bits: list[int], monomials: Pairs, rows: Rows) -> int:
    total = 0
    for (a, b), (c, *row) in zip(monomials, rows, strict=True):
        total += z**a * w**b * (c + sum(d * bit for d, bit in zip(row, bits, strict=True)))
    return total


def segmented(
    s: Setting,
    arguments: list[Value],
    bits: Value,
    monomials: Pairs,
    rows: Rows,
    ring: int,
    fraction: int = 0,
) -> Value:
    return s.emit(
        "segmented_polynomial", *arguments, bits, ring=ring, monomials=monomials, rows=rows, fraction=fraction
    )


def learned(s: Setting, value: Value, session: int = 0) -> list[int]:
    case = s.end(value, to="public")
    (output,) = {
        run["y"].tobytes() for run in Prepared(case.program).run(case.arrays, seed_pair(session)).outputs
    }
    return [int(v) for v in np.frombuffer(output, dtype=np.int64)]


def the_operation(value: Value, s: Setting) -> Operation:
    return next(o for o in s.builder.program.operations if o.results == (value,))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data())
def test_equals_the_integers(data: st.DataObject) -> None:
    """Any monomials, sparse rows, widths and ring; arguments at the ends of what their openings hold."""
    second, count = data.draw(st.booleans()), data.draw(st.integers(1, 5))
    powers = st.tuples(st.integers(0, 4), st.integers(0, 3) if second else st.just(0))
    monomials = tuple(data.draw(st.lists(powers, min_size=1, max_size=5, unique=True)))
    coefficient = st.one_of(st.just(0), st.integers(-9, 9), st.integers(-(2**63), 2**63 - 1))
    row = st.tuples(*[coefficient] * (count + 1))
    rows = tuple(data.draw(st.lists(row, min_size=len(monomials), max_size=len(monomials))))
    ring = data.draw(st.integers(1, 64))
    s = Setting(seeded(data.draw(st.integers(0, 2**30)), data.draw(st.integers(0, 2**30))))
    arrays, opened = [], []
    for _ in range(1 + second):
        k = data.draw(st.integers(2, 64))
        arrays.append(s.choices.signed((COUNT,), k - 1))
        opened.append(s.emit("open_masked", s.share(arrays[-1]), bits=k))
    x = s.choices.signed((COUNT,), 6)
    thresholds = tuple(range(-count, count, 2))
    less = s.less_than(s.share(x), 8, thresholds)
    value = segmented(s, opened, s.emit("open_bits", less), monomials, rows, ring)
    w = arrays[1] if second else np.zeros(COUNT, dtype=np.int64)
    for element, result in enumerate(learned(s, value)):
        bits = [int(x[element] < t) for t in thresholds]
        expected = exact(int(arrays[0][element]), int(w[element]), bits, monomials, rows)
        assert (result - expected) % 2**ring == 0


def test_powers_that_overflow_where_their_coefficient_is_zero() -> None:
    """x^3 / 2^18 within [-1, 1], saturated outside: the cube of 25 bits does not fit, the result does."""
    one = 1 << 18
    x = np.array([-(2**25), -one - 1, -one, -5, 0, 7, one - 1, one, 2**25 - 1] * 30, dtype=np.int64)
    s = Setting(seeded(3, 4))
    share = s.share(x)
    opened = s.emit("open_masked", share, bits=27)
    less = s.emit("less_than", opened, bits=27, width=4, thresholds=(-one, one))
    # below -1: -1; within: the cube; above: 1
    top = 1 << 54
    rows = ((top, -top, -top), (0, -1, 1))
    value = segmented(s, [opened], s.emit("open_bits", less), ((0, 0), (3, 0)), rows, 58, fraction=54)
    assert learned(s, value) == [int(np.clip(v, -one, one)) ** 3 for v in x.tolist()]


def dealt(monomials: Pairs, rows: Rows, widths: tuple[int, ...], ring: int) -> dict[str, tuple[int, int]]:
    """Atoms an element, and their width in bits, by slot."""
    s = Setting(seeded(0, 0))
    x = np.zeros(8, dtype=np.int64)
    opened = [s.emit("open_masked", s.share(x), bits=k) for k in widths]
    bits = s.emit("open_bits", s.bits((len(rows[0]) - 1, 8)))
    operation = the_operation(segmented(s, opened, bits, monomials, rows, ring), s)
    slots = protocols[operation.kind].slots(operation)
    assert plan.correction_bytes(operation) == sum(slot.count * slot.bits // 8 for slot in slots)
    return {slot.name: (slot.count // 8, slot.bits) for slot in slots}


def test_each_atom_is_dealt_once_for_all_monomials() -> None:
    cubic = tuple((a, 0) for a in range(4))
    full: Rows = ((1,) * 7,) * 4
    assert dealt(cubic, full, (20,), 62) == {"atoms": (3 + 6 * 4, 62), "wraps_z": (3 + 6 * 3, 42)}
    grid = ((1, 1), (0, 2))
    assert dealt(grid, ((1, 1),) * 2, (20, 24), 60) == {
        "atoms": (4 + 5, 60),  # z, w, zw, w^2; with the bit also 1
        "wraps_z": (2 + 2, 40),
        "wraps_w": (3 + 3, 36),
        "wraps_zw": (1 + 1, 16),
    }


def test_zero_coefficients_are_not_dealt() -> None:
    quadratic = ((0, 0), (1, 0), (2, 0))
    rows: Rows = ((5, 1, 0, 0), (0, 0, 3, 0), (0, 0, 0, 0))
    # the mask itself; for the first bit 1, for the second 1 and the mask; for the third nothing
    assert dealt(quadratic, rows, (20,), 62) == {"atoms": (1 + 1 + 2, 62), "wraps_z": (1 + 1, 42)}
    assert dealt(quadratic, ((7, 0),) + ((0, 0),) * 2, (20,), 62) == {}


def test_a_wide_opening_has_no_wraps() -> None:
    assert dealt(((2, 0),), ((1, 1),), (40,), 40) == {"atoms": (2 + 3, 40)}
    assert set(dealt(((1, 1),), ((1, 1),), (20, 20), 40)) == {"atoms", "wraps_z", "wraps_w"}


def test_nothing_dealt_still_gives_the_constant() -> None:
    s = Setting(seeded(1, 1))
    opened = s.masked(np.zeros(5, dtype=np.int64), 9)
    value = segmented(s, [opened], s.emit("open_bits", s.bits((2, 5))), ((0, 0),), ((7, 0, 0),), 64)
    assert learned(s, value) == [7] * 5


GOOD: Attributes = {"monomials": ((0, 0), (2, 0)), "rows": ((1, 2, 3), (4, 5, 6)), "fraction": 16}


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"monomials": ()}, "no monomial"),
        ({"monomials": ((0, 0), (0, 0))}, "twice"),
        ({"monomials": ((0, 0), (-1, 0))}, "no pair"),
        ({"monomials": ((0, 0), (2,))}, "no pair"),
        ({"monomials": ((0, 0), 2)}, "list"),
        ({"monomials": ((0, 0), (1, 1))}, "second value"),
        ({"monomials": ((0, 0), (64, 0)), "fraction": 1000}, "65 powers"),
        ({"rows": ((1, 2, 3),)}, "row"),
        ({"rows": ((1, 2, 3), (4, 5))}, "row"),
        ({"rows": ((1, 2, 3), (4, 5, 2**63))}, "64 bits"),
        ({"rows": ((1, 2, 3), 4)}, "list"),
        ({"fraction": 15}, "fraction bits"),
    ],
)
def test_impossible_attributes_are_refused(changed: Attributes, match: str) -> None:
    s = Setting(seeded(0, 0))
    z = s.emit("open_masked", s.share(np.zeros(4, dtype=np.int64), fraction=8), bits=12)
    bits = s.emit("open_bits", s.bits((2, 4)))
    s.emit("segmented_polynomial", z, bits, ring=None, **GOOD)
    with pytest.raises(ValueError, match=match):
        s.emit("segmented_polynomial", z, bits, ring=None, **{**GOOD, **changed})


def test_impossible_operands_are_refused() -> None:
    s = Setting(seeded(0, 0))
    four, five = (s.emit("open_masked", s.share(np.zeros(n, dtype=np.int64)), bits=12) for n in (4, 5))
    one_bit = s.emit("open_masked", s.share(np.zeros(4, dtype=np.int64)), bits=1)
    bits = s.emit("open_bits", s.bits((2, 4)))
    none = s.emit("slice", bits, starts=(0, 0), stops=(0, 4), steps=(1, 1))
    flat = s.emit("reshape", s.emit("open_bits", s.bits((1,))), shape=())
    for operands, match in (
        ((five, bits), "leading axis"),
        ((four, five, bits), "leading axis"),
        ((four, none), "leading axis"),
        ((four, flat), "leading axis"),
        ((one_bit, bits), "2 bits"),
        ((four, four), "masked_bits"),
        ((bits, bits), "masked"),
        ((bits,), "operands"),
    ):
        with pytest.raises(ValueError, match=match):
            s.emit("segmented_polynomial", *operands, ring=None, **GOOD)
