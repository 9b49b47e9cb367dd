"""Mixtures of experts, recognised by meaning.

Exporters write the same mixture in many ways: weights gathered by expert, every expert with a mask, one-hot
products, einsums, dispatch into slots. A node that decides (TopK, ArgMax) is taken with everything computed
from it up to one tensor of the tokens' size; plausible readings of that region as one `moe` operation are
proposed and verified by running both on random weights and routings.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.types import Visibility
from mpcc.passes.recognise.experts.macro import emit_moe
from mpcc.passes.recognise.experts.program import RegionProgram
from mpcc.passes.recognise.experts.readings import readings
from mpcc.passes.recognise.experts.refusals import refuse_unknown
from mpcc.passes.recognise.experts.region import ANCHORS, Dominance, Region, choices, find_regions
from mpcc.passes.recognise.experts.verification import Match, Miss, Verification
from mpcc.passes.recognise.experts.weights import Constants, constants_of
from mpcc.passes.recognise.graph import Rewriter, array, origin, remove_dead, shape, visibility


def recognise_experts(rewrite: Rewriter, diagnostics: Diagnostics) -> None:
    """Rewrite every mixture of experts to mpcc.Moe; what looks like one and is none is reported."""
    known: dict[bytes, Match | Miss] = {}
    for node in list(rewrite.graph):
        if node.graph is None or node.op_type not in ANCHORS or node.domain != "":
            continue
        if visibility(node.outputs[0]) is not Visibility.SECRET or choices(node) is None:
            continue
        outcome = _decide(find_regions(rewrite.graph, node, Dominance(rewrite.graph)), rewrite.opset, known)
        if isinstance(outcome, Found):
            _replace(rewrite, outcome)
            remove_dead(rewrite.graph)
        elif outcome is not None:
            refuse_unknown(node, outcome, diagnostics)


@dataclass(frozen=True)
class Found:
    """A region, its constants, and what it means."""

    region: Region
    constants: Constants
    match: Match


def _decide(regions: list[Region], opset: int, known: dict[bytes, Match | Miss]) -> Found | Miss | None:
    """The largest region that is a mixture of experts, or the nearest miss; None if none has weights."""
    misses: list[Miss] = []
    for region in regions:
        constants = constants_of(region)
        if constants is not None and not constants.uses:
            continue
        outcome = Miss() if constants is None else _verified(region, constants, opset, known)
        if isinstance(outcome, Match):
            assert constants is not None
            return Found(region, constants, outcome)
        misses.append(outcome)
    return min(reversed(misses), key=lambda miss: miss.error, default=None)


def _verified(
    region: Region, constants: Constants, opset: int, known: dict[bytes, Match | Miss]
) -> Match | Miss:
    """Layers of equal structure are verified once."""
    try:
        program = RegionProgram(region, constants.weights, opset)
        if program.key not in known:
            proposed = readings(region, constants)
            known[program.key] = Verification(region, constants, program).decide(proposed)
        return known[program.key]
    except Exception:  # onnxruntime raises its own classes for what it cannot run
        return Miss()


def _replace(rewrite: Rewriter, found: Found) -> None:
    region, constants, match = found.region, found.constants, found.match
    end = region.end
    node = end.producer()
    assert node is not None
    for value in constants.structure:
        rewrite.publish(value, "constant of a mixture of experts")
    arrays = [data for value in constants.weights if (data := array(value)) is not None]
    result = emit_moe(
        rewrite,
        node,
        (region.logits, region.x),
        match.reading.operands(arrays),
        match.reading.attributes,
        match.lead,
        shape(end),
        origin(region.anchor, node),
    )
    rewrite.replace(end, result)
