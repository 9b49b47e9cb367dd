"""Which approximation computes which tensor-stage operation: what choosing decides and lowering follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpcc.passes.approximations.base import Approximation

# By the name of an operation's result. gelu, silu, tanh, sigmoid, erf, exp, softplus: Piecewise or Lookup;
# reciprocal and rsqrt also InversePower; sqrt, div, layer_norm, rms_norm, l2_normalize: InversePower;
# softmax: SoftmaxForm. Where an operation is missing, lowering takes its own default.
Plan = Mapping[str, Approximation]


@dataclass(frozen=True)
class Used:
    """What computes the operation `value` of `kind`, on arguments within [low, high]."""

    value: str
    kind: str
    onnx_nodes: tuple[str, ...]
    approximation: Approximation
    low: float
    high: float
