"""The operations of mixtures of experts between both parties, against their meaning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.compiler.cost.model import cost_of
from mpcc.ir.dialects.experts import choose
from mpcc.ir.program import Builder, Value
from mpcc.passes.experts.layout import Layout
from tests.passes.experts.models import Mixture, columns
from tests.passes.tensor_programs import Lowered, constant, lowered

ERROR = 1.5e-3  # of values around 1: fixed point and the approximation of an activation


def router(count: int, group: int, logits: np.ndarray) -> Lowered:
    return lowered(lambda b, x: b.emit("top_k", x, k=count, group=group), logits)


def exact(program: Lowered) -> bool:
    return bool(np.array_equal(program.secure()[0], program.expected))


SIZES = [(2, 2), (3, 3), (8, 8), (8, 2), (8, 4), (12, 3), (60, 6), (128, 8)]


@pytest.mark.parametrize(("experts", "group"), SIZES)
@pytest.mark.parametrize("count", [1, 2, 8])
def test_top_k_is_exact(experts: int, group: int, count: int) -> None:
    logits = 4 * np.random.default_rng(experts + count).normal(size=(2, 3, experts))
    assert exact(router(min(count, experts), group, logits))


@pytest.mark.parametrize("group", [8, 4, 2])
@pytest.mark.parametrize("count", [1, 3])
def test_equal_logits_go_by_index(count: int, group: int) -> None:
    """As ONNX's TopK: zeros, all equal, two equal maxima within a group and across groups."""
    logits = np.array([[0.0] * 8, [2.5] * 8, [1, 3, 0, 3, 0, 0, 3, 0], [0, 0, 0, -1, -1, 0, 0, 5]])
    program = router(count, group, logits)
    assert exact(program)
    assert np.array_equal(program.expected, choose(logits, count))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=8, max_size=8), st.sampled_from([2, 4, 8]), st.integers(1, 8))
def test_any_order_of_logits(values: list[int], group: int, count: int) -> None:
    assert exact(router(count, group, np.array([values]) / 4.0))


def test_logits_a_unit_apart_are_told_apart() -> None:
    """All fraction bits count: the logits differ in the last of 29."""
    logits = np.array([[1.0, 1.0 + 2.0**-16, 1.0, 1.0 - 2.0**-16]])
    assert exact(router(2, 4, logits))


def test_a_router_of_groups_sends_less() -> None:
    logits = np.random.default_rng(0).normal(size=(16, 128))
    flat, grouped = (cost_of(router(1, group, logits).program) for group in (128, 8))
    assert grouped.bytes_party1 < 0.4 * flat.bytes_party1
    assert flat.rounds < grouped.rounds <= 12


@pytest.mark.parametrize("claims", ["first", "scores"])
@pytest.mark.parametrize("capacity", [1, 2, 5, 14])
@pytest.mark.parametrize("kind", ["assign_slots", "keep_within"])
def test_places_are_exact(kind: str, capacity: int, claims: str) -> None:
    logits = np.random.default_rng(capacity).normal(size=(2, 7, 4))

    def make(b: Builder, x: Value) -> Value:
        chosen = b.emit("top_k", x, k=2, group=4)
        scores = [columns(b, x, 0, 2)] if claims == "scores" else []
        return b.emit(kind, chosen, *scores, capacity=capacity)

    assert exact(lowered(make, logits))


@pytest.mark.parametrize("side", ["in", "out"])
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_routed_layers(side: str, biases: bool, count: int) -> None:
    """A normalised x before, whose gain goes into the weights."""
    generator = np.random.default_rng(3)
    weights = [generator.normal(size=s) * 0.3 for s in ((4, 6, 5), (4, 5))][: 2 if biases else 1]

    def make(b: Builder, x: Value) -> Value:
        chosen = b.emit("top_k", columns(b, x, 0, 4), k=count, group=4)
        gains = (constant(b, generator.normal(size=6)) for _ in range(2))
        normed = b.emit("layer_norm", columns(b, x, 4, 10), *gains, epsilon=1e-5)
        layers = [constant(b, w) for w in weights]
        return b.emit("routed_linear", chosen, normed, *layers, side=side)

    program = lowered(make, generator.normal(size=(7, 10)))
    assert np.abs(program.secure()[0] - program.expected).max() < ERROR


def test_values_of_experts_nobody_chose_do_not_matter() -> None:
    """They leave the calibrated range by far, which is that of the chosen ones."""
    weights = np.ones((4, 6, 5)) * np.array([1.0, 1e3, 1e3, 1e3])[:, None, None]

    def make(b: Builder, x: Value) -> Value:
        chosen = b.emit("top_k", columns(b, x, 0, 4), k=1, group=4)
        return b.emit("routed_linear", chosen, columns(b, x, 4, 10), constant(b, weights), side="out")

    x = np.random.default_rng(4).normal(size=(7, 10))
    x[:, 0] = 9.0
    program = lowered(make, x)
    assert np.abs(program.secure()[0] - program.expected).max() < ERROR


LAYOUTS = [
    Layout("all", 4),
    *(Layout("outer", 4, sides=(first, second)) for first in ("in", "out") for second in ("in", "out")),
    Layout("outer", 2),
    Layout("dispatch", 4, capacity=9),
    Layout("dispatch", 4, capacity=9, claims="scores"),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize(
    "form",
    [
        {"top_k": 1},
        {"top_k": 2, "normalised": True, "gated": True, "activation": "silu", "biases": False},
        {"top_k": 2, "capacity": 9, "activation": "relu"},
    ],
    ids=str,
)
def test_every_layout_of_a_mixture(layout: Layout, form: dict[str, object]) -> None:
    mixture = Mixture(4, 6, 10, **form)  # type: ignore[arg-type]
    x = np.random.default_rng(5).normal(size=(9, 10))
    program = mixture.under(layout, x)
    found, _ = program.secure()
    assert np.abs(found - program.expected).max() < ERROR * max(1.0, float(np.abs(program.expected).max()))
    assert np.abs(found - program.simulated()).max() < ERROR
