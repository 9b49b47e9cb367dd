"""Each protocol against its plain meaning, with real shares, the real dealer and both parties."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.ir.program import Program
from mpcc.ir.types import RingType, Sharing
from tests.runtime.protocols.harness import (
    halves,
    plain,
    predicted,
    reveal,
    run_program,
    share_builder,
    shared_input,
)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def check(program: Program, arrays: dict[str, np.ndarray], tolerance: int = 0) -> np.ndarray:
    """Runs, compares with the plain meaning and with the declared cost; returns the difference."""
    run = run_program(program, arrays)
    assert run.sent == predicted(program)
    difference = np.asarray(run.outputs[1]["y"] - plain(program, arrays)["y"])
    assert np.abs(difference).max() <= tolerance
    return difference


@pytest.mark.parametrize(("ring", "bits", "wide"), [(20, 5, 64), (40, 12, 52), (52, 26, 30), (64, 20, 64)])
def test_truncation_is_faithful(generator: np.random.Generator, ring: int, bits: int, wide: int) -> None:
    limit = 2 ** (ring - 2) - 1
    x = generator.integers(-limit, limit, size=4000)
    x[:6] = [0, limit, -limit, 1, -1, 1 << bits]
    builder = share_builder()
    value = shared_input(builder, x.shape, fraction=bits, ring=ring)
    kind = RingType(Sharing.SHARE, wide, 0, x.shape)
    result = builder.append("truncate", [value], {"bits": bits}, [kind]).result
    program = reveal(builder, result)
    run = run_program(program, halves(x, generator))
    exact = x / 2.0**bits
    got = run.outputs[1]["y"]
    if wide < ring - bits:
        return
    assert np.abs(got - exact).max() < 1
    multiple = x % (1 << bits) == 0
    assert (got[multiple] == exact[multiple]).all()
    assert run.sent == predicted(program)


def test_shift_is_free_and_faithful(generator: np.random.Generator) -> None:
    x = generator.integers(-(2**29), 2**29, size=2000)
    builder = share_builder()
    value = builder.emit("shift", shared_input(builder, x.shape, 10, 40), bits=10)
    run = run_program(reveal(builder, value), halves(x, generator))
    assert np.abs(run.outputs[1]["y"] - x / 2**10).max() < 1
    assert run.rounds == 1


@pytest.mark.parametrize(("bits", "width"), [(3, 4), (7, 6), (8, 4), (12, 6), (20, 4), (24, 6)])
def test_less_than_is_exact(generator: np.random.Generator, bits: int, width: int) -> None:
    limit = 2 ** (bits - 2)
    x = generator.integers(-limit, limit, size=500)
    x[:3] = [0, -limit, limit - 1]
    thresholds = (0, 1, -limit, limit - 1)
    builder = share_builder()
    value = shared_input(builder, x.shape, ring=30)
    masked = builder.emit("open_masked", value, bits=bits)
    bits_value = builder.emit("less_than", masked, bits=bits, width=width, thresholds=thresholds)
    opened = builder.emit("open_bits", bits_value)
    total = builder.emit(
        "product", opened, factors=("bits",), coefficients=((5, 1, 2, 4, 8),), fractions=(0,)
    )
    check(reveal(builder, total), halves(x, generator))


def test_less_than_is_exhaustive_on_a_small_ring(generator: np.random.Generator) -> None:
    x = np.arange(-64, 64)
    thresholds = tuple(range(-63, 64))
    builder = share_builder()
    value = shared_input(builder, x.shape, ring=64)
    masked = builder.emit("open_masked", value, bits=8)
    opened = builder.emit(
        "open_bits", builder.emit("less_than", masked, bits=8, width=4, thresholds=thresholds)
    )
    counted = builder.emit(
        "product",
        opened,
        factors=("bits",),
        coefficients=((0, *(1 << i % 60 for i in range(127))),),
        fractions=(0,),
    )
    check(reveal(builder, counted), halves(x, generator))


def test_products_of_every_factor(generator: np.random.Generator) -> None:
    x = generator.integers(-(2**14), 2**14, size=(3, 50))
    builder = share_builder()
    value = shared_input(builder, x.shape, ring=64)
    narrow = builder.emit("open_masked", value, bits=18)
    row = builder.emit("open_masked", builder.emit("sum", value, axes=(0,), keepdims=True), bits=19)
    bit = builder.emit("open_bits", builder.emit("less_than", narrow, bits=18, width=4, thresholds=(0, 1000)))
    result = builder.emit(
        "product",
        narrow,
        row,
        bit,
        factors=("polynomial", "value", "bits"),
        coefficients=((3, -2, 1), (), (7, -3, 5)),
        fractions=(0, 0, 0),
    )
    check(reveal(builder, result), halves(x, generator))


def test_select_and_square(generator: np.random.Generator) -> None:
    x = generator.integers(-(2**20), 2**20, size=300)
    builder = share_builder()
    value = shared_input(builder, x.shape, ring=40)
    masked = builder.emit("open_masked", value, bits=23)
    negative = builder.emit("open_bits", builder.emit("less_than", masked, bits=22, width=6, thresholds=(0,)))
    relu = builder.emit(
        "product", masked, negative, factors=("value", "bits"), coefficients=((), (1, -1)), fractions=(0, 0)
    )
    square = builder.emit(
        "product", masked, factors=("polynomial",), coefficients=((0, 0, 1),), fractions=(0,)
    )
    check(reveal(builder, builder.emit("add", relu, square)), halves(x, generator))


def test_matmul_with_views(generator: np.random.Generator) -> None:
    x = generator.integers(-(2**12), 2**12, size=(2, 6, 8))
    builder = share_builder()
    masked = builder.emit("open_masked", shared_input(builder, x.shape, ring=52), bits=40)
    turned = builder.emit("transpose", masked, permutation=(0, 2, 1))
    check(reveal(builder, builder.emit("matmul", masked, turned)), halves(x, generator))


def test_linear_with_bias_and_gain(generator: np.random.Generator) -> None:
    x = generator.integers(-(2**12), 2**12, size=(2, 5, 8))
    arrays = halves(x, generator)
    arrays["w"] = generator.integers(-(2**14), 2**14, size=(8, 3))
    arrays["b"] = generator.integers(-(2**20), 2**20, size=3)
    arrays["g"] = generator.integers(-(2**14), 2**14, size=8)
    builder = share_builder()
    served = builder.emit("serve", shared_input(builder, x.shape, ring=52), bits=44)
    w = builder.emit("weight", name="w", fraction=0, shape=(8, 3))
    b = builder.emit("weight", name="b", fraction=0, shape=(3,))
    g = builder.emit("weight", name="g", fraction=0, shape=(8,))
    y = builder.emit("linear", served, w, b)
    z = builder.emit("gain", served, g)
    total = builder.emit("add", builder.emit("sum", y, axes=(2,), keepdims=True), z)
    check(reveal(builder, total), arrays)


@pytest.mark.parametrize("length", [5, 32, 200, 300])
def test_row_maximum(generator: np.random.Generator, length: int) -> None:
    x = generator.integers(-60, 40, size=(7, length))
    builder = share_builder()
    value = shared_input(builder, x.shape, ring=20)
    opened = builder.emit("open_bits", builder.emit("row_reaches", value, bits=7, low=10, levels=35))
    top = builder.emit("product", opened, factors=("bits",), coefficients=((10, *[1] * 35),), fractions=(0,))
    check(reveal(builder, top), halves(x, generator))


def test_exponential(generator: np.random.Generator) -> None:
    x = generator.integers(-(2**20), 0, size=5000)
    x[:2] = [-1, -(2**20)]
    builder = share_builder()
    value = shared_input(builder, x.shape, fraction=16, ring=30)
    program = reveal(builder, builder.emit("exponential", value, bits=21, fraction=62))
    difference = check(program, halves(x, generator), tolerance=2**62)
    assert np.abs(difference * 2.0**-62).max() < 4e-6


@pytest.mark.parametrize("phases", [(0, 0, 0), (1 << 14,) * 3, (1, 12345, (1 << 16) - 1)])
def test_sine_series(generator: np.random.Generator, phases: tuple[int, ...]) -> None:
    x = generator.integers(-(2**15), 2**15, size=1000)
    builder = share_builder()
    value = shared_input(builder, x.shape, fraction=10, ring=40)
    result = builder.emit(
        "sine_series",
        value,
        bits=16,
        harmonics=(1, 2, 5),
        phases=phases,
        amplitudes=(1 << 27, -(1 << 26), 1 << 25),
        amplitude_fraction=28,
        public_fraction=14,
        secret_fraction=14,
    )
    difference = check(reveal(builder, result), halves(x, generator), tolerance=2**28)
    assert np.abs(difference * 2.0**-28).max() < 3e-4


def test_one_hot(generator: np.random.Generator) -> None:
    x = np.arange(32)
    builder = share_builder()
    check(
        reveal(builder, builder.emit("one_hot", shared_input(builder, x.shape, ring=9), bits=5)),
        halves(x, generator),
    )
