"""Mixtures of experts that cannot be compiled: why, and the export that works."""

from __future__ import annotations

import math

import onnx_ir as ir

from mpcc.ir.diagnostics import Diagnostics
from mpcc.passes.recognise.experts.region import ANCHORS, choices
from mpcc.passes.recognise.experts.verification import Miss
from mpcc.passes.recognise.graph import UNTYPED, origin, present_inputs, shape

REMEDY = (
    "export with transformers' experts_implementation='batched_mm', or with the dense experts of "
    "examples/experts.py (docs/mixture_of_experts.md, Exporting)"
)
_BRANCHES = ("NonZero", "Loop", "If", "Scan", "Compress", "Unique")


def refuse_unknown(anchor: ir.Node, miss: Miss, diagnostics: Diagnostics) -> None:
    """Report a decision that looks like that of a mixture of experts; what depends on it is passed over."""
    assert anchor.inputs[0] is not None
    experts = shape(anchor.inputs[0])[-1]
    name = f"mixture of experts (E={experts}, top-{choices(anchor)})"
    where = ", ".join(origin(anchor))
    alive = experts if miss.runs is None else miss.runs.alive()
    if alive < experts:
        diagnostics.add(
            "MPC-F024",
            f"{name}: the router knows {experts} experts and the graph holds {alive}; the others "
            "were lost in tracing, as the sample chose none of them",
            remedy=REMEDY,
            where=where,
        )
    else:
        diagnostics.add(
            "MPC-F025",
            f"{name} has a form that is not known: {_nearest(miss)}",
            remedy="docs/mixture_of_experts.md lists what is known; other routing or experts do not compile",
            where=where,
        )
    for value in anchor.outputs:
        value.meta[UNTYPED] = True


def _nearest(miss: Miss) -> str:
    if miss.nearest is None or not math.isfinite(miss.error):
        return "its experts are no two linear layers with an activation between them"
    given = miss.nearest.attributes
    words = [
        f"top-{given['top_k']}",
        f"{given['activation']}{', gated' if given['gated'] else ''}",
        f"gates {'normalised' if given['normalised'] else 'not normalised'}",
        *([f"capacity {given['capacity']} by {given['claims']}"] if given["capacity"] else []),
    ]
    return f"the nearest one ({', '.join(words)}) is off by {miss.error:.2g} of the largest value"


def routing_of_branch(node: ir.Node) -> ir.Node | None:
    """The choice that a node branches on, or takes the shape of its result from."""
    if node.op_type not in _BRANCHES:
        return None
    pending, seen = list(present_inputs(node)), set[int]()
    while pending:
        above = pending.pop().producer()
        if above is None or id(above) in seen:
            continue
        if above.op_type in ANCHORS and above.domain == "":
            return above
        seen.add(id(above))
        pending.extend(present_inputs(above))
    return None


def refuse_branch(node: ir.Node, choice: ir.Node, diagnostics: Diagnostics) -> None:
    """Report the first branch on routing; a graph has one for each expert."""
    if any(error.code == "MPC-F023" for error in diagnostics.errors):
        return
    diagnostics.add(
        "MPC-F023",
        f"{node.op_type} depends on what {choice.op_type} chose ({', '.join(origin(choice))}): which experts "
        "run, and on how many tokens, is that of the exporter's sample, and would reveal the routing",
        remedy=REMEDY,
        where=", ".join(origin(node)),
    )
