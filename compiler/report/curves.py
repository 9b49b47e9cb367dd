"""Curves of an approximation beside the function that it stands for, from its meaning in floating point."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from scipy import special

from mpcc.ir.diagnostics import MpccError
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.functions import FUNCTIONS, Array
from mpcc.passes.approximations.inverse import PowerInstance, instance
from mpcc.passes.approximations.measure import as_used
from mpcc.passes.approximations.softmax import ExactSoftmax, SoftmaxForm

POINTS = 201
BEYOND = 0.08  # of a range's width, shown on either side of it
MAGNITUDES = 0.3  # a logarithmic axis goes so many powers of ten beyond
SCORES = 16.0  # a softmax is shown for one score at most so far from the others
TITLES = {"gelu_none": "gelu", "gelu_tanh": "gelu, its form by tanh"}
ENOUGH = 1e30  # what is larger is cut, so that JSON holds it

Interval = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """`exact` and approximated minus exact, at `POINTS` places from `low` to `high`; with `logarithmic`, at
    equal ratios, and the error is relative. `calibrated` are the arguments that were met, `domain` where
    `bound` holds; its ends are cut to the shown range.
    """

    title: str
    argument: str
    low: float
    high: float
    logarithmic: bool
    calibrated: Interval
    domain: Interval
    bound: float
    exact: tuple[float, ...]
    error: tuple[float, ...]

    def entry(self) -> dict[str, object]:
        return asdict(self)


def curves(approximation: Approximation, function: str, calibrated: Interval, row: int) -> list[Curve]:
    """The curves that show an approximation of `function`, for arguments in `calibrated`.

    A softmax, which has `row` arguments, is shown for one score that differs from all others, with the
    exponential and the reciprocal inside it.
    """
    if isinstance(approximation, SoftmaxForm):
        return _softmax(approximation, calibrated, row)
    if isinstance(approximation, PowerInstance):
        return [_power(approximation, calibrated)]
    used = _rounded(approximation, calibrated)
    exact, title = FUNCTIONS[function], TITLES.get(function, function)
    return [_curve(title, "x", used, exact.evaluate, calibrated, positive=exact.positive)]


def _rounded(approximation: Approximation, calibrated: Interval) -> Approximation:
    """With coefficients as they are used, where these have a format for the arguments."""
    try:
        return as_used(approximation, *calibrated)
    except ValueError:
        return approximation


def _power(approximation: PowerInstance, calibrated: Interval) -> Curve:
    exponent = approximation.exponent
    title = {-1.0: "1 / x", -0.5: "1 / sqrt(x)", 0.5: "sqrt(x)"}[exponent]
    return _curve(title, "x", approximation, lambda x: x**exponent, calibrated, positive=True)


def _softmax(form: SoftmaxForm, calibrated: Interval, row: int) -> list[Curve]:
    low, high = min(0.0, max(calibrated[0], -SCORES)), max(0.0, min(calibrated[1], SCORES))
    others = max(1, row - 1)
    divide = _reciprocal(form, low, high, others) if isinstance(form, ExactSoftmax) else None

    def exact(x: Array) -> Array:
        return np.asarray(special.softmax(_rows(x, others), axis=-1)[:, 0])

    def evaluate(x: Array) -> Array:
        rows = _rows(x, others)
        found = form.evaluate(rows)[:, 0]
        if isinstance(form, ExactSoftmax) and divide is not None:
            sums = _sums(form, rows)
            found = found * sums * divide.evaluate(sums)
        return np.asarray(found)

    title = f"softmax: one score beside {others} of 0"
    extent = (low, high)
    shown = [_sampled(title, "score", evaluate, exact, extent, extent, form.domain, form.error, False)]
    if isinstance(form, ExactSoftmax):
        exponential = form.exponential
        clip = float(getattr(exponential, "clip", exponential.domain[0]))
        clip = clip if math.isfinite(clip) else -SCORES
        shown.append(_curve("exp inside it", "score - maximum", exponential, np.exp, (clip, 0.0), above=0.0))
    if divide is not None:
        sums = divide.domain
        shown.append(_curve("1 / x inside it", "sum of the row", divide, np.reciprocal, sums, positive=True))
    return shown


def _rows(x: Array, others: int) -> Array:
    return np.concatenate([x[:, None], np.zeros((len(x), others))], axis=1)


def _sums(form: ExactSoftmax, rows: Array) -> Array:
    """What is divided by: exponentials about the row's centre."""
    centre = rows.max(axis=-1) if form.centre != "mean" else rows.mean(axis=-1)
    return np.asarray(np.exp(rows - centre[:, None]).sum(axis=-1))


def _reciprocal(form: ExactSoftmax, low: float, high: float, others: int) -> PowerInstance | None:
    """The recipe's instance for the sums of the rows that are shown; none where it does not do for them."""
    sums = _sums(form, _rows(np.linspace(low, high, POINTS), others))
    least = 1.0 if form.centre != "mean" else float(sums.min())
    try:
        return instance(form.reciprocal, -1.0, least, max(2.0 * least, float(sums.max())))
    except MpccError:
        return None


def _curve(
    title: str,
    argument: str,
    approximation: Approximation,
    exact: Callable[[Array], Array],
    calibrated: Interval,
    positive: bool = False,
    above: float = math.inf,
) -> Curve:
    """Over the calibrated range, the domain and a part beyond; not `above`."""
    edges = [*calibrated, *(end for end in approximation.domain if math.isfinite(end))]
    low, high = min(e for e in edges if e > 0 or not positive), max(edges)
    if positive:
        extent = (low / 10**MAGNITUDES, high * 10**MAGNITUDES)
    else:
        extent = (low - BEYOND * (high - low), min(above, high + BEYOND * (high - low)))
    return _sampled(
        title, argument, approximation.evaluate, exact, extent, calibrated, approximation.domain,
        approximation.error, positive,
    )  # fmt: skip


def _sampled(
    title: str,
    argument: str,
    evaluate: Callable[[Array], Array],
    exact: Callable[[Array], Array],
    extent: Interval,
    calibrated: Interval,
    domain: Interval,
    bound: float,
    logarithmic: bool,
) -> Curve:
    x = (np.geomspace if logarithmic else np.linspace)(*extent, POINTS)
    with np.errstate(all="ignore"):
        wanted = exact(x)
        error = np.asarray(evaluate(x)) - wanted
        error = error / wanted if logarithmic else error
    error = np.clip(np.nan_to_num(error, nan=ENOUGH), -ENOUGH, ENOUGH)
    shown = (max(domain[0], extent[0]), min(domain[1], extent[1]))
    return Curve(
        title=title,
        argument=argument,
        low=extent[0],
        high=extent[1],
        logarithmic=logarithmic,
        calibrated=calibrated,
        domain=shown,
        bound=bound,
        exact=tuple(float(f"{v:.6g}") for v in wanted),
        error=tuple(float(f"{v:.4g}") for v in error),
    )
