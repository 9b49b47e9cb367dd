"""Constant factors move into constants upstream: 1/sqrt(d) into the query's weight, through views, sums and
rotations.

A factor left in place costs a product and a truncation of every element.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import (
    MACRO,
    ORIGIN,
    Rewriter,
    array,
    attribute,
    origin,
    remove_dead,
    scalar,
    shape,
    single_use,
    visibility,
)

_VIEWS = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Slice", "Gather", "Neg")


def fold_scales(rewrite: Rewriter) -> None:
    """Fold every product with a number, or with a vector after a linear, where the values between have no
    other use.
    """
    remove_dead(rewrite.graph)
    for node in list(rewrite.graph):
        if node.op_type != "Mul" or node.domain != "":
            continue
        for x, constant in (node.inputs, reversed(node.inputs)):
            if x is None or constant is None or x.const_value is not None or constant.const_value is None:
                continue
            if shape(x) == shape(node.outputs[0]) and _fold(rewrite, node, x, constant):
                rewrite.graph.remove(node, safe=True)  # else its operand would seem to have another use
                break
    remove_dead(rewrite.graph)


def _fold(rewrite: Rewriter, node: ir.Node, x: ir.Value, constant: ir.Value) -> bool:
    number, who, data = scalar(constant), visibility(constant), array(constant)
    width = shape(x)[-1] if shape(x) else 1
    assert data is not None
    if number is not None:
        scale = _Scale(rewrite, number, who, origin(node))
        if scale.fits(x):
            scale.apply(x)
            rewrite.replace(node.outputs[0], _renamed_as(node.outputs[0], x), equal=False)
            return True
        return _into_next(rewrite, node, x, number)
    linear = x.producer()
    is_linear = linear is not None and linear.domain == MACRO and linear.op_type == "Linear" and single_use(x)
    is_vector = data.size == width and data.shape[-1:] == (width,) and data.ndim <= len(shape(x))
    if linear is None or not is_linear or not is_vector:
        return False
    _scale_parameters(rewrite, linear, data.reshape(width), origin(node))
    rewrite.replace(node.outputs[0], _renamed_as(node.outputs[0], x), equal=False)
    return True


def _renamed_as(old: ir.Value, new: ir.Value) -> ir.Value:
    old.name, new.name = f"{old.name}.scaled", old.name
    return new


def _scale_parameters(rewrite: Rewriter, node: ir.Node, factor: np.ndarray, names: tuple[str, ...]) -> None:
    """Multiply a macro's constant operands after the first, and note where the factor came from."""
    for index, value in enumerate(node.inputs):
        data = array(value)
        if index > 0 and value is not None and data is not None:
            node.replace_input_with(
                index, rewrite.constant((data * factor).astype(data.dtype), visibility(value))
            )
    node.meta[ORIGIN] = (*origin(node), *names)


class _Scale:
    """One number on its way upstream: `fits` asks, `apply` does. Values on the way no longer equal an ONNX
    tensor.
    """

    def __init__(self, rewrite: Rewriter, number: float, who: Visibility, names: tuple[str, ...]) -> None:
        self.rewrite = rewrite
        self.number = number
        self.who = who
        self.names = names

    def fits(self, value: ir.Value | None) -> bool:
        """Whether everything on the way can take the factor."""
        if value is None or not single_use(value):
            return False
        node = value.producer()
        if node is None:
            return False
        if node.domain == MACRO:
            return node.op_type == "Linear" or (
                node.op_type in ("LayerNorm", "RmsNorm") and len(node.inputs) > 1
            )
        if node.op_type in _VIEWS:
            return self._constant(node.inputs[0]) or self.fits(node.inputs[0])
        if node.op_type == "Split":
            return self._columns(node, value) is not None
        if node.op_type == "Concat":
            return all(self._constant(v) or self.fits(v) for v in node.inputs)
        if node.op_type in ("Add", "Sub"):
            return all(self._constant(v) or self.fits(v) for v in node.inputs)
        return node.op_type in ("Mul", "MatMul") and any(
            self._constant(v) or self.fits(v) for v in node.inputs
        )

    def _constant(self, value: ir.Value | None) -> bool:
        """A constant that may hold the factor: party 0's factor never turns a public constant into a private
        one.
        """
        return (
            value is not None
            and value.const_value is not None
            and (self.who is Visibility.PUBLIC or visibility(value) is Visibility.PARTY0)
        )

    def _columns(self, split: ir.Node, value: ir.Value) -> tuple[ir.Node, np.ndarray] | None:
        """The linear a split along the last axis comes from, and the factors of its columns."""
        source = split.inputs[0]
        if source is None or int(attribute(split, "axis", 0)) % len(shape(value)) != len(shape(value)) - 1:
            return None
        factors = np.ones(shape(source)[-1])
        start = 0
        for output in split.outputs:
            stop = start + shape(output)[-1]
            if output is value:
                factors[start:stop] = self.number
            start = stop
        while source is not None and single_use(source):
            node = source.producer()
            if node is None:
                return None
            if node.domain == MACRO:
                return (node, factors) if node.op_type == "Linear" else None
            source = node.inputs[0]
            if node.op_type != "Reshape" or source is None or shape(source)[-1] != factors.size:
                return None
        return None

    def apply(self, value: ir.Value) -> None:
        node = value.producer()
        assert node is not None
        value.name = f"{value.name}.scaled"
        if node.domain == MACRO:
            _scale_parameters(self.rewrite, node, np.array(self.number), self.names)
        elif node.op_type == "Split":
            found = self._columns(node, value)
            assert found is not None
            self._scale_columns(node, *found)
        elif node.op_type in ("Concat", "Add", "Sub"):
            for index, operand in enumerate(node.inputs):
                self._operand(node, index, operand)
        elif node.op_type in ("Mul", "MatMul"):
            index = next(i for i, v in enumerate(node.inputs) if self._constant(v) or self.fits(v))
            self._operand(node, index, node.inputs[index])
        else:
            self._operand(node, 0, node.inputs[0])

    def _operand(self, node: ir.Node, index: int, operand: ir.Value | None) -> None:
        assert operand is not None
        data = array(operand)
        if data is None:
            self.apply(operand)
            return
        scaled = (data * self.number).astype(data.dtype)
        node.replace_input_with(index, self.rewrite.constant(scaled, visibility(operand)))
        node.meta[ORIGIN] = (*origin(node), *self.names)

    def _scale_columns(self, split: ir.Node, linear: ir.Node, factors: np.ndarray) -> None:
        source = split.inputs[0]
        while source is not None:
            source.name = f"{source.name}.scaled"
            node = source.producer()
            source = None if node is None or node is linear else node.inputs[0]
        _scale_parameters(self.rewrite, linear, factors, self.names)


def _into_next(rewrite: Rewriter, node: ir.Node, x: ir.Value, number: float) -> bool:
    """(c x) W = x (c W) when only linears read the product."""
    result = node.outputs[0]
    users = [use.node for use in result.uses()]
    if not users or result.is_graph_output():
        return False
    if not all(u.domain == MACRO and u.op_type == "Linear" and u.inputs[0] is result for u in users):
        return False
    for user in users:
        weight = user.inputs[1]
        data = array(weight)
        assert data is not None
        user.replace_input_with(1, rewrite.constant((data * number).astype(data.dtype), Visibility.PARTY0))
        user.meta[ORIGIN] = (*origin(node), *origin(user))
    rewrite.replace(result, x, equal=False)
    return True
