"""Einsum: of two operands as one batched matrix product between transposes, of one as a sum."""

from __future__ import annotations

import math

import onnx_ir as ir

from mpcc.passes.recognise.graph import Rewriter, attribute, is_float, operands, origin, remove_dead, shape


def expand_einsum(rewrite: Rewriter) -> None:
    """Write out every Einsum whose indices are batch, contracted, or of one operand and the result."""
    for node in list(rewrite.graph):
        if node.op_type == "Einsum" and node.domain == "" and is_float(node.outputs[0]):
            terms, result = _terms(node)
            if len(terms) == 1:
                _sum(rewrite, node, terms[0], result)
            elif len(terms) == 2 and not (set(terms[0]) ^ set(terms[1])) - set(result):
                _product(rewrite, node, terms[0], terms[1], result)
    remove_dead(rewrite.graph)


def _terms(node: ir.Node) -> tuple[list[str], str]:
    """Index letters of the operands and of the result; no operands for a diagonal or an ellipsis."""
    equation = str(attribute(node, "equation")).replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if not arrow:  # then the result has the indices that stand once, in alphabetical order
        result = "".join(i for i in sorted(set(left)) if i.isalpha() and left.count(i) == 1)
    plain = all(len(set(term)) == len(term) for term in (*terms, result)) and "." not in equation
    return (terms if plain else []), result


def _sum(rewrite: Rewriter, node: ir.Node, indices: str, result: str) -> None:
    (value,) = operands(node, 1)
    summed = [axis for axis, i in enumerate(indices) if i not in result]
    if summed:
        value = rewrite.emit(node, "ReduceSum", [value, rewrite.integers(*summed)], {"keepdims": 0})
    left = [i for i in indices if i in result]
    rewrite.replace(node.outputs[0], _turned(rewrite, node, value, [left.index(i) for i in result]))


def _turned(rewrite: Rewriter, node: ir.Node, value: ir.Value, order: list[int]) -> ir.Value:
    return value if order == sorted(order) else rewrite.emit(node, "Transpose", [value], {"perm": order})


def _product(rewrite: Rewriter, node: ir.Node, a: str, b: str, result: str) -> None:
    left, right = operands(node, 2)
    sizes = {**dict(zip(a, shape(left), strict=True)), **dict(zip(b, shape(right), strict=True))}
    batch = [i for i in result if i in a and i in b]
    contracted = [i for i in a if i in b and i not in result]
    rows, columns = [i for i in a if i not in b], [i for i in b if i not in a]

    def arranged(value: ir.Value, indices: str, *groups: list[str]) -> ir.Value:
        order = [indices.index(i) for group in groups for i in group]
        turned = _turned(rewrite, node, value, order)
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
    rewrite.replace(node.outputs[0], _turned(rewrite, node, split, back))
