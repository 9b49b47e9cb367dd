"""PROG/approximations.json: what was chosen for each node, what else there was, why that was not taken."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from mpcc.compiler.choose.choose import Choice, Choices, Option
from mpcc.compiler.choose.price import OFFLINE_SHARE
from mpcc.compiler.cost.network import Network
from mpcc.passes.approximations.base import Approximation


def record(choices: Choices, network: Network) -> dict[str, Any]:
    """The file's content. `error` is the outputs' predicted one, `budget` what it was bound to."""
    return {
        "network": str(network),
        "max_error": choices.max_error,
        "budget": choices.budget,
        "error": choices.error,
        "offline_share": OFFLINE_SHARE,
        "nodes": [_node(choice, choices) for choice in choices.choices],
    }


def _node(choice: Choice, choices: Choices) -> dict[str, Any]:
    other = choice.runner_up()
    return {
        "value": choice.node.value,
        "kind": choice.node.kind,
        "layer": choice.node.layer,
        "onnx_nodes": list(choice.node.operation.onnx_nodes),
        "range": list(choice.taken.range),
        "gain": choice.gain,
        "fixed": choice.fixed,
        "chosen": _option(choice, choice.taken, choices),
        "runner_up": other
        and {**_option(choice, other, choices), "why_not": why_not(choice, other, choices)},
        "options": len(choice.options),
        "refused": [{"name": name, "reason": reason} for name, reason in choice.refused],
    }


def _option(choice: Choice, option: Option, choices: Choices) -> dict[str, Any]:
    error = choice.error(option)
    return {
        "approximation": described(option.approximation),
        "rms_error": option.rms,
        "max_error": option.max,
        "output_error": error,
        "budget_share": (error / choices.budget) ** 2 if choice.counted and choices.budget else None,
        **dataclasses.asdict(option.price),
    }


def why_not(choice: Choice, other: Option, choices: Choices) -> str:
    """One phrase."""
    slower = other.cost - choice.taken.cost
    if slower > 0:
        return f"{1e3 * slower:.2g} ms slower"
    if choices.max_error is None and not choice.good(other):
        if not choice.standard:
            return "has an error where lowering has none on its own"
        return f"{other.rms / choice.standard:.2g} times the error that lowering makes on its own"
    rest = choices.error**2 - choice.error(choice.taken) ** 2
    error = math.sqrt(max(0.0, rest) + choice.error(other) ** 2)
    if error > choices.budget:
        return f"would use {100 * error / choices.budget:.0f} % of the error budget"
    return "as fast, and no more accurate"


def described(approximation: Approximation) -> dict[str, Any]:
    """All fields, and the kind; infinities as text, for JSON has none."""
    fields: dict[str, Any] = {"kind": approximation.kind}
    for field in dataclasses.fields(approximation):
        value = getattr(approximation, field.name)
        if isinstance(value, Approximation):
            fields[field.name] = described(value)
        else:
            fields[field.name] = _finite(value)
    return fields


def _finite(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _finite(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
