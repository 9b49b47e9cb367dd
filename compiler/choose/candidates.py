"""What may compute an operation: the catalogue, the compiler's own fits, variants of the exact softmax."""

from __future__ import annotations

from dataclasses import replace

from mpcc.compiler.choose.nodes import Node
from mpcc.compiler.choose.uses import NAMED, Uses
from mpcc.ir.correlation_source import CorrelationSource
from mpcc.ir.types import Range
from mpcc.passes.approximations import candidates as fits
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.catalogue import DEFAULTS, bundled, candidates
from mpcc.passes.approximations.inverse import InversePower
from mpcc.passes.approximations.softmax import CENTRES, EXACT

FITTED = (*NAMED, "reciprocal", "rsqrt")
DEALT_CENTRES = ("max", "mean")  # a tournament takes more rounds and online bytes, and saves what is dealt
WORST = 0.5  # stated error: a worse one may only be asked for, or it would serve where a good one is refused
Candidate = Approximation | None  # None: what lowering takes on its own


def candidates_of(
    node: Node, extent: Range | None, safety: float, uses: Uses, source: CorrelationSource
) -> list[Candidate]:
    """In the order of preference between equals. Whether one fits the node's range, its lowering says.

    `extent` is the calibrated range of a function's argument, widened by `safety`.
    """
    fixed = uses.fixed(node.kind)
    if fixed is not None:
        return [fixed]
    own: list[Approximation] = []
    if node.kind in FITTED and extent is not None:
        fitted = fits.candidates(node.function, extent.low, extent.high, safety)
        own = [a for a in fitted if uses.allows(node.kind, a)]
    if node.kind in uses.own:
        return [None, *own]
    published = [
        a for a in candidates(node.kind) if not a.changes_model and a not in DEFAULTS and a.error < WORST
    ]
    return [None, *own, *published, *(_softmaxes(source) if node.kind == "softmax" else ())]


def _softmaxes(source: CorrelationSource) -> list[Approximation]:
    """The exact softmax with other reciprocals, centres, and places of the division."""
    centres = CENTRES if source is CorrelationSource.TWO_PARTY else DEALT_CENTRES
    return [
        replace(
            EXACT,
            name=f"{EXACT.name}, {centre}, {reciprocal.name}{', divided first' if first else ''}",
            centre=centre,
            reciprocal=reciprocal,
            divide_first=first,
        )
        for centre in centres
        for reciprocal in bundled("power")
        if isinstance(reciprocal, InversePower)
        for first in (False, True)
        if (centre, reciprocal, first) != (EXACT.centre, EXACT.reciprocal, EXACT.divide_first)
    ]
