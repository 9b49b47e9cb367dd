"""From the recognised graph to the tensor stage, one operation at a time; everything unsupported is reported
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from mpcc.compiler.frontend.lift import arithmetic, views
from mpcc.compiler.frontend.lift.context import Lifting, Unsupported
from mpcc.compiler.frontend.lift.unsupported import explain
from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.program import Value
from mpcc.ir.types import Visibility
from mpcc.passes.recognise.experts.region import ANCHORS
from mpcc.passes.recognise.graph import MACRO, UNTYPED, attribute, origin, visibility

Rule = Callable[[Lifting, ir.Node], Value | Sequence[Value]]

_MACROS = {
    "Linear": "linear",
    "Softmax": "softmax",
    "LayerNorm": "layer_norm",
    "RmsNorm": "rms_norm",
    "L2Normalize": "l2_normalize",
    "Moe": "moe",
    "Gelu": "gelu",
    "Silu": "silu",
    "Softplus": "softplus",
}

# Attributes of macros that are truth values; ONNX has integers only.
_TRUTHS = {"gated", "normalised"}

_RULES: dict[str, Rule] = {
    **dict.fromkeys(arithmetic.SIMPLE, arithmetic.simple),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), views.reshape),
    **dict.fromkeys(("ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL2"), arithmetic.reduction),
    **dict.fromkeys(("Max", "Min"), arithmetic.extremum),
    **dict.fromkeys(("Sum", "Mean"), arithmetic.variadic),
    **dict.fromkeys(("GatherND", "GatherElements"), views.gather_many),
    "Abs": arithmetic.absolute,
    "BatchNormalization": arithmetic.batch_normalization,
    "Clip": arithmetic.clip,
    "Concat": views.concat,
    "Expand": views.expand,
    "Gather": views.gather,
    "GlobalAveragePool": arithmetic.average_pool,
    "LeakyRelu": arithmetic.leaky_relu,
    "Mish": arithmetic.mish,
    "Pad": views.pad,
    "Pow": arithmetic.power,
    "Slice": views.slice_,
    "Split": views.split,
    "Tile": views.tile,
    "Transpose": views.transpose,
}


# What the recognising passes rewrite before lifting.
_RECOGNISED = frozenset(
    (
        *(
            "Attention",
            "Cast",
            "CastLike",
            "Conv",
            "Dropout",
            "Gelu",
            "Gemm",
            "Identity",
            "LayerNormalization",
        ),
        *(
            "LpNormalization",
            "RMSNormalization",
            "RotaryEmbedding",
            "SimplifiedLayerNormalization",
            "Softmax",
        ),
        *("Swish", "Where"),
    )
)


def survey(graph: ir.Graph, diagnostics: Diagnostics) -> None:
    """Report unsupported operations of a graph that cannot be typed, as far as they show by then.

    What follows a ranking of experts does not: it is recognised as a whole.
    """
    ranked = {id(v) for node in graph if node.op_type in ANCHORS for v in node.inputs[:1]}
    for node in graph:
        around = [v for v in (*node.inputs, *node.outputs) if v is not None]
        if any(id(v) in ranked for v in node.inputs):
            ranked.update(id(v) for v in node.outputs)
            continue
        typed = not any(UNTYPED in v.meta for v in around)
        secret = any(visibility(v) is Visibility.SECRET for v in node.outputs)
        if typed and secret and node.domain == "" and node.op_type not in _RULES.keys() | _RECOGNISED:
            _report(node, explain(node), diagnostics)


def lift(graph: ir.Graph, lifting: Lifting, diagnostics: Diagnostics) -> None:
    """Emit every node. Nodes that depend on an unsupported one are passed over silently."""
    poisoned: set[int] = set()
    for node in graph:
        if any(v is not None and (id(v) in poisoned or UNTYPED in v.meta) for v in node.inputs):
            poisoned.update(id(v) for v in node.outputs)
            continue
        if any(UNTYPED in v.meta for v in node.outputs):
            poisoned.update(id(v) for v in node.outputs)
            continue
        try:
            _lift_node(lifting, node)
        except (Unsupported, ValueError) as error:
            poisoned.update(id(v) for v in node.outputs)
            _report(node, error, diagnostics)


def _report(node: ir.Node, error: Exception, diagnostics: Diagnostics) -> None:
    remedy = error.remedy if isinstance(error, Unsupported) else ""
    name = node.op_type if node.domain in ("", MACRO) else f"{node.domain}.{node.op_type}"
    diagnostics.add(
        "MPC-F021",
        f"operation {name} is not supported here: {error}",
        remedy=remedy or "replace it in the model, or let the client compute it from its own inputs",
        where=", ".join(origin(node)),
    )


def _lift_node(lifting: Lifting, node: ir.Node) -> None:
    if node.domain == MACRO:
        attributes = {name: attribute(node, name) for name in node.attributes}
        attributes.update((name, bool(attributes[name])) for name in _TRUTHS & attributes.keys())
        operands = [lifting.value(v) for v in node.inputs]
        result: Value | Sequence[Value] = lifting.emit(
            node, _MACROS[node.op_type], *operands, final=True, **attributes
        )
    elif node.domain == "" and node.op_type in _RULES:
        result = _RULES[node.op_type](lifting, node)
    else:
        raise explain(node)
    results = [result] if isinstance(result, Value) else list(result)
    for output, value in zip(node.outputs, results, strict=False):
        lifting.bind(output, value)
        lifting.names.setdefault(value.name, str(output.name))
