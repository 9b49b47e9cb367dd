"""Attention masks: additive masks and fills become a 0/1 operand of softmax; the exporters' NaN guard is
removed.

An additive mask of -1e4 .. -3.4e38 must never reach fixed point. Whatever chain of Add, Where, Max, scalings
and views leads to a softmax is taken apart; its mask terms are turned into one truth tensor `keep`, public if
constant, else computed by party 1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.types import Visibility
from mpcc.passes.recognise.broadcasts import shrink
from mpcc.passes.recognise.fills import (
    Fill,
    at_least,
    computed_fill,
    empty_rows,
    fill_of,
    plus,
    times,
    together,
)
from mpcc.passes.recognise.graph import (
    Rewriter,
    array,
    attribute,
    inputs,
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


@dataclass(frozen=True)
class _Mask:
    """A truth value, and what the scores become where it is false (None: not one number)."""

    keep: ir.Value
    fill: Fill | None


@dataclass
class _Scores:
    """What remains of a softmax's operand without its masks (None: nothing), and the masks."""

    value: ir.Value | None
    masks: list[_Mask] = field(default_factory=list)
    nodes: list[ir.Node] = field(default_factory=list)

    def filled(self, change: Callable[[Fill | None], Fill | None]) -> list[_Mask]:
        """The masks with their fills changed."""
        return [replace(mask, fill=change(mask.fill)) for mask in self.masks]


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
        self._read: list[ir.Value] = []  # keeps ids from being used again

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
    guarded = bool(guards) or bool(node.meta.get(GUARDED, False))
    meaning = empty_rows([mask.fill for mask in scores.masks], guarded)
    operands = [
        scores.value if scores.value is not None else rewrite.constant(np.zeros(shape(x), np.float32))
    ]
    if scores.masks:
        keeps = [mask.keep for mask in scores.masks]
        keep = memo.once("combined", keeps, lambda: _combine(rewrite, node, keeps))
        operands.append(keep)
        data = array(keep)
        if data is not None and meaning == "refuse" and not np.all(data.any(axis=-1)):
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
        {"empty_rows": meaning},
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
                masks = inner.filled(functools.partial(at_least, bound=number))
                return _Scores(inner.value, masks, [*inner.nodes, node])
    if node.op_type == "Mul":
        for x, factor in (node.inputs, reversed(node.inputs)):
            number = scalar(factor)
            if x is not None and number is not None and number > 0:
                return _scaled(memo, anchor, node, x, factor, number)
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
        return _Scores(bias, [_Mask(rewrite.constant(kept), fill_of(data[~kept]))])
    if visibility(value) is not Visibility.PARTY1:
        return None
    masks, fill = computed_fill(value)
    if not masks:
        return None
    threshold = rewrite.constant(np.array(THRESHOLD, dtype=_numpy_type(value)))
    keep = memo.once("kept", [value], lambda: rewrite.emit(anchor, "Greater", [value, threshold]))
    return _Scores(None, [_Mask(keep, fill)])


def _numpy_type(value: ir.Value) -> np.dtype:
    assert value.dtype is not None
    return np.dtype(value.dtype.numpy())


def _sum(memo: _Memo, anchor: ir.Node, node: ir.Node) -> _Scores:
    rewrite = memo.rewrite
    a, b = operands(node, 2)
    left = _take_apart(memo, anchor, a)
    right = _subtracted(memo, b) if node.op_type == "Sub" else _take_apart(memo, anchor, b)
    if not left.masks and not right.masks:
        return _Scores(node.outputs[0])
    masks, nodes = [*left.filled(plus), *right.filled(plus)], [*left.nodes, *right.nodes, node]
    if left.masks and right.masks:
        fills = together([mask.fill for mask in masks])
        masks = [replace(mask, fill=fill) for mask, fill in zip(masks, fills, strict=True)]
    if left.value is None and (node.op_type == "Add" or right.value is None):
        return _Scores(right.value, masks, nodes)
    if right.value is None:
        return _Scores(left.value, masks, nodes)
    first = left.value if left.value is not None else rewrite.constant(np.zeros((), np.float32))
    return _Scores(
        rewrite.emit(anchor, node.op_type, [first, right.value], came_from=origin(node)), masks, nodes
    )


def _subtracted(memo: _Memo, value: ir.Value) -> _Scores:
    """x - m with m zero or large and positive."""
    data = array(value)
    if data is not None and np.all((data == 0) | (data >= -MASK_FILL)) and np.any(data):
        keep = memo.rewrite.constant(data < -THRESHOLD)
        return _Scores(None, [_Mask(keep, fill_of(-data[data > 0]))])
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
                mask = _Mask(keep, fill_of(data, replaces=True))
                return _Scores(inner.value, [*inner.masks, mask], [*inner.nodes, node])
    return _Scores(node.outputs[0])


def _scaled(
    memo: _Memo, anchor: ir.Node, node: ir.Node, x: ir.Value, factor: ir.Value | None, number: float
) -> _Scores:
    """The same product of what remains of its operand."""
    inner = _take_apart(memo, anchor, x)
    if not inner.masks or inner.value is None:
        return _Scores(node.outputs[0])
    value = memo.rewrite.emit(anchor, "Mul", [inner.value, factor], came_from=origin(node))
    return _Scores(value, inner.filled(functools.partial(times, factor=number)), inner.nodes)


def _viewed(memo: _Memo, anchor: ir.Node, node: ir.Node, x: ir.Value) -> _Scores:
    """A view of masked scores: the masks go through the same view."""
    rewrite = memo.rewrite
    inner = _take_apart(memo, anchor, x)
    if not inner.masks or inner.value is None:
        return _Scores(node.outputs[0])
    attributes = {name: attribute(node, name) for name in node.attributes}
    others = inputs(node, 1)[1:]
    target = rewrite.integers(*shape(x))

    def view(value: ir.Value) -> ir.Value:
        full = value if shape(value) == shape(x) else rewrite.emit(anchor, "Expand", [value, target])
        return rewrite.emit(anchor, node.op_type, [full, *others], attributes, came_from=origin(node))

    masks = [replace(mask, keep=view(mask.keep)) for mask in inner.masks]
    return _Scores(view(inner.value), masks, [*inner.nodes, node])


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
