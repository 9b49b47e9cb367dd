"""The chosen approximations: where each stands, its curves, and what came second."""

from __future__ import annotations

import json
from typing import Any

from mpcc.compiler.report.curves import Interval, curves
from mpcc.compiler.report.operations import Operations
from mpcc.compiler.report.restored import restored
from mpcc.ir.program import Operation, Program
from mpcc.passes.lower.activations import function_of

Entry = dict[str, Any]
ERRORS = ("rms_error", "max_error", "output_error", "budget_share")
PRICES = ("rounds", "bytes", "offline_bytes", "seconds")


def chosen_entry(content: Entry, operations: Operations, computed: Program, safety: float) -> Entry:
    """The report's `approximations`, from approximations.json; `computed` is the last tensor-stage program.

    `cards` are kinds of operations with the name of what computes them; a variant of a card has its own
    coefficients, and the curves that these make.
    """
    results = {o.result.name: o for o in computed.operations}
    cards: dict[tuple[str, str], Entry] = {}
    variants: dict[tuple[str, ...], Entry] = {}
    for place, node in enumerate(content["nodes"]):
        approximation = node["chosen"]["approximation"]
        operation = results[node["value"]]
        card = cards.setdefault(
            (node["kind"], approximation["name"]),
            {
                "kind": node["kind"],
                "name": approximation["name"],
                "form": approximation["kind"],
                "source": approximation["source"],
                "changes_model": approximation["changes_model"],
                "variants": [],
            },
        )
        key = (function_of(operation), str(_row(operation)), json.dumps(approximation, sort_keys=True))
        if key not in variants:
            variants[key] = {
                "approximation": approximation,
                "function": key[0],
                "row": _row(operation),
                "sites": [],
                "calibrated": list(_narrowed(node["range"], safety)),
            }
            card["variants"].append(variants[key])
        variant = variants[key]
        low, high = _narrowed(node["range"], safety)
        variant["sites"].append(place)
        variant["calibrated"] = [min(low, variant["calibrated"][0]), max(high, variant["calibrated"][1])]
    for variant in variants.values():
        low, high = variant["calibrated"]
        found = curves(restored(variant["approximation"]), variant["function"], (low, high), variant["row"])
        variant["curves"] = [curve.entry() for curve in found]
    return {
        **{name: content[name] for name in ("network", "max_error", "budget", "error")},
        "sites": [_site(node, operations, results[node["value"]]) for node in content["nodes"]],
        "cards": list(cards.values()),
    }


def _site(node: Entry, operations: Operations, operation: Operation) -> Entry:
    other = node["runner_up"]
    return {
        "operation": operations.model_of(operation),
        "kind": node["kind"],
        "name": node["chosen"]["approximation"]["name"],
        "layer": node["layer"],
        "onnx_nodes": node["onnx_nodes"],
        "asked_for": node["fixed"],
        "options": node["options"],
        "refused": len(node["refused"]),
        **_numbers(node["chosen"]),
        "runner_up": other
        and {"name": other["approximation"]["name"], "why_not": other["why_not"], **_numbers(other)},
    }


def _numbers(option: Entry) -> Entry:
    return {name: option[name] for name in (*ERRORS, *PRICES)}


def _row(operation: Operation) -> int:
    """How many arguments the operation takes together; 1 of an elementwise one."""
    return int(operation.result.type.shape[-1]) if operation.kind == "softmax" else 1  # type: ignore[union-attr]


def _narrowed(extent: list[float], safety: float) -> Interval:
    """The range that was met, of one that `Range.widen` made wider."""
    low, high = extent
    low, high = (low / safety if low < 0 else low * safety), (high / safety if high > 0 else high * safety)
    return (low, high) if low < high else (extent[0], extent[1])
