"""GELU, SiLU, softplus and their spelled-out forms, recognised by meaning.

Exporters write the same activation in many ways (Erf, Tanh or Sigmoid with constants on either side, x^3 as
Pow or products; softplus as Log(1 + Exp(x)), or with a Where that guards it). A candidate is an elementwise
subgraph of one tensor and number constants; it is identified by evaluating it on a grid and comparing with
the known functions, which differ from each other by far more than float32's rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import onnx_ir as ir

from mpcc.ir.dialects.tensor import Gelu
from mpcc.passes.recognise.graph import (
    Rewriter,
    attribute,
    inputs,
    origin,
    remove_dead,
    scalar,
    shape,
)

Function = Callable[[np.ndarray], np.ndarray]

# dense where functions differ, and far beyond the thresholds of guards (20 for softplus)
_GRID = np.concatenate([np.arange(-60.0, -12.0), np.linspace(-12.0, 12.0, 1201), np.arange(13.0, 61.0)])
_TOLERANCE = 2e-5
_DEPTH = 7

_erf = np.vectorize(math.erf, otypes=[np.float64])
_UNARY: dict[str, Function] = {
    "Erf": _erf,
    "Tanh": np.tanh,
    "Sigmoid": lambda x: np.exp(-np.logaddexp(0.0, -x)),
    "Exp": np.exp,
    "Log": np.log,
    "Softplus": lambda x: np.logaddexp(0.0, x),
    "Neg": np.negative,
    "Reciprocal": np.reciprocal,
}
_BINARY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Greater": np.greater,
}
_FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {**_UNARY, **_BINARY, "Where": np.where}


def recognise_activations(rewrite: Rewriter) -> None:
    """Rewrite to mpcc.Gelu, mpcc.Silu and mpcc.Softplus."""
    for node in list(rewrite.graph):
        if node.op_type == "Gelu":
            _emit_gelu(
                rewrite, node, _operand(node), str(attribute(node, "approximate", "none")), node.outputs[0]
            )
        elif node.op_type == "Swish":
            alpha = float(attribute(node, "alpha", 1.0))
            _emit_scaled(rewrite, node, "Silu", _operand(node), alpha, node.outputs[0], ())
        elif node.op_type in ("Erf", "Tanh", "Sigmoid", "Exp", "Softplus") and node.domain == "":
            _spelled_out(rewrite, node)
    remove_dead(rewrite.graph)


def _operand(node: ir.Node) -> ir.Value:
    value = inputs(node, 1)[0]
    assert value is not None
    return value


def _spelled_out(rewrite: Rewriter, node: ir.Node) -> None:
    leaves = list(_ancestors(node))
    best: tuple[ir.Node, ir.Value, tuple[str, float]] | None = None
    for root in _descendants(node):
        for leaf in leaves:
            if shape(leaf) != shape(root.outputs[0]):
                continue
            found = _identify(root.outputs[0], leaf)
            if found is not None:
                best = (root, leaf, found)
    if best is None:
        return
    root, leaf, (kind, alpha) = best
    used: dict[int, ir.Node] = {}
    _collect(root.outputs[0], leaf, used)
    for inner in used.values():
        for value in inner.inputs:
            rewrite.publish(value, f"constant of {kind}")
    names = origin(*reversed(used.values()))
    if kind.startswith("gelu "):
        _emit_gelu(rewrite, root, leaf, kind.removeprefix("gelu "), root.outputs[0], names)
    else:
        _emit_scaled(rewrite, root, kind.title(), leaf, alpha, root.outputs[0], names)


def _elementwise(node: ir.Node | None) -> bool:
    return node is not None and node.domain == "" and node.op_type in _FUNCTIONS


def _ancestors(node: ir.Node) -> Iterator[ir.Value]:
    """Values the node may be a function of, nearest first."""
    level, seen = [node], set[int]()
    for _ in range(_DEPTH):
        following: list[ir.Node] = []
        for step in level:
            for value in step.inputs:
                if value is None or value.const_value is not None or id(value) in seen:
                    continue
                seen.add(id(value))
                yield value
                above = value.producer()
                if above is not None and _elementwise(above):
                    following.append(above)
        level = following


def _descendants(node: ir.Node) -> Iterator[ir.Node]:
    """Nodes that may end the function, nearest first."""
    level, seen = [node], set[int]()
    for _ in range(_DEPTH):
        following = [
            use.node
            for step in level
            for use in step.outputs[0].uses()
            if _elementwise(use.node) and id(use.node) not in seen
        ]
        seen.update(id(n) for n in following)
        yield from following
        level = following


def _evaluate(value: ir.Value, leaf: ir.Value, depth: int) -> np.ndarray | None:
    """The value as a function of the leaf on the grid; None when it depends on anything else."""
    if value is leaf:
        return _GRID
    number = scalar(value)
    if number is not None:
        return np.full_like(_GRID, number)
    node = value.producer()
    if node is None or depth == 0 or not _elementwise(node):
        return None
    operands: list[np.ndarray] = []
    for operand in node.inputs:
        result = None if operand is None else _evaluate(operand, leaf, depth - 1)
        if result is None:
            return None
        operands.append(result)
    with np.errstate(all="ignore"):
        return np.asarray(_FUNCTIONS[node.op_type](*operands))


def _identify(root: ir.Value, leaf: ir.Value) -> tuple[str, float] | None:
    """Name of the function and its parameter: x sigmoid(parameter x), softplus(parameter x) / parameter."""
    y = _evaluate(root, leaf, 2 * _DEPTH)
    if y is None or not np.all(np.isfinite(y)):
        return None
    for approximate in ("none", "tanh"):
        if np.allclose(y, Gelu.evaluate([_GRID], {"approximate": approximate}), rtol=0, atol=_TOLERANCE):
            return f"gelu {approximate}", 1.0
    at_zero, at_one = np.interp([0.0, 1.0], _GRID, y)
    if abs(at_zero) > _TOLERANCE:
        beta = math.log(2.0) / at_zero
        same = np.allclose(y, np.logaddexp(0.0, beta * _GRID) / beta, rtol=0, atol=_TOLERANCE)
        return ("softplus", beta) if same else None
    if not 0.5 < at_one < 1.0:
        return None
    alpha = math.log(at_one / (1.0 - at_one))
    scaled = _GRID * _UNARY["Sigmoid"](alpha * _GRID)
    return ("silu", alpha) if np.allclose(y, scaled, rtol=0, atol=_TOLERANCE) else None


def _collect(value: ir.Value, leaf: ir.Value, nodes: dict[int, ir.Node]) -> None:
    node = value.producer()
    if value is leaf or node is None or id(node) in nodes:
        return
    nodes[id(node)] = node
    for operand in node.inputs:
        if operand is not None and operand.const_value is None:
            _collect(operand, leaf, nodes)


def _emit_gelu(
    rewrite: Rewriter,
    at: ir.Node,
    x: ir.Value,
    approximate: str,
    result: ir.Value,
    names: tuple[str, ...] = (),
) -> None:
    new = rewrite.macro(
        at, "Gelu", [x], {"approximate": approximate}, result_shape=shape(x), came_from=names or origin(at)
    )
    rewrite.replace(result, new)


def _emit_scaled(
    rewrite: Rewriter,
    at: ir.Node,
    macro: str,
    x: ir.Value,
    alpha: float,
    result: ir.Value,
    names: tuple[str, ...],
) -> None:
    """f(alpha x) / alpha: x sigmoid(alpha x) is that of silu."""
    names = names or origin(at)
    plain = abs(alpha - 1.0) < 1e-6
    assert x.dtype is not None
    dtype = x.dtype.numpy()
    if not plain:
        x = rewrite.emit(at, "Mul", [x, rewrite.constant(np.array(alpha, dtype))], came_from=names)
    new = rewrite.macro(at, macro, [x], result_shape=shape(x), came_from=names)
    if not plain:
        new = rewrite.emit(at, "Mul", [new, rewrite.constant(np.array(1.0 / alpha, dtype))], came_from=names)
    rewrite.replace(result, new)
