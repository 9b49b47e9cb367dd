"""The catalogue of approximations and the presets as tables, for `mpcc approximations` and the docs."""

from __future__ import annotations

from mpcc.compiler.text import table
from mpcc.passes.approximations import candidates as fits
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.catalogue import catalogue, named
from mpcc.passes.approximations.exponentials import ExponentialProtocol, Limit
from mpcc.passes.approximations.inverse import Goldschmidt, PowerSegments
from mpcc.passes.approximations.lookup import Lookup
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.presets import preset, presets
from mpcc.passes.approximations.softmax import ExactSoftmax, OdeSoftmax, QuadSoftmax, ReluSoftmax

HEAD = ("function", "name", "kind", "domain", "max error", "form", "source")


def approximations_table(function: str | None = None, extent: tuple[float, float] | None = None) -> str:
    """Markdown. With a range also the compiler's own fits for it; raises MPC-P024 for an unknown function."""
    found = catalogue() if function is None else named(function)
    if function is not None and extent is not None:
        found = (*found, *fits.candidates("gelu_none" if function == "gelu" else function, *extent))
    return table(HEAD, [_row(approximation) for approximation in found])


def presets_table() -> str:
    """Markdown: what each preset fixes."""
    rows = []
    for name in presets():
        chosen = preset(name)
        uses = ", ".join(f"{function} {used.name}" for function, used in chosen.uses.items())
        rows.append((name, uses or "nothing", "yes" if chosen.changes_model else "no", chosen.source))
    return table(("preset", "fixes", "changes the model", "source"), rows)


def form_of(approximation: Approximation) -> str:
    """Thresholds, degree and harmonics, iterations: what its cost depends on."""
    match approximation:
        case Piecewise():
            parts = [_thresholds(len(approximation.thresholds))] if approximation.thresholds else []
            if approximation.degree > 1 or approximation.series is None:
                parts.append(f"degree {approximation.degree}")
            if approximation.series is not None:
                parts.append(f"{len(approximation.series.harmonics)} harmonics")
            return ", ".join(parts)
        case ExponentialProtocol():
            return f"clip {approximation.clip:g}"
        case Limit():
            return f"{approximation.squarings} squarings, clip {approximation.clip:g}"
        case PowerSegments():
            return f"{_thresholds(approximation.steps)} an octave, degree 2"
        case Goldschmidt():
            start = f"{_thresholds(approximation.steps)} an octave" if approximation.steps else "deflation"
            return f"start by {start}, iterations by range"
        case QuadSoftmax():
            return f"(x + {approximation.constant:g})^2, {approximation.reciprocal.name}"
        case ReluSoftmax():
            return f"relu(x) + {approximation.epsilon:g} / n, {approximation.reciprocal.name}"
        case OdeSoftmax():
            return f"{approximation.steps} steps"
        case ExactSoftmax():
            names = (approximation.exponential.name, approximation.reciprocal.name)
            return f"centre {approximation.centre}, exp {names[0]}, {names[1]}"
        case Lookup():
            return f"{2**approximation.bits} entries"
    raise TypeError(f"{approximation.name} is of an unknown kind")


def _thresholds(count: int) -> str:
    return f"{count} threshold{'s' if count > 1 else ''}"


def _row(approximation: Approximation) -> tuple[object, ...]:
    low, high = approximation.domain
    return (
        approximation.function,
        approximation.name,
        approximation.kind,
        "all" if (low, high) == (-float("inf"), float("inf")) else f"[{low:g}, {high:g}]",
        f"{approximation.error:.2g}",
        form_of(approximation),
        approximation.source,
    )
