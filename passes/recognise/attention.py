"""Attention and RotaryEmbedding as single nodes (opset 23), written out in products, a softmax and
rotations.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from mpcc.ir.diagnostics import Diagnostics
from mpcc.passes.recognise.graph import (
    UNTYPED,
    Rewriter,
    array,
    attribute,
    inputs,
    operands,
    origin,
    remove_dead,
    shape,
    visibility,
)
from mpcc.passes.recognise.masks import GUARDED


def recognise_attention_nodes(rewrite: Rewriter, diagnostics: Diagnostics) -> None:
    """Write out every Attention and RotaryEmbedding node; unsupported variants are reported."""
    for node in list(rewrite.graph):
        if node.domain != "":
            continue
        if node.op_type == "Attention":
            problem = _problem(node)
            if problem is None:
                _attention(rewrite, node)
            else:
                diagnostics.add(
                    "MPC-F022",
                    f"this form of Attention is not supported: {problem}",
                    remedy="export with opset 18 or without this option",
                    where=", ".join(origin(node)),
                )
                for value in node.outputs:
                    value.meta[UNTYPED] = True
        elif node.op_type == "RotaryEmbedding":
            _rotary(rewrite, node)
    remove_dead(rewrite.graph)


def _problem(node: ir.Node) -> str | None:
    past, padding = inputs(node, 7)[4], inputs(node, 7)[6]
    if float(attribute(node, "softcap", 0.0)) != 0.0:
        return "softcap bounds the scores by a hyperbolic tangent"
    if padding is not None:
        return "nonpad_kv_seqlen"
    if any(v.uses() or v.is_graph_output() for v in node.outputs[3:]):
        return "the scores are an output"
    if attribute(node, "is_causal", 0) and past is not None:
        return "is_causal together with a cache"
    return None


def _heads(rewrite: Rewriter, node: ir.Node, x: ir.Value, name: str) -> ir.Value:
    """[B, S, H * D] to [B, H, S, D]."""
    if len(shape(x)) == 4:
        return x
    batch, length, width = shape(x)
    heads = int(attribute(node, name))
    split = rewrite.emit(node, "Reshape", [x, rewrite.integers(batch, length, heads, width // heads)])
    return rewrite.emit(node, "Transpose", [split], {"perm": [0, 2, 1, 3]})


def _repeat(rewrite: Rewriter, node: ir.Node, x: ir.Value, heads: int) -> ir.Value:
    """Each key or value head serves several query heads (grouped-query attention)."""
    batch, own, length, width = shape(x)
    if own == heads:
        return x
    apart = rewrite.emit(node, "Reshape", [x, rewrite.integers(batch, own, 1, length, width)])
    wide = rewrite.emit(node, "Expand", [apart, rewrite.integers(batch, own, heads // own, length, width)])
    return rewrite.emit(node, "Reshape", [wide, rewrite.integers(batch, heads, length, width)])


def _attention(rewrite: Rewriter, node: ir.Node) -> None:
    names = ("q_num_heads", "kv_num_heads", "kv_num_heads")
    q, k, v = (_heads(rewrite, node, x, name) for x, name in zip(operands(node, 3), names, strict=True))
    mask, past_key, past_value = inputs(node, 6)[3:6]
    if past_key is not None and past_value is not None:
        k = rewrite.emit(node, "Concat", [past_key, k], {"axis": 2})
        v = rewrite.emit(node, "Concat", [past_value, v], {"axis": 2})
    for output, value in zip(node.outputs[1:3], (k, v), strict=False):
        rewrite.replace(output, value, equal=False)
    heads, queries, width = shape(q)[1:]
    assert q.dtype is not None
    dtype = q.dtype.numpy()
    scale = attribute(node, "scale")
    factor = rewrite.constant(np.array(width**-0.5 if scale is None else float(scale), dtype))
    q = rewrite.emit(node, "Mul", [q, factor])
    turned = rewrite.emit(node, "Transpose", [_repeat(rewrite, node, k, heads)], {"perm": [0, 1, 3, 2]})
    scores = rewrite.emit(node, "MatMul", [q, turned])
    fill = rewrite.constant(np.array(-np.inf, dtype))
    if attribute(node, "is_causal", 0):
        lower = rewrite.constant(np.tril(np.ones((queries, shape(k)[2]), dtype=bool)))
        scores = rewrite.emit(node, "Where", [lower, scores, fill])
    if mask is not None and mask.dtype == ir.DataType.BOOL:
        scores = rewrite.emit(node, "Where", [mask, scores, fill])
    elif mask is not None:
        scores = rewrite.emit(node, "Add", [scores, mask])
    probabilities = rewrite.emit(node, "Softmax", [scores], {"axis": -1})
    softmax = probabilities.producer()
    assert softmax is not None
    softmax.meta[GUARDED] = True  # the operation defines a fully masked row as zeros
    result = rewrite.emit(node, "MatMul", [probabilities, _repeat(rewrite, node, v, heads)])
    if len(shape(node.outputs[0])) == 3:
        joined = rewrite.emit(node, "Transpose", [result], {"perm": [0, 2, 1, 3]})
        result = rewrite.emit(node, "Reshape", [joined, rewrite.integers(*shape(node.outputs[0]))])
    rewrite.replace(node.outputs[0], result)


def _rotary(rewrite: Rewriter, node: ir.Node) -> None:
    x_in, cosines, sines = operands(node, 3)
    positions = inputs(node, 4)[3]
    x = _heads(rewrite, node, x_in, "num_heads")
    width = int(attribute(node, "rotary_embedding_dim", 0)) or shape(x)[-1]
    tables = [_table(rewrite, node, table, positions) for table in (cosines, sines)]
    rotated = _part(rewrite, node, x, 0, width, 1)
    if attribute(node, "interleaved", 0):
        first, second = _part(rewrite, node, rotated, 0, width, 2), _part(rewrite, node, rotated, 1, width, 2)
    else:
        first = _part(rewrite, node, rotated, 0, width // 2, 1)
        second = _part(rewrite, node, rotated, width // 2, width, 1)
    real = _combination(rewrite, node, "Sub", (first, tables[0]), (second, tables[1]))
    imaginary = _combination(rewrite, node, "Add", (first, tables[1]), (second, tables[0]))
    if attribute(node, "interleaved", 0):
        dims = shape(real)
        column = rewrite.integers(*dims, 1)
        pairs = [rewrite.emit(node, "Reshape", [part, column]) for part in (real, imaginary)]
        stacked = rewrite.emit(node, "Concat", pairs, {"axis": len(dims)})
        result = rewrite.emit(node, "Reshape", [stacked, rewrite.integers(*dims[:-1], 2 * dims[-1])])
    else:
        result = rewrite.emit(node, "Concat", [real, imaginary], {"axis": -1})
    if width < shape(x)[-1]:
        rest = _part(rewrite, node, x, width, shape(x)[-1], 1)
        result = rewrite.emit(node, "Concat", [result, rest], {"axis": -1})
    if len(shape(node.outputs[0])) == 3:
        joined = rewrite.emit(node, "Transpose", [result], {"perm": [0, 2, 1, 3]})
        result = rewrite.emit(node, "Reshape", [joined, rewrite.integers(*shape(node.outputs[0]))])
    rewrite.replace(node.outputs[0], result)


def _table(rewrite: Rewriter, node: ir.Node, table: ir.Value, positions: ir.Value | None) -> ir.Value:
    """Cosines or sines as [B, 1, S, D / 2]."""
    data, rows = array(table), array(positions)
    if data is not None and (positions is None or rows is not None):
        chosen = data if rows is None else data[rows]
        return rewrite.constant(np.expand_dims(chosen, 1), visibility(table))
    chosen_value = (
        table if positions is None else rewrite.emit(node, "Gather", [table, positions], {"axis": 0})
    )
    batch, length, width = shape(chosen_value)
    return rewrite.emit(node, "Reshape", [chosen_value, rewrite.integers(batch, 1, length, width)])


def _part(rewrite: Rewriter, node: ir.Node, x: ir.Value, start: int, stop: int, step: int) -> ir.Value:
    if (start, stop, step) == (0, shape(x)[-1], 1):
        return x
    bounds = [rewrite.integers(n) for n in (start, stop, len(shape(x)) - 1, step)]
    return rewrite.emit(node, "Slice", [x, *bounds])


def _combination(
    rewrite: Rewriter,
    node: ir.Node,
    operation: str,
    first: tuple[ir.Value, ir.Value],
    second: tuple[ir.Value, ir.Value],
) -> ir.Value:
    return rewrite.emit(
        node, operation, [rewrite.emit(node, "Mul", list(first)), rewrite.emit(node, "Mul", list(second))]
    )
