"""Tensor stage to share stage: one rule an operation."""

from mpcc.passes.lower import activations, division, experts, exponential, linear, norms, products, softmax
from mpcc.passes.lower.context import Context, Formats, lower

__all__ = [
    "Context",
    "Formats",
    "activations",
    "division",
    "experts",
    "exponential",
    "linear",
    "lower",
    "norms",
    "products",
    "softmax",
]
