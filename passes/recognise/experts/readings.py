"""What a region may mean: every plausible reading of its constants and operations as one `moe` operation.

A reading says which constants are the experts' layers, in which order their axes stand and which half is
the gate; of the operations it takes the activation and its numbers. None of it depends on a weight's value.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from mpcc.ir.program import Attributes
from mpcc.passes.recognise.experts.region import Region, choices
from mpcc.passes.recognise.experts.weights import Constants
from mpcc.passes.recognise.graph import attribute, scalar, shape

_SINGLE = {"Relu": "relu", "Erf": "gelu", "Tanh": "gelu_tanh", "Sigmoid": "silu", "Swish": "silu"}


@dataclass(frozen=True)
class Stack:
    """Arrays of all experts as one: numbers of constants, one or E of them, split into named axes."""

    constants: tuple[int, ...]
    axes: tuple[tuple[str, int], ...]

    def build(self, arrays: Sequence[np.ndarray], order: str) -> np.ndarray:
        """The axes in the given order."""
        parts = [arrays[c] for c in self.constants]
        data = parts[0] if len(parts) == 1 else np.stack(parts)
        names = [name for name, _ in self.axes]
        return data.reshape([size for _, size in self.axes]).transpose([names.index(n) for n in order])


@dataclass(frozen=True)
class Layer:
    """The first or second layer of all experts: factors and biases, two of each where the gate is apart.

    `pairs`: gate and other columns alternate; `swapped`: the gate's are the second.
    """

    factors: tuple[Stack, ...]
    biases: tuple[Stack, ...]
    pairs: bool = False
    swapped: bool = False

    def build(self, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """Factor [E, in, out] and bias [E, out], the gate's columns first."""
        factor = self._joined([stack.build(arrays, "eio") for stack in self.factors])
        bias = self._joined([stack.build(arrays, "eo") for stack in self.biases]) if self.biases else None
        return factor, bias

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        if len(parts) == 1 and self.pairs:
            parts = [parts[0][..., 0::2], parts[0][..., 1::2]]
        elif len(parts) == 1 and self.swapped:
            parts = np.split(parts[0], 2, axis=-1)
        return np.concatenate(parts[:: -1 if self.swapped else 1], axis=-1) if len(parts) > 1 else parts[0]


