"""Approximations of the catalogue in fixed point, between both parties: their published errors come out."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.passes.approximations.catalogue import catalogue
from mpcc.passes.approximations.measure import functions_of
from mpcc.passes.approximations.piecewise import Piecewise
from tests.passes.tensor_programs import lowered
from tests.passes.test_catalogue import PUBLISHED
from tests.passes.test_lower import unary

FIXED_POINT = 1e-3  # from rounding arguments, their square, coefficients and results
EDGE = 2.0**-9  # around a threshold, where an argument is rounded to either side


@pytest.mark.parametrize(
    "approximation",
    [a for a in catalogue() if isinstance(a, Piecewise) and a.function != "exp"],
    ids=lambda a: f"{a.function}-{a.name}",
)
def test_a_lowered_approximation_has_its_published_error(approximation: Piecewise) -> None:
    radius = 16.0 if approximation.function == "silu" else 8.0
    inner = np.array(approximation.thresholds)
    x = np.append(np.linspace(-radius, radius, 8001), np.concatenate([inner - EDGE, inner + EDGE]))
    x = x[(np.abs(x[:, None] - inner) >= EDGE).all(axis=1)]
    attributes = {"approximate": "none"} if approximation.function == "gelu" else {}
    case = lowered(unary(approximation.function, **attributes), x, using=approximation)
    secure, _ = case.secure()
    np.testing.assert_allclose(secure, approximation.evaluate(x), rtol=0, atol=FIXED_POINT)
    error = np.abs(secure - functions_of(approximation)[0].evaluate(x)).max()
    published = PUBLISHED.get((approximation.function, approximation.name), approximation.error)
    assert error == pytest.approx(published, rel=0.1)
