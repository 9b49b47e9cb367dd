"""Range checks: silent inside the ranges, one bit a layer outside, and nothing else changes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.ir.diagnostics import MpccError, MpccErrors
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_program
from mpcc.ir.program import Builder, Program, Value
from mpcc.ir.range_checks import ATTRIBUTE, OUTPUT, checked_layers, refuse_exceeded, take_exceeded
from mpcc.ir.types import Range, RingType
from mpcc.ir.verifier import verify
from mpcc.passes.check_ranges import HEADROOM, check_ranges, plan
from mpcc.passes.lower.reliance import Reliance, Reliances
from tests.passes.tensor_programs import Lowered, Make, constant, lowered
from tests.passes.test_lower import attention, positive, unary
from tests.runtime.protocols.harness import plain

X = np.random.default_rng(5).normal(size=(4, 32)) * 3 + 1
HALF = np.random.default_rng(6).normal(size=(32, 32)) / 6
CASES: dict[str, tuple[Make, float]] = {
    "gelu": (unary("gelu", approximate="none"), 6e-4),
    "silu": (unary("silu"), 6e-4),
    "tanh": (unary("tanh"), 6e-4),
    "relu": (unary("relu"), 3e-4),
    "square": (unary("square"), 2e-2),
    "layer_norm": (unary("layer_norm", epsilon=1e-5), 5e-4),
    "rms_norm": (lambda b, x: b.emit("rms_norm", x, constant(b, np.ones(32)), epsilon=1e-6), 5e-4),
    "l2_normalize": (unary("l2_normalize", epsilon=1e-12), 1e-4),
    "mul_secret": (lambda b, x: b.emit("mul", x, b.emit("linear", x, constant(b, HALF))), 2e-2),
    "reciprocal": (lambda b, x: b.emit("reciprocal", positive(b, x)), 1e-4),
    "attention": (attention, 4e-3),
}


def layers(program: Program) -> tuple[str, ...]:
    return checked_layers(program.attributes)


def exceeded(case: Lowered, inputs: dict[str, np.ndarray]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The layers that left their range, in the clear and in a secure run."""
    case.inputs = inputs
    _, result = case.secure()
    outputs = (plain(case.program, case.sources()), result.outputs[1])
    assert all(set(np.unique(o[OUTPUT])) <= {0, 1} for o in outputs)
    return tuple(take_exceeded(case.program.attributes, o) for o in outputs)  # type: ignore[return-value]


@pytest.mark.parametrize("name", CASES)
def test_silent_inside_the_range_and_a_bit_outside(name: str) -> None:
    make, tolerance = CASES[name]
    case = lowered(make, X, check=True)
    secure, _ = case.secure()  # with its cost as predicted
    assert np.abs(secure - case.expected).max() <= tolerance
    assert exceeded(case, {"x": X}) == ((), ())
    for bits in exceeded(case, {"x": 20 * X}):
        assert bits == layers(case.program)[: len(bits)] != ()


