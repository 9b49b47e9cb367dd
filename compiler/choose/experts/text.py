"""The layouts of a program folder as text: equal layers together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpcc.compiler.text import size_of, table

HEAD = ("mixture", "computed by", "", "logits compared", "rounds", "online", "offline", "ms")
SHAPE = ("tokens", "experts", "top_k", "width", "hidden", "gated", "capacity", "claims", "slots", "asked")
RULES = {"first": "first come, first served", "scores": "the highest gates are served"}
Layer = dict[str, Any]


def experts_lines(content: dict[str, Any]) -> list[str]:
    """What `mpcc compile` prints: a line for every kind of mixture, and what its capacity means."""
    lines = []
    for layers in _alike(content):
        lines.append(_summary(layers))
        lines += capacity_lines(layers, content["generated_inputs"])
    return lines


def experts_table(content: dict[str, Any]) -> str:
    """What `mpcc inspect` shows: a row for every option of every kind of mixture, what capacities mean."""
    groups = _alike(content)
    parts = [table(HEAD, [row for layers in groups for row in _rows(layers)])]
    for layers in groups:
        lines = capacity_lines(layers, content["generated_inputs"])
        parts += [f"\n{_sizes(layers)}:", *(f"- {line}" for line in lines)] if lines else []
    return "\n".join(parts)


def capacity_lines(layers: Sequence[Layer], generated: bool) -> list[str]:
    """Slots, load, share of dropped choices and what dropping means; nothing without a capacity."""
    first = layers[0]
    if not first["slots"]:
        return []
    load = first["tokens"] * first["top_k"] / first["experts"]
    lines = [f"{first['slots']} slots an expert; an even load is {load:g} choices"]
    if first["slots"] >= first["tokens"]:
        return lines
    whose = "the model's own rule" if first["exact"] else "results differ from the model's"
    lines += _dropped(layers, generated)
    lines.append(f"a dropped choice adds 0, its token keeps the rest; {RULES[first['slots_for']]}: {whose}")
    return lines


def public_lines(content: dict[str, Any]) -> list[str]:
    """What both parties know of the mixtures, for the audit: sizes and layouts, a line for every kind."""
    lines = []
    for layers in _alike(content):
        first = layers[0]
        slots = f", {first['slots']} slots an expert" if first["slots"] else ""
        name = first["chosen"]["name"]
        lines.append(f"{_sizes(layers)}, {first['tokens']} tokens{slots}, computed by {name}")
    return lines


def _dropped(layers: Sequence[Layer], generated: bool) -> list[str]:
    """Over all layers and samples, if it was measured."""
    found = [layer["dropped"] for layer in layers if layer["dropped"]]
    if not found:
        return []
    rates = (min(d[0] for d in found), sum(d[1] for d in found) / len(found), max(d[2] for d in found))
    low, mean, high = (f"{100 * rate:.2g} %" for rate in rates)
    span = "" if low == high else f" ({low} to {high} of an input's in a layer)"
    inputs = "generated" if generated else "calibration"
    return [f"{mean} of the choices were dropped on the {inputs} inputs{span}"]


def _alike(content: dict[str, Any]) -> list[list[Layer]]:
    groups: dict[tuple[object, ...], list[Layer]] = {}
    for layer in content["layers"]:
        key = (*(layer[name] for name in SHAPE), layer["chosen"]["name"], layer["chosen"]["group"])
        groups.setdefault(key, []).append(layer)
    return list(groups.values())


def _summary(layers: Sequence[Layer]) -> str:
    first, taken = layers[0], layers[0]["chosen"]
    name = f"{taken['name']}{' (asked for)' if first['asked'] else ''}"
    line = (
        f"{_sizes(layers)}: {name}, logits compared {_compared(first)}; "
        f"{taken['rounds']} rounds, {size_of(taken['bytes'])} online"
    )
    if len(layers) > 1:
        line += " each"
    if first["others"]:
        other = first["others"][0]
        line += f"; next {other['name']}: {other['rounds']} rounds, {size_of(other['bytes'])}"
    return line


def _rows(layers: Sequence[Layer]) -> list[tuple[object, ...]]:
    """The chosen option first."""
    first = layers[0]
    return [
        (
            "" if index else f"{_sizes(layers)}, {first['tokens']} tokens",
            option["name"],
            "" if index else "asked for" if first["asked"] else "chosen",
            _compared(first),
            option["rounds"],
            size_of(option["bytes"]),
            size_of(option["offline_bytes"]),
            f"{1e3 * option['seconds']:.3g}",
        )
        for index, option in enumerate((first["chosen"], *first["others"]))
    ]


def _sizes(layers: Sequence[Layer]) -> str:
    count = f"{len(layers)} layers" if len(layers) > 1 else "1 layer"
    return f"{count} of {layers[0]['experts']} experts, top {layers[0]['top_k']}"


def _compared(layer: Layer) -> str:
    group = layer["chosen"]["group"]
    return "all at once" if group >= layer["experts"] else f"in groups of {group}"
