"""Approximations read back from their description, and their curves."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import special

from mpcc.compiler.choose.record import described
from mpcc.compiler.report.curves import POINTS, Curve, curves
from mpcc.compiler.report.restored import restored
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.catalogue import bundled, catalogue
from mpcc.passes.approximations.functions import FUNCTIONS
from mpcc.passes.approximations.inverse import POWERS, InversePower, instance
from mpcc.passes.approximations.lookup import lookup
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.softmax import SoftmaxForm

RECIPES = [recipe for recipe in bundled("power") if isinstance(recipe, InversePower)]
INSTANCES = [instance(recipe, p, 0.5, 40.0) for recipe in RECIPES for p in POWERS.values()]
WIDE = instance(RECIPES[0], -1.0, 1.0, 2.0**15)  # the square of a root
EVERY: list[Approximation] = [*catalogue(), *INSTANCES, WIDE, lookup("tanh", -3.0, 3.0, 6)]


@pytest.mark.parametrize("approximation", EVERY, ids=lambda a: f"{a.function}-{a.name}")
def test_a_description_is_read_back(approximation: Approximation) -> None:
    text = json.dumps(described(approximation), allow_nan=False)
    assert restored(json.loads(text)) == approximation


def test_a_description_of_no_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no approximation has the fields name"):
        restored({"kind": "?", "name": "x"})


def places(curve: Curve) -> np.ndarray:
    return (np.geomspace if curve.logarithmic else np.linspace)(curve.low, curve.high, POINTS)


def within(curve: Curve) -> np.ndarray:
    x = places(curve)
    return (x >= curve.domain[0]) & (x <= curve.domain[1])


@pytest.mark.parametrize("name", ["puma", "bolt", "secformer"])
def test_a_curve_shows_function_and_error(name: str) -> None:
    gelu = next(a for a in bundled("gelu") if a.name == name)
    (curve,) = curves(gelu, "gelu_none", (-3.0, 5.0), 1)
    x = places(curve)
    assert curve.low < -3.0
    assert curve.high > 5.0
    np.testing.assert_allclose(curve.exact, FUNCTIONS["gelu_none"].evaluate(x), rtol=1e-5, atol=1e-12)
    found = np.array(curve.exact) + curve.error
    np.testing.assert_allclose(found, gelu.evaluate(x), atol=5e-3)  # but for rounded coefficients
    assert np.abs(curve.error)[within(curve)].max() <= gelu.error * 1.01


@pytest.mark.parametrize("power", INSTANCES, ids=lambda a: f"{a.name} {a.exponent}")
def test_the_error_of_a_power_is_relative_and_within_its_bound(power: Approximation) -> None:
    (curve,) = curves(power, "power", (1.0, 20.0), 1)
    assert curve.logarithmic
    assert curve.low < 0.5
    assert curve.high > 40.0
    assert np.abs(curve.error)[within(curve)].max() <= power.error


@pytest.mark.parametrize(
    "form", [a for a in bundled("softmax") if isinstance(a, SoftmaxForm)], ids=lambda a: str(a.name)
)
def test_a_softmax_is_shown_for_one_score(form: SoftmaxForm) -> None:
    first, *inside = curves(form, "softmax", (-3.0, 3.0), 32)
    x = places(first)
    np.testing.assert_allclose(first.exact, special.expit(x - math.log(31)), rtol=1e-5)
    assert np.abs(first.error).max() <= max(form.error, 1e-3)
    for curve in inside:
        assert np.abs(curve.error)[within(curve)].max() <= curve.bound * 1.01


def test_a_softmax_of_large_scores_is_shown_from_0_on() -> None:
    (form,) = (a for a in bundled("softmax") if a.name == "exact")
    first, *_ = curves(form, "softmax", (20.0, 30.0), 8)
    assert (first.low, first.high) == (0.0, 16.0)


def test_what_has_no_format_is_shown_as_it_is() -> None:
    steep = Piecewise(
        name="steep", function="gelu", domain=(-1.0, 1.0), error=1e9, source="test", rows=((0.0, 1e9),)
    )
    (curve,) = curves(steep, "gelu_none", (-1.0, 1.0), 1)
    json.dumps(curve.entry(), allow_nan=False)
    assert curve.error[-1] == pytest.approx(1e9 * curve.high, rel=1e-3)
