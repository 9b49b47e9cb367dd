"""From a file's table to an approximation, everything checked: docs/approximations.md, field by field."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.exponentials import ExponentialProtocol, Limit
from mpcc.passes.approximations.fields import Fields
from mpcc.passes.approximations.functions import FUNCTIONS
from mpcc.passes.approximations.inverse import Goldschmidt, InversePower, PowerSegments
from mpcc.passes.approximations.lookup import MAX_BITS, Lookup
from mpcc.passes.approximations.piecewise import Piecewise, Series
from mpcc.passes.approximations.softmax import CENTRES, ExactSoftmax, OdeSoftmax, QuadSoftmax, ReluSoftmax

APPROXIMATED = (
    *("gelu", "silu", "tanh", "sigmoid", "erf", "exp", "softplus", "reciprocal", "rsqrt"),
    *("softmax", "power"),
)
BEST = "best"  # the name that leaves the choice to the compiler
MAX_DEGREE, MAX_SEGMENTS, MAX_HARMONIC = 12, 64, 512

Particulars = dict[str, Any]
Find = Callable[[str, str], Approximation]
Reader = Callable[[Fields, str, Find], Particulars]


def parse(table: dict[str, Any], place: str, find: Find) -> Approximation:
    """The approximation that a file's table describes; `place` is the file.

    `find` gives the approximation of a function by its name or path, for fields that refer to another one.
    Raises MPC-P023, all problems at once.
    """
    with Diagnostics() as diagnostics:
        fields = Fields(table, place, diagnostics)
        common = _common(fields)
        function = str(common["function"])
        readers = KINDS.get(function, _ONE_VARIABLE)
        kind = fields.choice("kind", readers)
        if function and kind:
            cls, reader = readers[kind]
            particulars = reader(fields, kind, find)
            fields.finish()
    try:
        approximation = cls(**common, **particulars)
    except ValueError as error:
        raise MpccError("MPC-P023", str(error), where=place) from None
    assert isinstance(approximation, Approximation)
    return approximation


def _common(fields: Fields) -> Particulars:
    name = fields.text("name")
    if name and (name == BEST or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name)):
        fields.wrong("name", f"{name!r} is no name", f"use a-z, 0-9, - and _, and not {BEST!r}")
    function = fields.choice("function", APPROXIMATED)
    domain = fields.numbers("domain", infinite=True)
    if len(domain) != 2:
        fields.wrong("domain", "is not [low, high]")
    elif not domain[0] < domain[1]:
        fields.wrong("domain", f"[{domain[0]:g}, {domain[1]:g}] is empty")
    elif (function == "power" and domain[0] < 0) or (_positive(function) and domain[0] <= 0):
        fields.wrong("domain", f"{function} has positive arguments only")
    error = fields.number("error", low=0.0)
    return {
        "name": name,
        "function": function,
        "domain": domain,
        "error": error,
        "source": fields.text("source"),
    }


def _positive(function: str) -> bool:
    return function in FUNCTIONS and FUNCTIONS[function].positive


def _polynomial(fields: Fields, kind: str, find: Find) -> Particulars:
    thresholds, rows = fields.numbers("thresholds", ()), fields.rows("rows")
    if list(thresholds) != sorted(set(thresholds)):
        fields.wrong("thresholds", "do not ascend")
    if len(rows) != len(thresholds) + 1:
        fields.wrong("rows", f"{len(thresholds)} thresholds make {len(thresholds) + 1} segments")
    if len(rows) > MAX_SEGMENTS:
        fields.wrong("rows", f"are more than {MAX_SEGMENTS} segments")
    for index, row in enumerate(rows):
        if not 1 <= len(row) <= MAX_DEGREE + 1:
            fields.wrong(f"rows[{index}]", f"has not 1 to {MAX_DEGREE + 1} coefficients")
    return {"thresholds": thresholds, "rows": rows, "changes_model": kind == "replacement"}


def _series(fields: Fields, kind: str, find: Find) -> Particulars:
    particulars = _polynomial(fields, kind, find)
    if (kind == "sine series") != (not particulars["thresholds"]):
        fields.wrong("thresholds", f"a {kind} has {'none' if kind == 'sine series' else 'some'}")
    gates = fields.numbers("gates", (1.0,))
    if len(gates) != len(particulars["rows"]):
        fields.wrong("gates", f"{len(gates)} gates for {len(particulars['rows'])} rows")
    if not any(gates):
        fields.wrong("gates", "are all 0: the series is not used")
    times_argument = fields.flag("times_argument")
    inner = fields.table("series")
    period = inner.number("period")
    scale = inner.number("argument_scale", 1.0)
    for key, value in (("period", period), ("argument_scale", scale)):
        if value <= 0:
            inner.wrong(key, "is not positive")
    waves = _waves(inner)
    inner.finish()
    series = None
    if waves and period > 0 and scale > 0:
        harmonics, amplitudes, phases = zip(*waves, strict=True)
        series = Series(period / scale, harmonics, amplitudes, phases)
    return {**particulars, "gates": gates, "series": series, "times_argument": times_argument}


def _waves(fields: Fields) -> list[tuple[int, float, float]]:
    """(harmonic, amplitude, phase in turns) of the sines and cosines that are not 0."""
    sines, cosines = fields.numbers("sine", ()), fields.numbers("cosine", ())
    count = max(len(sines), len(cosines))
    harmonics = fields.numbers("harmonics", tuple(range(1, count + 1)))
    if not count:
        fields.wrong("sine", "neither `sine` nor `cosine` has coefficients")
    if len(harmonics) != count or (sines and cosines and len(sines) != len(cosines)):
        fields.wrong("harmonics", "are not as many as the coefficients")
        return []
    if any(not 1 <= h <= MAX_HARMONIC or h != int(h) for h in harmonics) or len(set(harmonics)) < count:
        fields.wrong("harmonics", f"are no different integers from 1 to {MAX_HARMONIC}")
        return []
    waves = []
    for index, harmonic in enumerate(harmonics):
        sine = sines[index] if sines else 0.0
        cosine = cosines[index] if cosines else 0.0
        if sine or cosine:  # a cosine that lags by its phase
            phase = math.atan2(sine, cosine) / (2 * math.pi)
            amplitude = math.hypot(sine, cosine)
            if not cosine:
                phase, amplitude = 0.25, sine
            elif not sine:
                phase, amplitude = 0.0, cosine
            waves.append((int(harmonic), amplitude, phase))
    if count and not waves:
        fields.wrong("sine", "all coefficients are 0")
    return waves


def _power_recipe(fields: Fields, kind: str, find: Find) -> Particulars:
    iterated = kind == "Goldschmidt iteration"
    particulars: Particulars = {"steps": fields.integer("steps", low=0 if iterated else 1, high=32)}
    if iterated:
        particulars["rescale"] = fields.flag("rescale")
        if fields.has("eta"):
            particulars["eta"] = fields.number("eta", low=0.0)
    return particulars


def _lookup(fields: Fields, kind: str, find: Find) -> Particulars:
    return {
        "low": fields.number("low"),
        "step_log2": fields.integer("step_log2", low=-24, high=24),
        "bits": fields.integer("bits", low=1, high=MAX_BITS),
    }


def _clip(fields: Fields, kind: str, find: Find) -> Particulars:
    particulars = {"clip": fields.number("clip", high=-1.0)}
    if kind == "limit":
        particulars["squarings"] = fields.integer("squarings", low=1, high=12)
    return particulars


def _softmax(fields: Fields, kind: str, find: Find) -> Particulars:
    particulars: Particulars = {"divide_first": fields.flag("divide_first")}
    if fields.has("reciprocal"):
        particulars["reciprocal"] = _referred(fields, find, "reciprocal", "power", InversePower)
    if kind == "softmax":
        particulars["centre"] = fields.choice("centre", CENTRES, "max")
        exponential = _referred(fields, find, "exponential", "exp", (ExponentialProtocol, Limit, Piecewise))
        return {**particulars, "exponential": exponential}
    if kind == "2quad":
        return {**particulars, "constant": fields.number("constant", 5.0, high=1e3), "changes_model": True}
    epsilon = fields.number("epsilon", 1e-2, low=1e-9, high=1e3)
    return {**particulars, "epsilon": epsilon, "changes_model": True}


def _ode(fields: Fields, kind: str, find: Find) -> Particulars:
    low, high = fields.number("low", -4.0), fields.number("high", 12.0)
    if not low < high:
        fields.wrong("low", f"[{low:g}, {high:g}] is empty")
    return {"steps": fields.integer("steps", low=1, high=256), "low": low, "high": high}


def _referred(fields: Fields, find: Find, key: str, function: str, types: Any) -> Approximation | None:
    """The approximation that a field names, by its bundled name or a path relative to the file."""
    name = fields.text(key)
    if not name:
        return None
    if name.endswith(".toml"):
        name = str(Path(fields.place).parent / name)
    try:
        found = find(function, name)
    except MpccError as error:
        fields.wrong(key, error.message, error.remedy)
        return None
    if not isinstance(found, types):
        fields.wrong(key, f"{name!r} is a {found.kind}, which does not serve here")
    return found


_ELEMENTWISE: dict[str, tuple[Any, Reader]] = {
    "segmented polynomial": (Piecewise, _polynomial),
    "sine series": (Piecewise, _series),
    "segmented sine series": (Piecewise, _series),
    "replacement": (Piecewise, _polynomial),
}
_ONE_VARIABLE: dict[str, tuple[Any, Reader]] = {**_ELEMENTWISE, "lookup": (Lookup, _lookup)}
KINDS: dict[str, dict[str, tuple[Any, Reader]]] = {
    **dict.fromkeys(APPROXIMATED, _ONE_VARIABLE),
    "gelu": _ELEMENTWISE,  # two functions: a table holds one
    "exp": {
        **_ONE_VARIABLE,
        "exponential protocol": (ExponentialProtocol, _clip),
        "limit": (Limit, _clip),
    },
    "power": {
        "segmented polynomial": (PowerSegments, _power_recipe),
        "Goldschmidt iteration": (Goldschmidt, _power_recipe),
    },
    "softmax": {
        "softmax": (ExactSoftmax, _softmax),
        "2quad": (QuadSoftmax, _softmax),
        "2relu": (ReluSoftmax, _softmax),
        "differential equation": (OdeSoftmax, _ode),
    },
}
