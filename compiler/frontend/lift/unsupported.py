"""Why an operation cannot be computed on secrets, and what helps instead."""

from __future__ import annotations

import onnx_ir as ir

from mpcc.compiler.frontend.lift.context import Unsupported
from mpcc.passes.recognise.graph import visibility

_SELECTION = "it selects by the order or position of secret values"
_REASONS: dict[str, tuple[str, str]] = {
    "ArgMax": (_SELECTION, "return the logits and take the arg max at the client"),
    "ArgMin": (_SELECTION, "return the values and take the arg min at the client"),
    "TopK": (_SELECTION, "return the scores and select at the client"),
    "NonZero": ("its output shape depends on secret values", "use a mask instead of selecting elements"),
    "LogSoftmax": ("the logarithm of a probability is not supported", "return the logits or use Softmax"),
    "Log": (
        "the logarithm of a secret is not supported",
        "return the value and take the logarithm at the client",
    ),
    "IsNaN": (
        "a secret is never NaN in fixed point",
        "remove the test, or let it guard a softmax's output only",
    ),
    "Where": ("its condition is secret", "compare at the client, or use Relu"),
    "Loop": ("loops are not supported", "export the model with the loop unrolled"),
    "Scan": ("loops are not supported", "export the model with the loop unrolled"),
    "If": ("its condition is not constant", "export one branch"),
    "ScatterElements": (
        _SELECTION,
        "scatter with constant indices is not supported either; use Concat or Where",
    ),
    "ScatterND": (_SELECTION, "scatter with constant indices is not supported either; use Concat or Where"),
    "Dropout": ("it is in training mode, or its mask is used", "export the model with eval()"),
    "Einsum": (
        "it is neither a sum of one operand nor a single product of two",
        "spell it out with MatMul, Transpose and ReduceSum",
    ),
    "LayerNormalization": ("its gain or bias is not constant", "multiply and add after the norm"),
    "LpNormalization": ("only the Euclidean norm, p = 2, is supported", "divide by ReduceSum of Abs"),
    "OneHot": ("its indices or values are secret", "compute the one-hot vector from the client's inputs"),
}
_COMPARISONS = (
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Equal",
    "And",
    "Or",
    "Not",
    "Xor",
    "Sign",
)


def explain(node: ir.Node) -> Unsupported:
    """The reason and remedy for a node without a lifting rule."""
    if node.op_type in _REASONS:
        return Unsupported(*_REASONS[node.op_type])
    if node.op_type in _COMPARISONS:
        return Unsupported(
            "it compares secret values", "compare the client's own inputs, or compare after the result"
        )
    if node.domain not in ("", "ai.onnx"):
        return Unsupported("it is not an operation of the ONNX standard", "export without fused operations")
    secrets = [str(v.name) for v in node.inputs if v is not None and str(visibility(v)) == "secret"]
    return Unsupported("there is no secure form of it" + (f" on {', '.join(secrets)}" if secrets else ""))
