"""The choices of a program folder as a table: equal decisions of several layers in one row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpcc.compiler.backend.emit import APPROXIMATIONS_NAME
from mpcc.compiler.text import size_of, table

HEAD = (
    "operation", "where", "computed by", "error", "of the budget", "rounds", "online", "dealt", "ms",
    "runner-up", "why not",
)  # fmt: skip


def read_choices(prog: Path) -> dict[str, Any]:
    """PROG/approximations.json; empty for a folder of an older version."""
    path = prog / APPROXIMATIONS_NAME
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def choices_table(content: dict[str, Any]) -> str:
    """A row for every decision: largest error and summed costs of its nodes."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for node in content["nodes"]:
        other = node["runner_up"]
        key = (node["kind"], _name(node["chosen"]), _name(other) if other else "")
        groups.setdefault(key, []).append(node)
    return table(HEAD, [_row(key, nodes) for key, nodes in groups.items()])


def _row(key: tuple[str, ...], nodes: Sequence[dict[str, Any]]) -> tuple[object, ...]:
    kind, chosen, other = key
    taken = [node["chosen"] for node in nodes]
    shares = [t["budget_share"] for t in taken]
    layers = list(dict.fromkeys(node["layer"] for node in nodes))
    return (
        kind if len(nodes) == 1 else f"{len(nodes)} {kind}",
        layers[0] if len(layers) == 1 else f"{layers[0]} .. {layers[-1]}",
        f"{chosen} (asked for)" if nodes[0]["fixed"] else chosen,
        f"{max(t['rms_error'] for t in taken):.2g}",
        "-" if None in shares else f"{100 * sum(shares):.2g} %",
        sum(t["rounds"] for t in taken),
        size_of(sum(t["bytes"] for t in taken)),
        size_of(sum(t["dealt_bytes"] for t in taken)),
        f"{1e3 * sum(t['seconds'] for t in taken):.3g}",
        other or "-",
        nodes[0]["runner_up"]["why_not"] if other else "-",
    )


def _name(option: dict[str, Any]) -> str:
    return str(option["approximation"]["name"])
