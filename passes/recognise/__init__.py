"""Canonicalisation of exporter variants: the recognising passes in their order."""

from __future__ import annotations

from mpcc.ir.diagnostics import Diagnostics
from mpcc.passes.recognise.activations import recognise_activations
from mpcc.passes.recognise.attention import recognise_attention_nodes
from mpcc.passes.recognise.broadcasts import shrink_local_factors
from mpcc.passes.recognise.einsum import expand_einsum
from mpcc.passes.recognise.experts import recognise_experts
from mpcc.passes.recognise.graph import Rewriter
from mpcc.passes.recognise.linears import recognise_linears
from mpcc.passes.recognise.masks import recognise_masks
from mpcc.passes.recognise.norms import recognise_norms
from mpcc.passes.recognise.public_constants import declassify
from mpcc.passes.recognise.scales import fold_scales
from mpcc.passes.recognise.selects import gather_by_one_hot, select_by_factor
from mpcc.passes.recognise.simplify import divisions_by_local_values, simplify
from mpcc.passes.split_local import label


def recognise(rewrite: Rewriter, diagnostics: Diagnostics) -> None:
    """Rewrite a folded graph into plain operations and the macro operations of the domain `mpcc`."""
    simplify(rewrite)  # the other rules see through what changes nothing
    declassify(rewrite)  # which floats are structure decides what party 1 can compute alone
    recognise_experts(rewrite, diagnostics)  # before the rest: it runs the plain operations
    expand_einsum(rewrite)
    recognise_attention_nodes(rewrite, diagnostics)  # before masks: they take the softmax inside apart
    recognise_masks(rewrite, diagnostics)
    recognise_norms(rewrite)
    recognise_activations(rewrite)
    recognise_linears(rewrite)  # after activations: a product with x may be part of one
    label(rewrite.graph)
    divisions_by_local_values(rewrite)  # the rest turns party 1's knowledge into factors it computes itself
    select_by_factor(rewrite, diagnostics)
    gather_by_one_hot(rewrite)
    shrink_local_factors(rewrite)
    fold_scales(rewrite)  # last: every linear, norm and table that can take a factor is there
