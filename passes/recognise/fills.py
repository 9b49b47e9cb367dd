"""What a masked score becomes, and with it what softmax makes of a row in which every position is masked.

A masked score is x + fill, or the fill in its place, in float32. If every position of a row is masked, then
  -inf                           gives NaN, which the exporters' guard turns into zeros;
  one fill in place of scores    gives 1/n at all n positions, as does one that absorbs what it is added to;
  one fill that is added to all  gives the softmax of the scores as if there were no mask.
A fill of ABSORBING and beyond absorbs every score below 2^10 (half of its last place), and larger scores are
not supported; one up to ADDED rounds scores by at most 2^-9. In between it depends on the scores: refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from mpcc.passes.recognise.graph import array, is_float, scalar
from mpcc.passes.recognise.public_constants import MASK_FILL

LARGEST_SCORE = 2.0**10
ABSORBING = 2.0**34
ADDED = 2.0**16
_VIEWS = ("Reshape", "Transpose", "Unsqueeze", "Squeeze", "Flatten", "Expand", "Slice", "Identity")
_PRECISE = (ir.DataType.FLOAT, ir.DataType.DOUBLE)


@dataclass(frozen=True)
class Fill:
    """`value` stands in the place of a masked score (`replaces`), or was added to it."""

    value: float
    replaces: bool = False

    @property
    def settled(self) -> bool:
        """Whether masked scores are the value, whatever they were."""
        return self.replaces or -self.value >= ABSORBING


def fill_of(data: np.ndarray, replaces: bool = False) -> Fill | None:
    """The one fill among a mask's masked values; None where they differ."""
    values = np.unique(data)
    return Fill(float(values[0]), replaces) if values.size == 1 else None


def plus(fill: Fill | None) -> Fill | None:
    """After a further term was added to the masked scores."""
    return None if fill is None or (fill.replaces and -fill.value < ABSORBING) else fill


def times(fill: Fill | None, factor: float) -> Fill | None:
    """After a product with a positive number."""
    with np.errstate(over="ignore"):
        return (
            None if fill is None else replace(fill, value=float(np.float32(fill.value) * np.float32(factor)))
        )


def at_least(fill: Fill | None, bound: float) -> Fill | None:
    """After a maximum with a fill."""
    if fill is None or fill.settled:
        return None if fill is None else Fill(max(fill.value, bound), replaces=True)
    return fill if fill.value - LARGEST_SCORE >= bound else None


def together(masks: Sequence[Fill | None]) -> list[Fill | None]:
    """The fills of two masks that were added up: where both mask, their sum."""
    infinite = all(fill is not None and math.isinf(fill.value) for fill in masks)
    return list(masks) if infinite else [None] * len(masks)


def empty_rows(fills: Sequence[Fill | None], guarded: bool) -> str:
    """The meaning of a fully masked row, as tensor.Softmax names it."""
    found = [fill for fill in fills if fill is not None]
    if len(found) < len(fills) or len({fill.value for fill in found}) > 1:
        return "refuse"
    if not found or math.isinf(found[0].value):
        return "zero" if guarded else "refuse"
    if all(fill.settled for fill in found):
        return "uniform"
    return "scores" if len(found) == 1 and -found[0].value <= ADDED else "refuse"


def computed_fill(value: ir.Value) -> tuple[bool, Fill | None]:
    """Whether fills went into a value that party 1 computes, and the one that it holds where it masks.

    None where it is not seen to be 0 or one number: then only infinite fills are sure.
    """
    values = _fills(value, set())
    if not values or math.isinf(max(values)):
        return bool(values), Fill(-math.inf) if values else None
    return True, _only_fill(value)


def _fills(value: ir.Value, seen: set[int]) -> set[float]:
    """The mask fills among the constants that a value depends on."""
    data = array(value)
    if data is not None:
        return set(np.unique(data[data <= MASK_FILL]).tolist()) if is_float(value) else set()
    node = value.producer()
    if node is None or id(node) in seen:
        return set()
    seen.add(id(node))
    return set().union(*(_fills(v, seen) for v in node.inputs if v is not None))


def _only_fill(value: ir.Value) -> Fill | None:
    """The fill of 0/1 * fill, or of a choice between 0 and a fill, through views and casts of it."""
    node = value.producer()
    if node is None or node.domain != "":
        return None
    source = node.inputs[0]
    if source is not None and (
        node.op_type in _VIEWS or (node.op_type == "Cast" and value.dtype in _PRECISE)
    ):
        return _only_fill(source)
    if node.op_type == "Mul":
        for number, other in (node.inputs, reversed(node.inputs)):
            fill = scalar(number)
            if fill is not None and fill <= MASK_FILL and other is not None and not _fills(other, set()):
                return Fill(fill)
    if node.op_type == "Where":
        for chosen, zero in (node.inputs[1:], reversed(node.inputs[1:])):
            fill, none = scalar(chosen), array(zero)
            if fill is not None and fill <= MASK_FILL and none is not None and not np.any(none):
                return Fill(fill)
    return None
