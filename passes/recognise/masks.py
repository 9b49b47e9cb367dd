"""Attention masks: additive masks and fills become a 0/1 operand of softmax; the exporters' NaN guard is
removed.

An additive mask of -1e4 .. -3.4e38 must never reach fixed point. Whatever chain of Add, Where, Max, scalings
and views leads to a softmax is taken apart; its mask terms are turned into one truth tensor `keep`, public if
constant, else computed by party 1.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.types import Visibility
from mpcc.passes.recognise.broadcasts import shrink
from mpcc.passes.recognise.graph import (
    Rewriter,
    array,
    attribute,
    inputs,
    is_float,
    is_known_locally,
    operands,
    origin,
    remove_dead,
    scalar,
    shape,
    visibility,
)
from mpcc.passes.recognise.public_constants import MASK_FILL
from mpcc.passes.recognise.selects import negated

# Kept positions of an additive mask are 0, masked ones at or below MASK_FILL.
THRESHOLD = MASK_FILL / 2
GUARDED = "guarded"
_VIEWS = ("Reshape", "Transpose", "Unsqueeze", "Squeeze", "Flatten")


@dataclass
class _Scores:
    """What remains of a softmax's operand without its masks (None: nothing), and the masks as truth
    values.
    """

    value: ir.Value | None
    keeps: list[ir.Value] = field(default_factory=list)
    nodes: list[ir.Node] = field(default_factory=list)


def recognise_masks(rewrite: Rewriter, diagnostics: Diagnostics) -> None:
    """Rewrite every softmax on unknown values to mpcc.Softmax(scores[, keep])."""
    memo = _Memo(rewrite)
    for node in list(rewrite.graph):
        if (
            node.op_type == "Softmax"
            and node.domain == ""
            and visibility(node.outputs[0]) is not Visibility.PARTY1
        ):
            _softmax(memo, node, diagnostics)
    remove_dead(rewrite.graph)


class _Memo:
    """Truth values made from masks, so that one mask read by every layer becomes one input of the program."""

    def __init__(self, rewrite: Rewriter) -> None:
        self.rewrite = rewrite
        self._made: dict[tuple[object, ...], ir.Value] = {}
        self.finite: set[int] = set()
        self._read: list[ir.Value] = []  # keeps ids from being used again

    def note(self, keep: ir.Value, fills: set[float]) -> ir.Value:
        """Remember a mask whose fills are finite: a row of them is not NaN but uniform."""
        if fills - {-math.inf}:
            self.finite.add(id(keep))
        self._read.append(keep)
        return keep

    def once(self, key: str, values: Sequence[ir.Value], make: Callable[[], ir.Value]) -> ir.Value:
        """What `make` returns, made once for one key and one set of values."""
        full = (key, *sorted(id(v) for v in values))
        if full not in self._made:
            self._read.extend(values)
            self._made[full] = make()
        return self._made[full]


def _softmax(memo: _Memo, node: ir.Node, diagnostics: Diagnostics) -> None:
    rewrite, x = memo.rewrite, node.inputs[0]
    assert x is not None
    scores = _take_apart(memo, node, x)
    result, guards = _guarded_result(node)
    # A fully masked row is NaN, and then zero by the guard, only if every fill is infinite.
    finite = any(id(keep) in memo.finite for keep in scores.keeps)
    zeros = (bool(guards) or node.meta.get(GUARDED, False)) and not finite
    operands = [
        scores.value if scores.value is not None else rewrite.constant(np.zeros(shape(x), np.float32))
    ]
    if scores.keeps:
        keep = memo.once("combined", scores.keeps, lambda: _combine(rewrite, node, scores.keeps))
        operands.append(keep)
        data = array(keep)
        if data is not None and not zeros and not np.all(data.any(axis=-1)):
            diagnostics.add(
                "MPC-F030",
                "a softmax has rows in which every position is masked",
                remedy="export with an attention mask that keeps at least one position in each row",
                where=", ".join(origin(node)),
            )
    rest = operands[0]
    if shape(rest) != shape(x):
        operands[0] = rewrite.emit(node, "Expand", [rest, rewrite.integers(*shape(x))])
    macro = rewrite.macro(
        node,
        "Softmax",
        operands,
        {"empty_rows": "zero" if zeros else "refuse"},
        result_shape=shape(x),
        came_from=origin(*scores.nodes, node, *guards),
    )
    rewrite.replace(result, macro)
    if result is not node.outputs[0]:
        rewrite.replace(node.outputs[0], macro, equal=False)


def _guarded_result(node: ir.Node) -> tuple[ir.Value, list[ir.Node]]:
    """The output of `Where(IsNaN(p), 0, p)` when that is all that reads p; else p itself.

    The guard means: a row without any kept position is zero. It may go only if nothing else sees p's NaN.
    """
    p = node.outputs[0]
    users = {use.node for use in p.uses()}
    tests = [user for user in users if user.op_type == "IsNaN"]
    selects = [user for user in users if user.op_type == "Where"]
    if len(users) != 2 or len(tests) != 1 or len(selects) != 1 or p.is_graph_output():
        return p, []
    test, select = tests[0], selects[0]
    condition, replacement, kept = select.inputs
    zero = array(replacement)
    sound = condition is test.outputs[0] and kept is p and zero is not None and not np.any(zero)
    only_here = len(test.outputs[0].uses()) == 1 and shape(select.outputs[0]) == shape(p)
    return (select.outputs[0], [test, select]) if sound and only_here else (p, [])


def _take_apart(memo: _Memo, anchor: ir.Node, value: ir.Value) -> _Scores:
    node = value.producer()
    mask = _mask_term(memo, anchor, value)
    if mask is not None:
        return mask
    if node is None or node.domain != "" or is_known_locally(value):
        return _Scores(value)
    if node.op_type in ("Add", "Sub"):
        return _sum(memo, anchor, node)
    if node.op_type == "Where":
        return _fill(memo, anchor, node)
    if node.op_type == "Max" and len(node.inputs) == 2:
        for x, bound in (node.inputs, reversed(node.inputs)):
            number = scalar(bound)
            if x is not None and number is not None and number <= MASK_FILL:
                inner = _take_apart(memo, anchor, x)
                keeps = [memo.note(keep, {number}) for keep in inner.keeps]
                return _Scores(inner.value, keeps, [*inner.nodes, node])
    if node.op_type == "Mul":
        for x, factor in (node.inputs, reversed(node.inputs)):
            number = scalar(factor)
            if x is not None and number is not None and number > 0:
                return _rebuilt(memo, anchor, node, x, [factor])
    if node.op_type in _VIEWS and node.inputs[0] is not None:
        return _viewed(memo, anchor, node, node.inputs[0])
    return _Scores(value)


def _mask_term(memo: _Memo, anchor: ir.Node, value: ir.Value) -> _Scores | None:
    """The value as a mask: wholly (party 1's or public), or a constant that is bias where it is not mask."""
    rewrite = memo.rewrite
    if value.const_value is not None:
        data = array(value)
        assert data is not None
        kept = data > THRESHOLD
        if np.all(kept):
            return None
        rewrite.publish(value, "attention mask")
        rest = np.where(kept, data, 0).astype(data.dtype)
        bias = rewrite.constant(rest, visibility(value)) if np.any(rest) else None
        return _Scores(bias, [memo.note(rewrite.constant(kept), _values(data[~kept]))])
    fills = _fills(value, set()) if visibility(value) is Visibility.PARTY1 else set()
    if not fills:
        return None
    threshold = rewrite.constant(np.array(THRESHOLD, dtype=_numpy_type(value)))
    keep = memo.once("kept", [value], lambda: rewrite.emit(anchor, "Greater", [value, threshold]))
    return _Scores(None, [memo.note(keep, fills)])


def _numpy_type(value: ir.Value) -> np.dtype:
    assert value.dtype is not None
    return np.dtype(value.dtype.numpy())


def _values(data: np.ndarray) -> set[float]:
    return set(np.unique(data).tolist())


def _fills(value: ir.Value, seen: set[int]) -> set[float]:
    """The mask fills that went into a value of party 1."""
    data = array(value)
    if data is not None:
        return _values(data[data <= MASK_FILL]) if is_float(value) else set()
    node = value.producer()
    if node is None or id(node) in seen:
        return set()
    seen.add(id(node))
    return set().union(*(_fills(v, seen) for v in node.inputs if v is not None))


def _sum(memo: _Memo, anchor: ir.Node, node: ir.Node) -> _Scores:
    rewrite = memo.rewrite
    a, b = operands(node, 2)
    left = _take_apart(memo, anchor, a)
    right = _subtracted(memo, b) if node.op_type == "Sub" else _take_apart(memo, anchor, b)
    if not left.keeps and not right.keeps:
        return _Scores(node.outputs[0])
    keeps, nodes = [*left.keeps, *right.keeps], [*left.nodes, *right.nodes, node]
    if left.value is None and (node.op_type == "Add" or right.value is None):
        return _Scores(right.value, keeps, nodes)
    if right.value is None:
        return _Scores(left.value, keeps, nodes)
    first = left.value if left.value is not None else rewrite.constant(np.zeros((), np.float32))
    return _Scores(
        rewrite.emit(anchor, node.op_type, [first, right.value], came_from=origin(node)), keeps, nodes
    )


def _subtracted(memo: _Memo, value: ir.Value) -> _Scores:
    """x - m with m zero or large and positive."""
    data = array(value)
    if data is not None and np.all((data == 0) | (data >= -MASK_FILL)) and np.any(data):
        keep = memo.rewrite.constant(data < -THRESHOLD)
        return _Scores(None, [memo.note(keep, _values(-data[data > 0]))])
    return _Scores(value)


def _fill(memo: _Memo, anchor: ir.Node, node: ir.Node) -> _Scores:
    """Where(condition, scores, fill) or Where(condition, fill, scores)."""
    rewrite = memo.rewrite
    condition, yes, no = operands(node, 3)
    if is_known_locally(condition):
        for kept, fill, inverted in ((yes, no, False), (no, yes, True)):
            data = array(fill)
            if data is not None and np.all(data <= MASK_FILL):
                keep = condition
                if inverted:
                    keep = memo.once("not", [condition], lambda: negated(rewrite, anchor, condition))
                inner = _take_apart(memo, anchor, kept)
                memo.note(keep, _values(data))
                return _Scores(inner.value, [*inner.keeps, keep], [*inner.nodes, node])
    return _Scores(node.outputs[0])


def _rebuilt(
    memo: _Memo, anchor: ir.Node, node: ir.Node, x: ir.Value, others: list[ir.Value | None]
) -> _Scores:
    """The same operation on what remains of its operand."""
    rewrite = memo.rewrite
    inner = _take_apart(memo, anchor, x)
    if not inner.keeps or inner.value is None:
        return _Scores(node.outputs[0])
    attributes = {name: attribute(node, name) for name in node.attributes}
    value = rewrite.emit(anchor, node.op_type, [inner.value, *others], attributes, came_from=origin(node))
    return _Scores(value, inner.keeps, inner.nodes)


def _viewed(memo: _Memo, anchor: ir.Node, node: ir.Node, x: ir.Value) -> _Scores:
    """A view of masked scores: the masks go through the same view."""
    rewrite = memo.rewrite
    inner = _take_apart(memo, anchor, x)
    if not inner.keeps or inner.value is None:
        return _Scores(node.outputs[0])
    attributes = {name: attribute(node, name) for name in node.attributes}
    others = inputs(node, 1)[1:]
    target = rewrite.integers(*shape(x))

    def view(value: ir.Value) -> ir.Value:
        full = value if shape(value) == shape(x) else rewrite.emit(anchor, "Expand", [value, target])
        return rewrite.emit(anchor, node.op_type, [full, *others], attributes, came_from=origin(node))

    keeps = [view(keep) for keep in inner.keeps]
    memo.finite.update(id(new) for old, new in zip(inner.keeps, keeps, strict=True) if id(old) in memo.finite)
    return _Scores(view(inner.value), keeps, [*inner.nodes, node])


def _combine(rewrite: Rewriter, anchor: ir.Node, keeps: list[ir.Value]) -> ir.Value:
    """All masks as one 0/1 float tensor, without the axes along which it does not change."""
    constants = [data for data in map(array, keeps) if data is not None]
    value: ir.Value | None = None
    if constants:
        value = rewrite.constant(functools.reduce(np.logical_and, constants))
    for keep in keeps:
        if keep.const_value is None:
            value = keep if value is None else rewrite.emit(anchor, "And", [value, keep])
    assert value is not None
    value = shrink(rewrite, anchor, value)
    joint = array(value)
    if joint is not None:
        return rewrite.constant(joint.astype(np.float32))
    return rewrite.emit(anchor, "Cast", [value], {"to": int(ir.DataType.FLOAT)})
