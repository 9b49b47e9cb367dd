"""com.microsoft.MoE, by onnxruntime's operator document and, where that leaves a choice, its CPU kernel.

Weights are stored [E, out, in]; the gates are the softmax of all logits at the k largest; `gelu` is the form
with a hyperbolic tangent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.program import Attributes
from mpcc.passes.recognise.experts.macro import emit_moe
from mpcc.passes.recognise.graph import Rewriter, array, attribute, has_static_shape, inputs, origin, shape

_ACTIVATIONS = {"relu": "relu", "gelu": "gelu_tanh", "silu": "silu", "identity": "identity", "swiglu": "silu"}
_APART, _PAIRS = 0, 1  # values of swiglu_fusion; 2: halves


class _Refused(Exception):
    """What is wrong, and what helps."""


@dataclass(frozen=True)
class _Linear:
    """[E, out, in] and [E, out]."""

    weight: np.ndarray
    bias: np.ndarray | None

    def known_bias(self) -> np.ndarray:
        return np.zeros(self.weight.shape[:2], self.weight.dtype) if self.bias is None else self.bias

    def rows(self, start: int) -> _Linear:
        """Every second output."""
        return _Linear(self.weight[:, start::2], None if self.bias is None else self.bias[:, start::2])

    def followed_by(self, other: _Linear) -> _Linear:
        bias = None
        if self.bias is not None or other.bias is not None:
            bias = np.concatenate([self.known_bias(), other.known_bias()], axis=1)
        return _Linear(np.concatenate([self.weight, other.weight], axis=1), bias)


def expand_moe(rewrite: Rewriter, node: ir.Node, diagnostics: Diagnostics) -> bool:
    """Replace the node by mpcc.Moe; False if this form is not supported, which is then reported."""
    try:
        rewrite.replace(node.outputs[0], _macro(rewrite, node))
    except _Refused as error:
        message, remedy = error.args
        where = ", ".join(origin(node))
        diagnostics.add("MPC-F026", f"com.microsoft.MoE: {message}", remedy=remedy, where=where)
        return False
    return True


def _macro(rewrite: Rewriter, node: ir.Node) -> ir.Value:
    x, logits, *rest = inputs(node, 8)
    if attribute(node, "use_sparse_mixer", 0):
        raise _Refused(
            "use_sparse_mixer=1 chooses and weights experts by thresholds on logits, not by a softmax",
            "export without it, if the model was trained with softmax routing",
        )
    if x is None or logits is None or not (has_static_shape(x) and has_static_shape(logits)):
        raise _Refused("its shapes are not known", "bind all dimensions with --dim")
    fc1, fc2, fc3 = (_linear(*rest[i : i + 2]) for i in (0, 2, 4))
    if fc1 is None or fc2 is None:
        raise _Refused("a layer's weights are missing", "give fc1 and fc2")
    first, gated = _first_layer(node, fc1, fc3)
    operands = [np.swapaxes(layer.weight, 1, 2) for layer in (first, fc2)]
    experts, width, hidden = shape(logits)[-1], shape(x)[-1], fc2.weight.shape[2]
    if [w.shape for w in operands] != [(experts, width, hidden * (1 + gated)), (experts, hidden, width)]:
        raise _Refused(
            f"weights {fc1.weight.shape}, {fc2.weight.shape} do not fit {experts} experts of width {width}",
            "store weights as experts, outputs, inputs; run the model in onnxruntime",
        )
    if first.bias is not None or fc2.bias is not None:
        operands += [first.known_bias(), fc2.known_bias()]
    lead = shape(x)[:-1]
    return emit_moe(
        rewrite, node, (logits, x), operands, _attributes(node, gated), lead, shape(x), origin(node)
    )


def _linear(weight: ir.Value | None, bias: ir.Value | None) -> _Linear | None:
    data = array(weight)
    if any(v is not None and v.const_value is None for v in (weight, bias)):
        raise _Refused("weights are computed from inputs", "export the model with constant weights")
    return None if data is None else _Linear(data, array(bias))


def _first_layer(node: ir.Node, fc1: _Linear, fc3: _Linear | None) -> tuple[_Linear, bool]:
    """With the gate's outputs first, and whether there is a gate."""
    swiglu = attribute(node, "activation_type", "relu") == "swiglu"
    fusion = int(attribute(node, "swiglu_fusion", _APART)) if swiglu else _APART
    if fusion == _PAIRS:
        return fc1.rows(0).followed_by(fc1.rows(1)), True
    if fusion != _APART:
        return fc1, True
    if fc3 is not None:
        return fc1.followed_by(fc3), True
    if swiglu:
        raise _Refused(
            "swiglu without fusion needs fc3",
            "set swiglu_fusion to 1 (interleaved) or 2 (halves) if fc1 holds both",
        )
    return fc1, False


def _attributes(node: ir.Node, gated: bool) -> Attributes:
    kind = str(attribute(node, "activation_type", "relu"))
    if kind not in _ACTIVATIONS:
        raise _Refused(f"activation {kind} is not known", f"use one of {', '.join(_ACTIVATIONS)}")
    result: Attributes = {
        "top_k": int(attribute(node, "k", 1)),
        "activation": _ACTIVATIONS[kind],
        "gated": gated,
        "normalised": bool(attribute(node, "normalize_routing_weights", 0)),
        "capacity": 0,
        "claims": "first",
    }
    if kind == "swiglu":
        limit = float(attribute(node, "swiglu_limit", 0.0))
        result |= {
            "alpha": float(attribute(node, "activation_alpha", 1.0)),
            "beta": float(attribute(node, "activation_beta", 0.0)),
            "limit": limit if np.isfinite(limit) else 0.0,
        }
    return result
