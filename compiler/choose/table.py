"""The choices of a program folder as a table: equal decisions of several layers in one row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpcc.compiler.text import size_of, table
from mpcc.ir.diagnostics import MpccError

APPROXIMATIONS_NAME = "approximations.json"
HEAD = (
    "operation", "where", "computed by", "error", "of the budget", "rounds", "online", "offline", "ms"
)  # fmt: skip
FIELDS = {"kind", "layer", "onnx_nodes", "range", "fixed", "chosen", "runner_up"}  # of every node


def read_choices(prog: Path) -> dict[str, Any]:
    """PROG/approximations.json; empty for a folder of an older version. Raises MPC-C066 for a damaged one."""
    path = prog / APPROXIMATIONS_NAME
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if all(node.keys() >= FIELDS for node in content["nodes"]):
            return dict(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise MpccError(
        "MPC-C066",
        "the record of the chosen approximations is damaged",
        where=str(path),
        remedy="copy the program folder again, completely, or compile again",
    )


def choices_table(content: dict[str, Any]) -> str:
    """A row for every decision: largest error and summed costs of its nodes."""
    return table(HEAD, [_row(key, nodes) for key, nodes in _groups(content).items()])


def runner_ups(content: dict[str, Any]) -> list[str]:
    """A line for every decision that had another choice: `gelu, block 0: series-13, 2.1 ms slower`."""
    return [
        f"{key[0]}, {_layers(nodes)}: {key[2]}, {nodes[0]['runner_up']['why_not']}"
        for key, nodes in _groups(content).items()
        if key[2]
    ]


def _groups(content: dict[str, Any]) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """The nodes by kind, what computes them, and the runner-up."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for node in content["nodes"]:
        other = node["runner_up"]
        key = (node["kind"], _name(node["chosen"]), _name(other) if other else "")
        groups.setdefault(key, []).append(node)
    return groups


def _row(key: tuple[str, ...], nodes: Sequence[dict[str, Any]]) -> tuple[object, ...]:
    taken = [node["chosen"] for node in nodes]
    shares = [t["budget_share"] for t in taken]
    return (
        key[0] if len(nodes) == 1 else f"{len(nodes)} {key[0]}",
        _layers(nodes),
        f"{key[1]} (asked for)" if nodes[0]["fixed"] else key[1],
        f"{max(t['rms_error'] for t in taken):.2g}",
        "-" if None in shares else f"{100 * sum(shares):.2g} %",
        sum(t["rounds"] for t in taken),
        size_of(sum(t["bytes"] for t in taken)),
        size_of(sum(t["offline_bytes"] for t in taken)),
        f"{1e3 * sum(t['seconds'] for t in taken):.3g}",
    )


def _layers(nodes: Sequence[dict[str, Any]]) -> str:
    layers = list(dict.fromkeys(node["layer"] for node in nodes))
    return layers[0] if len(layers) == 1 else f"{layers[0]} .. {layers[-1]}"


def _name(option: dict[str, Any]) -> str:
    return str(option["approximation"]["name"])
