"""Approximations as approximations.json describes them, as objects again: with their meaning."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.exponentials import ExponentialProtocol, Limit
from mpcc.passes.approximations.goldschmidt import GoldschmidtPower, Iteration
from mpcc.passes.approximations.inverse import Goldschmidt, PowerSegments, SquaredPower
from mpcc.passes.approximations.lookup import Lookup
from mpcc.passes.approximations.piecewise import Piecewise, Series
from mpcc.passes.approximations.powers import Octaves, SegmentedPower
from mpcc.passes.approximations.softmax import ExactSoftmax, OdeSoftmax, QuadSoftmax, ReluSoftmax

KINDS: tuple[type[Approximation], ...] = (
    *(Piecewise, Lookup, SegmentedPower, GoldschmidtPower, SquaredPower, PowerSegments, Goldschmidt),
    *(ExponentialProtocol, Limit, ExactSoftmax, QuadSoftmax, ReluSoftmax, OdeSoftmax),
)
PARTS = {"octaves": Octaves, "series": Series, "iterations": Iteration}
TEXTS = ("name", "function", "source", "centre")


def restored(described: dict[str, Any]) -> Approximation:
    """The inverse of `choose.record.described`: every kind has fields that no other one has.

    Raises ValueError where no kind has these fields.
    """
    given = {name: _value(name, value) for name, value in described.items() if name != "kind"}
    for kind in KINDS:
        if {field.name for field in fields(kind)} == set(given):
            return kind(**given)
    raise ValueError(f"no approximation has the fields {', '.join(sorted(given))}")


def _value(name: str, value: Any) -> Any:
    if name in TEXTS or value is None:
        return value
    if isinstance(value, dict):
        return restored(value) if "kind" in value else _part(name, value)
    if isinstance(value, list):
        return tuple(_part(name, v) if isinstance(v, dict) else _value("", v) for v in value)
    return float(value) if isinstance(value, str) else value  # JSON has no infinities


def _part(name: str, value: dict[str, Any]) -> Any:
    return PARTS[name](**{key: _value(key, v) for key, v in value.items()})
