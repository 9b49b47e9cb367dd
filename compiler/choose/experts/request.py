"""What a compile request says about mixtures of experts: `--moe` and `--moe-capacity`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.ir.dialects.experts import CLAIMS, slots
from mpcc.passes.experts.layout import ALL, DISPATCH, KINDS, OUTER, WEIGHTS

FORMS = "SLOTS or FACTORx, such as 32, 2x or 1.25x:scores"


@dataclass(frozen=True)
class Capacity:
    """Slots of each expert: `number` of them, or with `relative` so many times an even load.

    `claims` says who gets them where more want one: see `positions` in ir/dialects/experts.py.
    """

    number: float
    relative: bool
    claims: str = "first"

    def slots(self, tokens: int, top_k: int, experts: int) -> int:
        """At most one a token: its choices are different experts."""
        wanted = slots(tokens, top_k, experts, self.number) if self.relative else int(self.number)
        return min(wanted, tokens)

    def __str__(self) -> str:
        return f"{self.number:g}{'x' if self.relative else ''}:{self.claims}"


@dataclass(frozen=True)
class ExpertsRequest:
    """`kind` None leaves the layout to the compiler."""

    kind: str | None = None
    capacity: Capacity | None = None


def experts_request(kind: str | None, capacity: str | None) -> ExpertsRequest:
    """From the options' texts. Raises MPC-C001, MPC-C002, MPC-C016, MPC-C017, all problems at once."""
    found = None
    with Diagnostics() as diagnostics:
        if kind is not None and kind not in KINDS:
            diagnostics.add(
                "MPC-C001",
                f"--moe {kind}: there is no such choice",
                remedy=f"use --moe {ALL}, {OUTER} or {DISPATCH}, or leave it to the compiler",
            )
        elif kind == WEIGHTS:
            diagnostics.add(
                "MPC-C002",
                "--moe weights is not in this version: with a dealer and without, it would send numbers for "
                "all weights of an expert for every token, which pays from some hundred experts on",
                remedy=f"use --moe {OUTER}, which selects values instead, or leave it to the compiler",
            )
        if capacity is not None and kind != DISPATCH:
            diagnostics.add(
                "MPC-C016",
                "--moe-capacity is for --moe dispatch: the other layouts compute every choice of the model",
                remedy=f"give --moe {DISPATCH} too, or leave --moe-capacity out",
            )
        if capacity is not None:
            try:
                found = parse_capacity(capacity)
            except MpccError as error:
                diagnostics.collect(error)
    return ExpertsRequest(kind, found)


def parse_capacity(text: str) -> Capacity:
    """Raises MPC-C017."""
    number, separator, claims = text.partition(":")
    relative = number.endswith("x")
    try:
        value = float(number.removesuffix("x")) if relative else float(int(number))
    except ValueError:
        value = 0.0
    if not (value > 0 and math.isfinite(value)) or (separator and claims not in CLAIMS):
        raise MpccError(
            "MPC-C017",
            f"--moe-capacity {text}: no positive capacity",
            remedy=f"give {FORMS}; who comes first gets a slot, or with :scores who has the highest gate",
        )
    return Capacity(value, relative, claims or CLAIMS[0])
