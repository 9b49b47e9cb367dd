"""Which constants of a region are experts' weights, and the part each plays.

A constant is followed through views and selections (by routing, so by values that do not depend on x) to
the product or sum with what was computed from x. Constants of structure (a start of a sum, the values of a
one-hot vector, single numbers) are told from weights by where they stand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mpcc.passes.recognise.experts.region import Region
from mpcc.passes.recognise.graph import array, is_float, present_inputs, shape

_PRODUCTS = ("MatMul", "Gemm", "Einsum", "Mul")
_SUMS = ("Add", "Sub", "Sum")


@dataclass(frozen=True)
class Use:
    """One weight: `bias` or factor, and how many products lie between x and its result, its own included."""

    value: ir.Value
    bias: bool
    level: int


@dataclass(frozen=True)
class Constants:
    """The weights in the order of their use, and the structure."""

    uses: tuple[Use, ...]
    structure: tuple[ir.Value, ...]

    @property
    def weights(self) -> list[ir.Value]:
        return [use.value for use in self.uses]


def constants_of(region: Region) -> Constants | None:
    """Every float constant that the region's nodes read; None if one is neither weight nor structure."""
    structure = _structure(region)
    levels: dict[int, int] = {id(region.x): 0}  # of what depends on x
    origins: dict[int, frozenset[int]] = {}  # weights that a value independent of x is made of
    uses: dict[int, Use] = {}
    weights: dict[int, ir.Value] = {}
    for node in region.nodes:
        for value in present_inputs(node):
            if value.const_value is not None and is_float(value) and id(value) not in structure:
                weights.setdefault(id(value), value)
                origins.setdefault(id(value), frozenset((id(value),)))
        from_x = [levels[id(v)] for v in present_inputs(node) if id(v) in levels]
        made_of = frozenset[int]().union(*(origins.get(id(v), frozenset()) for v in present_inputs(node)))
        if not from_x:
            if made_of:
                origins.update((id(v), made_of) for v in node.outputs)
            continue
        level = max(from_x) + (node.op_type in _PRODUCTS and bool(made_of))
        levels.update((id(v), level) for v in node.outputs)
        for index, operand in enumerate(node.inputs):
            bias = node.op_type in _SUMS or (node.op_type == "Gemm" and index == 2)
            for weight in () if operand is None else origins.get(id(operand), ()):
                if node.op_type in (*_PRODUCTS, *_SUMS):
                    uses.setdefault(weight, Use(weights[weight], bias, level))
    if weights.keys() - uses.keys():
        return None
    return Constants(tuple(uses.values()), tuple(structure.values()))


def _structure(region: Region) -> dict[int, ir.Value]:
    """Float constants that are no weights: single numbers, and arrays by their place.

    Zeros are no bias where no layer's result is added to them: in counts of tokens, and where they have the
    result's shape and start the one sum over experts.
    """
    found: dict[int, ir.Value] = {}
    starts: list[ir.Value] = []
    independent = _independent_of(region)
    for node in region.nodes:
        for index, value in enumerate(node.inputs):
            data = array(value)
            if value is None or data is None or not is_float(value):
                continue
            zero, counting = not np.any(data), id(node) in independent
            placed = (node.op_type, index) in (("OneHot", 2), ("ScatterElements", 0), ("ScatterND", 0))
            placed |= zero and node.op_type == "Where" and index > 0
            counts = counting and ((zero and node.op_type == "Add") or _is_pattern(data))
            if data.size == 1 or placed or counts:
                found[id(value)] = value
            elif node.op_type == "Add" and zero and data.ndim > 1 and data.size == math.prod(shape(region.x)):
                starts.append(value)
    if len(starts) == 1:
        found[id(starts[0])] = starts[0]
    return found


def _independent_of(region: Region) -> set[int]:
    """Nodes that do not depend on x."""
    dependent = {id(region.x)}
    found: set[int] = set()
    for node in region.nodes:
        if any(id(v) in dependent for v in present_inputs(node)):
            dependent.update(id(v) for v in node.outputs)
        else:
            found.add(id(node))
    return found


def _is_pattern(data: np.ndarray) -> bool:
    """Whether an array is a square of 0 and 1: one-hot rows or the triangle that counts predecessors."""
    square = data.ndim == 2 and data.shape[0] == data.shape[1]
    return bool(square and np.all((data == 0) | (data == 1)) and np.all(np.diagonal(data) == 1))
