"""Errors by layer and operation, from R.json of `mpcc verify`."""

from __future__ import annotations

from typing import Any

from mpcc.compiler.report.operations import Operations

Entry = dict[str, Any]
QUANTITIES = ("max", "simulated", "approximated", "exact", "std", "relative")


def errors_entry(error: Entry, operations: Operations) -> Entry:
    """The report's `errors`: each operation's, the worst of each layer, and each output's."""
    places = {(o.kind, o.onnx_nodes): index for index, o in enumerate(operations.model)}
    layers: dict[str, Entry] = {}
    entries = []
    for entry in error["layers"]:
        numbers = {quantity: entry[quantity] for quantity in QUANTITIES}
        place = places.get((entry["operation"], tuple(entry["onnx_nodes"])), -1)
        entries.append({"operation": place, "kind": entry["operation"], "layer": entry["layer"], **numbers})
        known = layers.setdefault(entry["layer"], dict.fromkeys(QUANTITIES, 0.0))
        layers[entry["layer"]] = {q: max(known[q], numbers[q]) for q in QUANTITIES}
    return {
        "operations": entries,
        "layers": [{"label": label, **numbers} for label, numbers in layers.items()],
        "outputs": [
            {"label": name, **{quantity: numbers[quantity] for quantity in QUANTITIES}}
            for name, numbers in error["outputs"].items()
        ],
    }
