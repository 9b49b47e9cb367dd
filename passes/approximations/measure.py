"""How far off an approximation is: dense grids, with coefficients rounded as they will be used."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.functions import FUNCTIONS, Array, Function
from mpcc.passes.approximations.inverse import POWERS, InversePower, PowerSegments, instance
from mpcc.passes.approximations.lookup import Lookup
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.rounding import ARGUMENT_FRACTION, polynomial_format
from mpcc.passes.approximations.softmax import SoftmaxForm

POINTS = 40_001
WIDE = 32.0  # how far the dense grid goes where the domain is infinite
FAR = 1e6  # how far some points go beyond it
ROW = 128  # scores of a row whose softmax is measured
LEVELS = 65  # scores tried for either level of a row
POWER_RANGE = (1.0, 1024.0)


@dataclass(frozen=True)
class Measured:
    """The largest |approximation - function| (relative for a power), and where."""

    error: float
    place: str


def measured_error(approximation: Approximation) -> Measured:
    """Over the approximation's domain. Raises ValueError where the coefficients have no fixed-point format,
    MpccError where a recipe for powers does not do for arguments from 1 to 1024.

    Elementwise: a dense grid, both sides of every threshold, and far points where the domain is infinite; a
    table also by a neighbour's entry within half a step. Powers: relative, for arguments from 1 to 1024, and
    of an iteration what is proven.
    Softmax: rows of 128 scores of which some are one number of the domain and the rest another.
    """
    if isinstance(approximation, SoftmaxForm):
        return _softmax(approximation)
    if isinstance(approximation, InversePower):
        return _power(approximation)
    x = _grid(approximation)
    used = as_used(approximation, *_extent(approximation))
    reach = approximation.step / 2 if isinstance(approximation, Lookup) else 0.0
    with np.errstate(all="ignore"):
        off = [
            np.abs(used.evaluate(x + aside) - function.evaluate(x))
            for function in functions_of(approximation)
            for aside in ((-reach, reach) if reach else (0.0,))
        ]
    error = np.nan_to_num(np.max(off, axis=0), nan=np.inf)
    return Measured(float(error.max()), f"x = {x[error.argmax()]:.6g}")


def functions_of(approximation: Approximation) -> tuple[Function, ...]:
    """What it stands for; `gelu` is the form by erf and the one by tanh."""
    names = ("gelu_none", "gelu_tanh") if approximation.function == "gelu" else (approximation.function,)
    return tuple(FUNCTIONS[name] for name in names)


def as_used(approximation: Approximation, low: float, high: float) -> Approximation:
    """With polynomial coefficients rounded for arguments within [low, high]."""
    if not isinstance(approximation, Piecewise):
        return approximation
    form = polynomial_format(approximation, low, high, ARGUMENT_FRACTION)
    return form.rounded(approximation)


def _extent(approximation: Approximation) -> tuple[float, float]:
    """The domain, cut where it is infinite."""
    edges = [0.0, *getattr(approximation, "thresholds", ()), *filter(math.isfinite, approximation.domain)]
    low, high = approximation.domain
    return max(low, min(edges) - WIDE), min(high, max(edges) + WIDE)


def _grid(approximation: Approximation) -> Array:
    low, high = _extent(approximation)
    points = [np.linspace(low, high, POINTS)]
    if low > approximation.domain[0]:
        points.append(-np.geomspace(-low, FAR, 100))
    if high < approximation.domain[1]:
        points.append(np.geomspace(high, FAR, 100))
    edges = np.array(getattr(approximation, "thresholds", ()))
    points += [edges, np.nextafter(edges, -math.inf)]
    x = np.sort(np.concatenate(points))
    return x[(x >= approximation.domain[0]) & (x <= approximation.domain[1])]


def _power(recipe: InversePower) -> Measured:
    x, errors = np.geomspace(*POWER_RANGE, POINTS), {}
    for name, exponent in POWERS.items():
        made = instance(recipe, exponent, *POWER_RANGE)
        fit = float(np.abs(made.evaluate(x) / x**exponent - 1.0).max())
        errors[name] = fit if isinstance(recipe, PowerSegments) else made.error
    worst = max(errors, key=errors.__getitem__)
    return Measured(errors[worst], f"a {worst} of 1 to {POWER_RANGE[1]:g}")


def _softmax(form: SoftmaxForm) -> Measured:
    worst = Measured(0.0, "nowhere")
    for count, first, second in _two_levels(form):
        rows = np.where(np.arange(ROW) < count, first[:, None], second[:, None])
        with np.errstate(all="ignore"):
            off = np.abs(form.evaluate(rows) - special.softmax(rows, axis=-1)).max(axis=-1)
        off = np.nan_to_num(off, nan=np.inf)
        if off.max() > worst.error:
            index = int(off.argmax())
            place = f"{count} scores of {first[index]:.4g}, {ROW - count} of {second[index]:.4g}"
            worst = Measured(float(off[index]), place)
    return worst


def _two_levels(form: SoftmaxForm) -> Iterator[tuple[int, Array, Array]]:
    """(how many scores are at the first level, first levels, second levels)."""
    levels = np.linspace(*_extent(form), LEVELS)
    first, second = (level.ravel() for level in np.meshgrid(levels, levels))
    apart = first > second
    for count in (1, 2, 4, 8, 16, 32, 64, 96, 127):
        yield count, first[apart], second[apart]
