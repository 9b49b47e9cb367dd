"""Every layout of a mixture means what the mixture means: in floating point, for all its forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpcc.compiler.evaluate import evaluate
from mpcc.ir.dialects.experts import ACTIVATIONS
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_program
from mpcc.ir.program import Builder, Program, Stage
from mpcc.passes.experts.expand import expand_experts
from mpcc.passes.experts.layout import Layout
from tests.passes.experts.models import Mixture
from tests.passes.tensor_programs import client

SIDES = [(first, second) for first in ("in", "out") for second in ("in", "out")]
EXACT = [Layout("all", 4), *(Layout("outer", 4, sides=s) for s in SIDES)]
FORMS: list[dict[str, Any]] = [
    *({"top_k": 1, "activation": name} for name in ACTIVATIONS),
    {"top_k": 1, "normalised": True},
    {"top_k": 2, "gated": True, "activation": "silu", "normalised": True},
    {"top_k": 3, "gated": True, "activation": "gelu"},
    {"top_k": 2, "gated": True, "activation": "silu", "alpha": 1.7, "beta": 1.0, "limit": 0.7},
    {"top_k": 1, "capacity": 2},
    {"top_k": 2, "capacity": 3, "normalised": True, "claims": "scores"},
]


def program(mixture: Mixture, x: np.ndarray) -> Program:
    builder = Builder("moe", Stage.TENSOR)
    builder.program.outputs = {"y": mixture(builder, client(builder, "x", x))}
    return builder.program


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("lead", [(), (2,)])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_layout_means_the_mixture(form: dict[str, Any], lead: tuple[int, ...], biases: bool) -> None:
    mixture, x = Mixture(4, 5, 7, biases, **form), np.random.default_rng(1).normal(size=(*lead, 6, 9))
    whole = program(mixture, x)
    expected = evaluate(whole, {"x": x})[whole.outputs["y"]]
    capacity = form.get("capacity", 0) or 6 * form["top_k"]  # as many slots as there are choices
    dispatch = Layout("dispatch", 4, capacity=capacity, claims=form.get("claims", "first"))
    for layout in (*EXACT, dispatch):
        expanded = expand_experts(whole, {"moe": layout})
        assert all(o.kind != "moe" for o in expanded.operations)
        text = print_program(expanded)
        assert print_program(parse(text)) == text
        found = evaluate(expanded, {"x": x})[expanded.outputs["y"]]
        assert np.allclose(found, expected, rtol=1e-6, atol=1e-6), layout


def test_the_result_keeps_its_name_and_its_nodes() -> None:
    x = np.zeros((3, 9))
    expanded = expand_experts(program(Mixture(4, 5, 7, top_k=1), x), {"moe": EXACT[1]})
    assert expanded.outputs["y"].name == "moe"
    inside = [o for o in expanded.operations if o.kind not in ("input", "constant", "slice")]
    assert inside
    assert all(o.onnx_nodes == ("moe",) for o in inside)


def test_dispatch_drops_what_comes_last_or_scores_least() -> None:
    """All tokens choose expert 0, of which two slots are there."""
    x = np.random.default_rng(2).normal(size=(5, 9))
    x[:, 0] = [4.0, 6.0, 5.0, 8.0, 7.0]
    whole = program(Mixture(4, 5, 7, top_k=1), x)
    expected = evaluate(whole, {"x": x})[whole.outputs["y"]]
    for claims, kept in (("first", [0, 1]), ("scores", [3, 4])):
        expanded = expand_experts(whole, {"moe": Layout("dispatch", 4, capacity=2, claims=claims)})
        found = evaluate(expanded, {"x": x})[expanded.outputs["y"]]
        dropped = [t for t in range(5) if t not in kept]
        assert np.allclose(found[kept], expected[kept])
        assert not found[dropped].any()