@dataclass(frozen=True)
class Reading:
    """One way to read a region as a `moe` operation."""

    layers: tuple[Layer, Layer]
    attributes: Attributes

    def operands(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """w_in, w_out and, if any layer has one, both biases, from the region's constants."""
        (w_in, b_in), (w_out, b_out) = (layer.build(arrays) for layer in self.layers)
        if b_in is None and b_out is None:
            return [w_in, w_out]
        b_in, b_out = (
            np.zeros(w.shape[::2], w.dtype) if b is None else b for w, b in ((w_in, b_in), (w_out, b_out))
        )
        return [w_in, w_out, b_in, b_out]


def readings(region: Region, constants: Constants) -> list[Reading]:
    """All readings of a region, without capacity; none unless its experts have two layers."""
    width, experts = shape(region.end)[-1], region.experts
    by_level = {
        (bias, level): [u.value for u in constants.uses if (u.bias, u.level) == (bias, level)]
        for bias in (False, True)
        for level in (1, 2)
    }
    understood = sum(map(len, by_level.values())) == len(constants.uses)
    hidden, rest = divmod(_size(by_level[False, 2]), experts * width)
    first, rest_first = divmod(_size(by_level[False, 1]), experts * width)
    if not understood or rest or rest_first or hidden == 0 or first not in (hidden, 2 * hidden):
        return []
    gated = first > hidden
    shapes = Shapes({id(use.value): number for number, use in enumerate(constants.uses)}, experts)
    layers_in = shapes.layers(by_level[False, 1], by_level[True, 1], width, first, gated=gated)
    layers_out = shapes.layers(by_level[False, 2], by_level[True, 2], hidden, width, gated=False)
    return [
        Reading(layers, attributes)
        for layers in itertools.product(layers_in, layers_out)
        for attributes in _functions(region, gated)
    ]


def _size(values: Sequence[ir.Value]) -> int:
    return sum(math.prod(shape(v)) for v in values)


@dataclass(frozen=True)
class Shapes:
    """Readings of constants' shapes. `numbers` of the constants by identity."""

    numbers: dict[int, int]
    experts: int

    def layers(
        self, factors: list[ir.Value], biases: list[ir.Value], width: int, result: int, *, gated: bool
    ) -> Iterator[Layer]:
        """Layers from `width` to `result` columns (the gate's included)."""
        for groups in self._groups(factors):
            sizes = {"e": self.experts, "i": width, "o": result // len(groups)}
            if len(groups) == 2 and not gated:
                continue
            stacked = [list(self._stacks(group, sizes, "eio")) for group in groups]
            for added in self._groups(biases) if biases else [()]:
                if added and len(added) != len(groups):
                    continue
                apart = [list(self._stacks(group, sizes, "eo")) for group in added]
                for parts in itertools.product(*stacked):
                    for sums in itertools.product(*apart):
                        for pairs, swapped in _halves(len(groups), gated):
                            yield Layer(parts, sums, pairs, swapped)

    def _groups(self, values: list[ir.Value]) -> Iterator[tuple[list[ir.Value], ...]]:
        """One or two groups (gate and other columns apart) of one stacked constant, or one an expert."""
        count = self.experts
        if len(values) in (1, 2):
            yield tuple([v] for v in values)
        if len(values) == count:
            yield (values,)
        if len(values) == 2 * count:
            yield values[0::2], values[1::2]
            yield values[:count], values[count:]

    def _stacks(self, group: list[ir.Value], sizes: dict[str, int], names: str) -> Iterator[Stack]:
        """Orders of axes that fit the shapes, which may have axes merged and axes of length 1."""
        dims = {shape(v) for v in group}
        if len(dims) != 1:
            return
        single = len(group) == 1
        whole = dims.pop() if single else (len(group), *dims.pop())
        merged = set(itertools.accumulate((d for d in whole if d > 1), lambda a, b: a * b))
        for order in itertools.permutations(names):
            apart = set(itertools.accumulate((sizes[n] for n in order), lambda a, b: a * b))
            fits = math.prod(whole) == math.prod(sizes[n] for n in order) and merged <= apart
            if fits and (single or order[0] == "e"):
                yield Stack(tuple(self.numbers[id(v)] for v in group), tuple((n, sizes[n]) for n in order))


def _halves(groups: int, gated: bool) -> list[tuple[bool, bool]]:
    """Values of `pairs` and `swapped`."""
    if not gated:
        return [(False, False)]
    return [(pairs, swapped) for pairs in (False, True)[: 3 - groups] for swapped in (False, True)]


def _functions(region: Region, gated: bool) -> Iterator[Attributes]:
    """Attributes that the region's operations and numbers allow."""
    for top_k, name, normalised in itertools.product(_top_ks(region), _activations(region), (True, False)):
        plain: Attributes = {
            "top_k": top_k,
            "activation": name,
            "gated": gated,
            "normalised": normalised,
            "capacity": 0,
            "claims": "first",
        }
        if not gated:
            yield plain
            continue
        numbers = [
            _numbers(region, operations, usual)
            for operations, usual in ((("Mul",), 1.0), (("Add",), 0.0), (("Clip", "Min", "Max"), 0.0))
        ]
        if name != "silu":
            numbers[:2] = [1.0], [0.0]
        for alpha, beta, limit in itertools.product(*numbers):
            yield {**plain, "alpha": alpha, "beta": beta, "limit": limit}


def _top_ks(region: Region) -> list[int]:
    """One ArgMax after another chooses as many experts as there are."""
    count = choices(region.anchor)
    assert count is not None
    repeated = (
        sum(n.op_type == "ArgMax" for n in region.nodes) if region.anchor.op_type == "ArgMax" else count
    )
    return sorted({count, repeated})


def _activations(region: Region) -> list[str]:
    found: list[str] = []
    for node in region.nodes:
        if node.op_type == "Gelu":
            found.append("gelu_tanh" if attribute(node, "approximate", "none") == "tanh" else "gelu")
        elif node.op_type in _SINGLE:
            found.append(_SINGLE[node.op_type])
        elif node.op_type in ("Max", "Clip", "Where"):
            found.append("relu")  # or a limit, or a selection
    return list(dict.fromkeys((*found, "identity")))


def _numbers(region: Region, operations: tuple[str, ...], usual: float) -> list[float]:
    """Absolute values of single constants among the operands of some operations, and the usual one."""
    found = {
        abs(number)
        for node in region.nodes
        if node.op_type in operations
        for value in node.inputs
        if value is not None and (number := scalar(value)) is not None and 0 < abs(number) < 1e6
    }
    return sorted({*found, usual})
