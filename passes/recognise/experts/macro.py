"""The macro operation mpcc.Moe, which lifts to the tensor stage's `moe`."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from mpcc.ir.program import Attributes
from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import Rewriter, shape


def emit_moe(
    rewrite: Rewriter,
    node: ir.Node,
    secrets: tuple[ir.Value, ir.Value],
    weights: list[np.ndarray],
    attributes: Attributes,
    lead: tuple[int, ...],
    result_shape: tuple[int, ...],
    names: tuple[str, ...],
) -> ir.Value:
    """The mixture of `secrets` (logits and x, seen as [*lead, E] and [*lead, d]), in front of a node.

    `weights` are w_in, w_out and, if any, both biases; they are party 0's.
    """
    operands = [_seen_as(rewrite, node, value, (*lead, shape(value)[-1])) for value in secrets]
    operands.extend(rewrite.constant(data, Visibility.PARTY0) for data in weights)
    result = rewrite.macro(
        node,
        "Moe",
        operands,
        {name: int(value) if isinstance(value, bool) else value for name, value in attributes.items()},
        result_shape=shape(operands[1]),
        came_from=names,
    )
    return _seen_as(rewrite, node, result, result_shape)


def _seen_as(rewrite: Rewriter, node: ir.Node, value: ir.Value, target: tuple[int, ...]) -> ir.Value:
    if shape(value) == target:
        return value
    return rewrite.emit(node, "Reshape", [value, rewrite.integers(*target)])
