"""Lowering of mixtures of experts: router, selection, slots, experts' layers."""

from mpcc.passes.lower.experts import routed, select, slots, top_k

__all__ = ["routed", "select", "slots", "top_k"]