@pytest.mark.parametrize(("factor", "found"), [(0.93, False), (1.001, True), (3.0, True), (14.0, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_element_at_the_end_of_the_range(factor: float, found: bool, sign: int) -> None:
    case = lowered(unary("relu"), X, check=True)
    edge = 2 * np.abs(X).max()  # the safety factor
    one = X.copy()
    one[2, 7] = sign * factor * edge
    for bits in exceeded(case, {"x": one}):
        assert bool(bits) is found


@pytest.mark.parametrize("scale", [1 / 40, 40])
def test_a_norm_checks_both_ends_of_the_variance(scale: float) -> None:
    case = lowered(lambda b, x: b.emit("layer_norm", x, epsilon=1e-7, onnx_nodes=("norm",)), X, check=True)
    assert exceeded(case, {"x": X * scale}) == (("norm",), ("norm",))


def two_layers(builder: Builder, x: Value) -> Value:
    first = builder.emit("gelu", x, approximate="none", onnx_nodes=("Div_1", "first"))
    rows = builder.emit("linear", first, constant(builder, HALF), onnx_nodes=("MatMul_2",))
    total = builder.emit("add", rows, builder.emit("negate", x))
    return builder.emit("relu", total, onnx_nodes=("second",))


def test_layers_are_named_by_their_onnx_nodes_in_order() -> None:
    case = lowered(two_layers, X, check=True)
    assert layers(case.program) == ("first", "second")
    assert exceeded(case, {"x": X * 1.7}) == (("first",),) * 2  # a series has less room than an opening
    with pytest.raises(MpccError, match="range that the program was compiled for") as raised:
        refuse_exceeded(("first", "second"))
    assert (raised.value.code, raised.value.where) == ("MPC-R045", "first, second")
    refuse_exceeded(())


def test_all_values_outside_count_as_one_bit() -> None:
    case = lowered(unary("relu"), X, check=True)
    case.inputs = {"x": np.full_like(X, 50.0)}
    _, result = case.secure()
    assert result.outputs[1][OUTPUT].tolist() == [1]
    assert OUTPUT not in result.outputs[0]
    (reveal,) = [o for o in case.program.operations if o.attributes.get("name") == OUTPUT]
    ring = reveal.operands[0].type
    assert isinstance(ring, RingType)
    assert (ring.shape, ring.fraction) == ((1,), 0)
    assert ring.ring <= 3


def test_lowering_is_the_same_with_and_without() -> None:
    make = CASES["attention"][0]
    bare, checked = lowered(make, X), lowered(make, X, check=True)
    assert print_program(bare.stages["remove-dead"]) == print_program(checked.stages["remove-dead"])
    assert "check-ranges" not in bare.stages
    assert OUTPUT not in bare.program.outputs
    assert ATTRIBUTE not in bare.program.attributes


def test_truncations_of_the_checked_program_are_checked_or_proven() -> None:
    """A query is truncated into the wide ring of the scores: its own range counts."""
    case = lowered(attention, X, check=True)
    names = {o.operands[0].name for o in case.program.operations if o.kind == "truncate"}
    producers = {v.name: o for o in case.program.operations for v in o.results}
    assert "linear" in {producers[name].kind for name in names}
    shifted = {o.operands[0].name for o in case.program.operations if o.kind == "shift"}
    assert {n for n in names if producers[n].kind == "linear"} <= shifted


def test_the_text_form_keeps_the_checks_and_the_verifier_their_reveal() -> None:
    program = lowered(unary("relu"), X, check=True).program
    text = print_program(program)
    assert print_program(parse(text)) == text
    program.attributes["reveals"] = ("y=party1",)
    with pytest.raises(MpccErrors) as raised:
        verify(program)
    assert raised.value.code == "MPC-I026"


def test_a_program_that_relies_on_nothing_has_no_checks() -> None:
    case = lowered(lambda b, x: b.emit("linear", x, constant(b, HALF)), X, check=True)
    assert list(case.program.outputs) == ["y"]
    assert layers(case.program) == ()


def test_checks_go_to_both_when_outputs_do_not_go_to_one() -> None:
    case = lowered(unary("relu"), X)
    program = case.stages["remove-dead"]
    program.attributes["reveals"] = ("y=party1", "z=party0")
    opening = next(o for o in program.operations if o.kind == "open_masked")
    reliances = Reliances()
    reliances.checked.append(Reliance(opening.operands[0], Range(-4.0, 4.0), ("node",)))
    assert f"{OUTPUT}=public" in str(check_ranges(program, reliances).attributes["reveals"])


@settings(max_examples=200, deadline=None)
@given(
    low=st.floats(-1e4, 1e3),
    width=st.floats(1e-3, 1e4),
    fraction=st.integers(-2, 40),
    where=st.floats(-1.2, 1.2),
    up=st.booleans(),
)
def test_ends_are_found_despite_the_rounding(
    low: float, width: float, fraction: int, where: float, up: bool
) -> None:
    """A shift is off by less than a unit: outside is always found, two units inside never."""
    extent = Range(low, low + width).symmetric() if low < 0 else Range(low + 1e-3, low + width + 1e-3)
    comparison = plan(extent, fraction, 64)
    unit = 2.0 ** (comparison.dropped - fraction)
    value = where * extent.magnitude / unit
    seen = math.ceil(value) if up else math.floor(value)
    if not comparison.dropped:
        value = seen  # the share itself
    found = not comparison.low <= seen < comparison.high
    if not extent.low <= value * unit <= extent.high:
        assert found
    if extent.low / unit + 2 <= value <= extent.high / unit - 2:
        assert not found
    assert max(abs(comparison.low), abs(comparison.high)) < 2 ** (comparison.bits - 1)


@pytest.mark.parametrize("extent", [Range(-5, 5), Range(-0.003, 0.003), Range(-900, 900)])
def test_the_comparison_is_small_and_reaches_far(extent: Range) -> None:
    comparison = plan(extent, 29, 64)
    assert (comparison.bits, comparison.width) == (11, 5)
    reach = 2 ** (comparison.bits - 1) - max(abs(comparison.low), abs(comparison.high))
    assert reach >= (2**HEADROOM - 1) * extent.magnitude * 2.0 ** (29 - comparison.dropped)


def test_a_full_ring_leaves_less_headroom() -> None:
    assert plan(Range(-4096, 4096), 37, 52).bits == 52 - (37 + 12 - 5)
