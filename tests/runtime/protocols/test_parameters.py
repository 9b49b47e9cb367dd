"""Parameters that a protocol cannot carry out are refused where the operation is built; extremes work."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.ir.program import Attributes, Value
from mpcc.ir.types import RingType, Sharing
from tests.runtime.protocols.cases import Case, Setting, close, faithful
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.harness import Prepared, predicted, seed_pair

SERIES = {"phases": (0,), "amplitude_fraction": 28, "public_fraction": 12, "secret_fraction": 12}
EXPONENT = {"bits": 12, "fraction": 50}


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("less_than", {"bits": 1, "width": 4, "thresholds": (0,)}),
        ("less_than", {"bits": 8, "width": 0, "thresholds": (0,)}),
        ("less_than", {"bits": 8, "width": 7, "thresholds": (0,)}),
        ("less_than", {"bits": 8, "width": 4, "thresholds": ()}),
        ("less_than", {"bits": 26, "width": 2, "thresholds": (0,)}),  # 13 blocks
        ("less_than", {"bits": 41, "width": 4, "thresholds": (0,)}),  # more than the opening holds
        ("less_than", {"bits": 38, "width": 4, "drop": 3, "thresholds": (0,)}),
        ("less_than", {"bits": 8, "width": 4, "drop": -1, "thresholds": (0,)}),
        ("truncate", {"bits": 39}),
        ("truncate", {"bits": -1}),
        ("shift", {"bits": 40}),
        ("open_masked", {"bits": 0}),
        ("open_masked", {"bits": 41}),
        ("serve", {"bits": 0}),
        ("row_reaches", {"bits": 11, "low": 0, "levels": 3}),
        ("row_reaches", {"bits": 3, "low": 0, "levels": 8}),
        ("row_reaches", {"bits": 3, "low": 0, "levels": 0}),
        ("one_hot", {"bits": 0}),
        ("one_hot", {"bits": 17}),
        ("exponential", {**EXPONENT, "bits": 0}),
        ("exponential", {**EXPONENT, "bits": 30}),
        ("exponential", {**EXPONENT, "fraction": 63}),
        ("exponential", {**EXPONENT, "bits": 14, "fraction": 48}),  # exp(32) leaves no bit to the factors
        ("sine_series", {**SERIES, "bits": 1, "harmonics": (1,), "amplitudes": (1,)}),
        ("sine_series", {**SERIES, "bits": 9, "harmonics": (), "amplitudes": (), "phases": ()}),
        ("sine_series", {**SERIES, "bits": 9, "harmonics": (-1,), "amplitudes": (1,)}),
        ("sine_series", {**SERIES, "bits": 9, "harmonics": (1,), "amplitudes": (1 << 32,)}),
        ("sine_series", {**SERIES, "bits": 9, "harmonics": (1,), "amplitudes": (1,), "public_fraction": 59}),
        ("sine_series", {**SERIES, "bits": 9, "harmonics": (1,), "amplitudes": (1,), "phases": (0, 0)}),
        ("sine_series", {**SERIES, "bits": 9, "harmonics": (1,), "amplitudes": (1,), "phases": (-1,)}),
        ("sine_series", {**SERIES, "bits": 9, "harmonics": (1,), "amplitudes": (1,), "phases": (512,)}),
    ],
)
def test_impossible_parameters_are_refused(kind: str, attributes: Attributes) -> None:
    setting = Setting(seeded(0, 0))
    x = setting.share(np.zeros(4, dtype=np.int64), fraction=8, ring=40)
    if kind == "less_than":
        x = setting.emit("open_masked", x, bits=40)
    with pytest.raises(ValueError, match=r"."):
        setting.emit(kind, x, ring=None, **attributes)


@pytest.mark.parametrize("length", [0, 65536])
def test_rows_of_impossible_length_are_refused(length: int) -> None:
    setting = Setting(seeded(0, 0))
    x = setting.share(np.zeros((1, length), dtype=np.int64), ring=8)
    with pytest.raises(ValueError, match="65535"):
        setting.emit("row_reaches", x, bits=2, low=0, levels=2)


@pytest.mark.parametrize("kind", ["add", "sub", "concat"])
def test_a_masked_value_combines_with_masked_values_only(kind: str) -> None:
    setting = Setting(seeded(0, 0))
    share = setting.share(np.zeros(4, dtype=np.int64), ring=12)
    masked, wider = (setting.emit("open_masked", share, bits=bits) for bits in (9, 12))
    public = setting.source("constant", np.zeros(4, dtype=np.int64))
    served = setting.emit("serve", share, bits=9)
    axis = {"axis": 0} if kind == "concat" else {}
    both = setting.emit(kind, masked, wider, **axis)
    assert (both.type.sharing, both.type.ring) == (Sharing.MASKED, 9)  # type: ignore[union-attr]
    for other in (share, public, served):
        with pytest.raises(ValueError, match=r"masked values only|is served"):
            setting.emit(kind, masked, other, **axis)


def test_products_of_impossible_factors_are_refused() -> None:
    setting = Setting(seeded(0, 0))
    one_bit = setting.emit("open_masked", setting.share(np.zeros(4, dtype=np.int64)), bits=1)
    with pytest.raises(ValueError, match="2 bits"):
        setting.emit("product", one_bit, factors=("value",), coefficients=((),), fractions=(0,))
    flat = setting.emit("reshape", setting.emit("open_bits", setting.bits((1,))), shape=())
    with pytest.raises(ValueError, match="coefficients"):
        setting.emit("product", flat, factors=("bits",), coefficients=((0, 1),), fractions=(0,))


def perform(case: Case, session: int = 0) -> None:
    run = Prepared(case.program).run(case.arrays, seed_pair(session))
    case.assert_correct(run)
    assert run.sent == predicted(case.program)


@pytest.mark.parametrize("wide", [1, 12, 64])
@pytest.mark.parametrize(("ring", "bits"), [(2, 0), (3, 1), (8, 6), (30, 28), (64, 0), (64, 62)])
def test_truncation_at_the_ends_of_its_range(ring: int, bits: int, wide: int) -> None:
    """Both ends, 2000 times each: another rounding fails at the top with probability 2^(bits - ring)."""
    limit = 1 << (ring - 2)
    x = np.repeat(np.array([limit - 1, -limit, max(limit - (1 << bits), 0)], dtype=np.int64), 2000)
    setting = Setting(seeded(0, 1))
    value = setting.emit("truncate", setting.share(x, bits, ring), ring=wide, bits=bits)
    perform(setting.end(value, faithful(x, bits, wide)))


@pytest.mark.parametrize("length", [1, 2, 254, 255, 256, 257, 1000])
def test_row_maxima_around_the_lane_widths(length: int) -> None:
    """Every element at the top, none there, and one only: counts of 0, 1 and `length`."""
    rows = np.full((3, length), 9)
    rows[1] = 2
    rows[2, length // 2 :] = 2
    setting = Setting(seeded(0, length))
    x = setting.share(rows, ring=4)
    perform(setting.end(setting.emit("row_reaches", x, bits=4, low=2, levels=7)))


@pytest.mark.parametrize(
    ("bits", "f", "fraction"), [(1, 0, 40), (5, 0, 62), (6, 1, 62), (21, 16, 60), (24, 19, 62), (28, 24, 62)]
)
def test_exponential_of_other_formats(bits: int, f: int, fraction: int) -> None:
    low = -(1 << (bits - 1))
    x = np.concatenate([[-1, low], np.linspace(low, -1, 2000)])
    x = np.rint(x).astype(np.int64)
    setting = Setting(seeded(0, 5))
    value = setting.emit("exponential", setting.share(x, f), bits=bits, fraction=fraction)
    growth = np.ceil(2.0 ** (bits - 1 - f) * np.log2(np.e))
    perform(setting.end(value, close(np.exp(x * 2.0**-f), 3 * 2.0 ** -((fraction - growth) // 2), fraction)))


def test_a_narrower_view_of_an_opening_keeps_its_meaning() -> None:
    """A masked value may be stated in a narrower ring than it was opened in: masks are reduced with it."""
    setting = Setting(seeded(0, 6))
    x = setting.choices.signed((500,), 17)
    opened = setting.emit("open_masked", setting.share(x), bits=40)
    kind = RingType(Sharing.MASKED, 18, 0, (500,))
    flat: Value = setting.builder.append("reshape", [opened], {"shape": (500,)}, [kind]).result
    square = setting.emit("product", flat, factors=("polynomial",), coefficients=((0, 0, 1),), fractions=(0,))
    perform(setting.end(square))
