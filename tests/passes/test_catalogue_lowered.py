"""Approximations of the catalogue in fixed point, between both parties: their published errors come out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpcc.ir.dialects.base import integer
from mpcc.ir.program import Operation
from mpcc.passes.approximations.catalogue import catalogue
from mpcc.passes.approximations.measure import functions_of
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.lower.context import ring_of
from tests.passes.tensor_programs import lowered
from tests.passes.test_catalogue import PUBLISHED
from tests.passes.test_lower import unary

FIXED_POINT = 1e-3  # from rounding arguments, their square, coefficients and results
EDGE = 2.0**-9  # beside a threshold: often less than the argument is rounded by when it is compared


def compared_unit(operation: Operation) -> float:
    """The last place of what a comparison compares: argument and threshold are rounded to less than two."""
    return 2.0 ** (integer(operation.attributes, "drop") - ring_of(operation.operands[0]).fraction)


@pytest.mark.parametrize(
    "approximation",
    [a for a in catalogue() if isinstance(a, Piecewise) and a.function != "exp"],
    ids=lambda a: f"{a.function}-{a.name}",
)
def test_a_lowered_approximation_has_its_published_error(approximation: Piecewise) -> None:
    radius = 16.0 if approximation.function == "silu" else 8.0
    inner = np.array(approximation.thresholds)
    x = np.append(np.linspace(-radius, radius, 8001), np.concatenate([inner - EDGE, inner + EDGE]))
    attributes = {"approximate": "none"} if approximation.function == "gelu" else {}
    case = lowered(unary(approximation.function, **attributes), x, using=approximation)
    secure, _ = case.secure()
    reach = max((2 * compared_unit(o) for o in case.program.operations if o.kind == "less_than"), default=0.0)
    sides = [replace(approximation, thresholds=tuple(inner + s)) for s in (-reach, 0.0, reach)]
    distance = np.min([np.abs(secure - side.evaluate(x)) for side in sides], axis=0)
    assert distance.max() <= FIXED_POINT
    error = np.abs(secure - functions_of(approximation)[0].evaluate(x)).max()
    published = PUBLISHED.get((approximation.function, approximation.name), approximation.error)
    assert error == pytest.approx(published, rel=0.1)
