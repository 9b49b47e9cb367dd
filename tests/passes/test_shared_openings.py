"""A comparison reads the opening of what its bits select from: one opening a share."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.ir.program import Program
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.catalogue import find
from tests.passes.tensor_programs import Make, lowered
from tests.passes.test_lower import positive, unary

X = np.random.default_rng(11).normal(size=(4, 32)) * 5
SOFTMAX = unary("softmax", empty_rows="refuse")
CASES: dict[str, tuple[Make, Approximation | None]] = {
    "relu": (unary("relu"), None),
    **{
        f"gelu-{name}": (unary("gelu", approximate="none"), find("gelu", name))
        for name in ("bolt", "puma", "secformer", "secmoe", "shaft")
    },
    "tanh": (unary("tanh"), find("tanh", "bolt")),
    "reciprocal": (lambda b, x: b.emit("reciprocal", positive(b, x)), None),
    "goldschmidt": (lambda b, x: b.emit("sqrt", positive(b, x)), find("power", "goldschmidt-lookup")),
    "layer_norm": (unary("layer_norm", epsilon=1e-5), None),
    "2relu": (SOFTMAX, find("softmax", "2relu")),
    "ode": (SOFTMAX, find("softmax", "ode")),
    "limit": (SOFTMAX, find("softmax", "puma")),
    "quadratics": (SOFTMAX, find("softmax", "bolt")),
}


def comparisons_alone(program: Program) -> list[str]:
    """Openings that nothing but comparisons reads."""
    openings = [o.result for o in program.operations if o.kind == "open_masked"]
    return [
        value.name
        for value in openings
        if {o.kind for o in program.operations if value in o.operands} == {"less_than"}
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_comparison_needs_no_opening_of_its_own(name: str) -> None:
    make, using = CASES[name]
    case = lowered(make, X, using=using)
    program = case.program
    assert "less_than" in {o.kind for o in program.operations}
    assert comparisons_alone(program) == []
    opened = [o.operands[0] for o in program.operations if o.kind == "open_masked"]
    assert len(set(opened)) == len(opened)


def test_a_relu_opens_its_argument_once() -> None:
    """[-32, 32] at 13 fraction bits in 21; carries of five blocks; the sign; the result."""
    x = np.append(np.linspace(-16, 16, 127), 0.5).reshape(2, 64)
    case = lowered(unary("relu"), x)
    _, run = case.secure()
    kinds = [o.kind for o in case.program.operations]
    assert [kinds.count(k) for k in ("open_masked", "less_than", "open_bits", "product")] == [1, 1, 1, 1]
    opened, carries, sign, revealed = 21, 8, 1, 21
    assert run.sent == (
        x.size * (opened + carries + sign + revealed) // 8,
        x.size * (opened + carries + sign) // 8,
    )
    assert run.rounds == 4
