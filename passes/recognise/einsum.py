"""Einsum of two operands as one batched matrix product between transposes."""

from __future__ import annotations

import math

import onnx_ir as ir

from mpcc.passes.recognise.graph import Rewriter, attribute, is_float, operands, origin, remove_dead, shape


def expand_einsum(rewrite: Rewriter) -> None:
    """Write out every Einsum whose indices are batch, contracted, or of one operand and the result."""
    for node in list(rewrite.graph):
        if node.op_type == "Einsum" and node.domain == "" and len(node.inputs) == 2:
            terms = _terms(node)
            if terms is not None and is_float(node.outputs[0]):
                _product(rewrite, node, *terms)
    remove_dead(rewrite.graph)


def _terms(node: ir.Node) -> tuple[str, str, str] | None:
    """Index letters of the operands and the result; None for a form that is no single product."""
    equation = str(attribute(node, "equation")).replace(" ", "")
    if "->" not in equation or "." in equation:
        return None
    left, result = equation.split("->")
    a, b = left.split(",")
    plain = all(len(set(term)) == len(term) for term in (a, b, result))
    alone = (set(a) ^ set(b)) - set(result)
    return (a, b, result) if plain and not alone else None


def _product(rewrite: Rewriter, node: ir.Node, a: str, b: str, result: str) -> None:
    left, right = operands(node, 2)
    sizes = {**dict(zip(a, shape(left), strict=True)), **dict(zip(b, shape(right), strict=True))}
    batch = [i for i in result if i in a and i in b]
    contracted = [i for i in a if i in b and i not in result]
    rows, columns = [i for i in a if i not in b], [i for i in b if i not in a]

    def arranged(value: ir.Value, indices: str, *groups: list[str]) -> ir.Value:
        order = [indices.index(i) for group in groups for i in group]
        turned = rewrite.emit(node, "Transpose", [value], {"perm": order})
        target = [math.prod(sizes[i] for i in group) for group in groups]
        return rewrite.emit(node, "Reshape", [turned, rewrite.integers(*target)])

    leading = [batch] if batch else []
    product = rewrite.emit(
        node,
        "MatMul",
        [arranged(left, a, *leading, rows, contracted), arranged(right, b, *leading, contracted, columns)],
        came_from=origin(node),
    )
    apart = [*batch, *rows, *columns]
    split = rewrite.emit(node, "Reshape", [product, rewrite.integers(*(sizes[i] for i in apart))])
    back = [apart.index(i) for i in result]
    rewrite.replace(node.outputs[0], rewrite.emit(node, "Transpose", [split], {"perm": back}))
