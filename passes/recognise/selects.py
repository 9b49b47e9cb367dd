"""Selection by a condition that party 1 knows, or that is public: a product with 0 and 1 instead."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import (
    Rewriter,
    array,
    is_float,
    is_known_locally,
    operands,
    origin,
    shape,
    visibility,
)
from mpcc.passes.recognise.public_constants import MASK_FILL


def negated(rewrite: Rewriter, anchor: ir.Node, condition: ir.Value) -> ir.Value:
    data = array(condition)
    return rewrite.constant(~data) if data is not None else rewrite.emit(anchor, "Not", [condition])


def select_by_factor(rewrite: Rewriter, diagnostics: Diagnostics) -> None:
    """Where(c, a, b) with c known to party 1 or public: c * a + (1 - c) * b."""
    for node in list(rewrite.graph):
        if node.op_type != "Where" or visibility(node.outputs[0]) is not Visibility.SECRET:
            continue
        condition, yes, no = operands(node, 3)
        if not is_known_locally(condition) or not is_float(yes):
            continue
        names = origin(node)
        inverse = negated(rewrite, node, condition)
        terms: list[ir.Value] = []
        for choice, chosen in ((condition, yes), (inverse, no)):
            data = array(chosen)
            if data is not None and not np.any(data):
                continue
            if data is not None and np.any(np.abs(data) >= -MASK_FILL):
                diagnostics.add(
                    "MPC-F031",
                    "a fill value of this size outside of a softmax cannot be represented",
                    remedy="apply masks to attention scores only, or fill with 0",
                    where=", ".join(names),
                )
            factor = array(choice)
            weight = (
                rewrite.constant(factor.astype(np.float32))
                if factor is not None
                else rewrite.emit(node, "Cast", [choice], {"to": int(ir.DataType.FLOAT)}, came_from=names)
            )
            terms.append(rewrite.emit(node, "Mul", [chosen, weight], came_from=names))
        result = terms[0] if len(terms) == 1 else rewrite.emit(node, "Add", terms, came_from=names)
        if shape(result) != shape(node.outputs[0]):
            target = rewrite.integers(*shape(node.outputs[0]))
            result = rewrite.emit(node, "Expand", [result, target], came_from=names)
        rewrite.replace(node.outputs[0], result)
