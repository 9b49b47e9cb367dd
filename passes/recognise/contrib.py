"""Fused operations of com.microsoft, written out in operations that the other rules know."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from mpcc.passes.recognise.graph import Rewriter, attribute, operands, shape

Rule = Callable[[Rewriter, ir.Node], ir.Value | None]


def expand_contrib(rewrite: Rewriter, node: ir.Node) -> bool:
    """Replace a fused node by what it means; False when there is no rule for it."""
    if node.domain != "com.microsoft":
        return False
    rule = _RULES.get(node.op_type)
    rewrite.inserted.clear()
    result = None if rule is None else rule(rewrite, node)
    if result is None:
        return False
    rewrite.replace(node.outputs[0], result)
    return not any(v.uses() for v in node.outputs)


def _gelu(rewrite: Rewriter, node: ir.Node) -> ir.Value:
    x, *bias = [v for v in node.inputs if v is not None]
    if bias:
        x = rewrite.emit(node, "Add", [x, bias[0]])
    approximate = "tanh" if node.op_type == "FastGelu" else "none"
    return rewrite.macro(node, "Gelu", [x], {"approximate": approximate}, result_shape=shape(x))


def _quick_gelu(rewrite: Rewriter, node: ir.Node) -> ir.Value:
    (x,) = operands(node, 1)
    assert x.dtype is not None
    alpha = rewrite.constant(np.array(float(attribute(node, "alpha", 1.702)), x.dtype.numpy()))
    gate = rewrite.emit(node, "Sigmoid", [rewrite.emit(node, "Mul", [x, alpha])])
    return rewrite.emit(node, "Mul", [x, gate])


def _norm(rewrite: Rewriter, node: ir.Node) -> ir.Value | None:
    """LayerNorm or RMSNorm of input + skip [+ bias]; the sum is the fourth output."""
    rest: list[ir.Value | None]
    simplified = "Simplified" in node.op_type
    parameters = 1 if simplified else 2
    if node.op_type.startswith("Skip"):
        x, skip, *rest = node.inputs
        total = rewrite.emit(node, "Add", [x, skip])
        if len(rest) > parameters and rest[parameters] is not None:
            total = rewrite.emit(node, "Add", [total, rest[parameters]])
        if len(node.outputs) > 3:
            rewrite.replace(node.outputs[3], total)
    else:
        found = operands(node, 1 + parameters)
        total, rest = found[0], list(found[1:])
        if int(attribute(node, "axis", -1)) not in (-1, len(shape(total)) - 1):
            return None
    gains = [v for v in rest[:parameters] if v is not None]
    attributes = {
        "epsilon": float(attribute(node, "epsilon", 1e-5 if not node.op_type.startswith("Skip") else 1e-12))
    }
    kind = "RmsNorm" if simplified else "LayerNorm"
    return rewrite.macro(node, kind, [total, *gains], attributes, result_shape=shape(total))


def _fused_matmul(rewrite: Rewriter, node: ir.Node) -> ir.Value | None:
    if attribute(node, "transBatchA", 0) or attribute(node, "transBatchB", 0):
        return None
    values = operands(node, 2)
    for index, name in enumerate(("transA", "transB")):
        if attribute(node, name, 0):
            rank = len(shape(values[index]))
            swap = [*range(rank - 2), rank - 1, rank - 2]
            values[index] = rewrite.emit(node, "Transpose", [values[index]], {"perm": swap})
    product = rewrite.emit(node, "MatMul", values)
    alpha = float(attribute(node, "alpha", 1.0))
    assert product.dtype is not None
    if alpha == 1.0:
        return product
    return rewrite.emit(node, "Mul", [product, rewrite.constant(np.array(alpha, product.dtype.numpy()))])


_RULES: dict[str, Rule] = {
    **dict.fromkeys(("Gelu", "FastGelu", "BiasGelu"), _gelu),
    **dict.fromkeys(
        (
            "SkipLayerNormalization",
            "SkipSimplifiedLayerNormalization",
            "SimplifiedLayerNormalization",
        ),
        _norm,
    ),
    "FusedMatMul": _fused_matmul,
    "QuickGelu": _quick_gelu,
}
