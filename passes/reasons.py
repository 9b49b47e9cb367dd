"""The steps that each program of PROG/ir came through, in order, with the reason each stands there."""

from __future__ import annotations

# The first two are the compiler's own, before the passes.
REASONS = {
    "import": "the model in the compiler's operations: first, as everything after it knows only these",
    "experts": "mixtures of experts in operations that hide which expert a token uses: before ranges, which "
    "are measured on what is computed",
    "lower": "operations to protocols: before what follows, which works on protocols and needs the ranges "
    "that it puts into types",
    "remove-dead": "drops what no output depends on: before rings, so that what nobody uses demands no bits",
    "check-ranges": "a bit a layer that tells whether a value left its range: before rings, as checks need "
    "some bits more",
    "assign-rings": "ring widths, and truncations where a free shift does not fit: last, as it has to see "
    "every opening",
}
