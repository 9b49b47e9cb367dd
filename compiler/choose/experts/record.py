"""PROG/experts.json: how every mixture of experts is computed, and what else there was.

A file of its own beside approximations.json: layouts are chosen before anything is calibrated and by price
alone, approximations afterwards by price and error. Models without experts have none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mpcc.compiler.calibrate import Shares
from mpcc.compiler.choose.experts.choose import ExpertsChoice, Option
from mpcc.compiler.cost.network import Network
from mpcc.passes.experts.layout import DISPATCH

EXPERTS_NAME = "experts.json"
CLAIMING = ("slots", "kept")  # parts of an expanded mixture that give places


def record(
    choices: Sequence[ExpertsChoice], network: Network, dropped: Mapping[str, Shares], generated: bool
) -> dict[str, Any]:
    """The file's content; empty without mixtures. `dropped` as calibrated, on `generated` inputs or real
    ones.
    """
    if not choices:
        return {}
    return {
        "network": str(network),
        "generated_inputs": generated,
        "layers": [_layer(choice, dropped) for choice in choices],
    }


def _layer(choice: ExpertsChoice, dropped: Mapping[str, Shares]) -> dict[str, Any]:
    mixture, layout = choice.mixture, choice.taken.layout
    slots = layout.capacity if layout.kind == DISPATCH else mixture.capacity
    return {
        "value": choice.value,
        "layer": choice.layer,
        "onnx_nodes": list(choice.operation.onnx_nodes),
        **asdict(mixture),
        "slots": slots,
        "slots_for": layout.claims if layout.kind == DISPATCH else mixture.claims,
        "dropped": _dropped(choice.value, dropped),
        "exact": choice.exact,
        "asked": choice.asked,
        "chosen": _option(choice.taken),
        "others": [_option(option) for option in choice.others],
    }


def _option(option: Option) -> dict[str, Any]:
    return {"name": option.layout.name, **asdict(option.layout), **asdict(option.price)}


def _dropped(value: str, dropped: Mapping[str, Shares]) -> list[float] | None:
    """The least, mean and largest share of choices that a sample lost; None without a capacity."""
    found = [dropped[f"{value}.{part}"] for part in CLAIMING if f"{value}.{part}" in dropped]
    return list(found[0]) if found else None


def read_experts(prog: Path) -> dict[str, Any]:
    """PROG/experts.json; empty for a folder without mixtures of experts."""
    path = prog / EXPERTS_NAME
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
