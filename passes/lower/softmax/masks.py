"""The mask of a softmax: `keep`, known to one party or to both, and what it says about rows it leaves empty.

Whoever knows it computes functions of it alone, so masks cost no message where they enter as an offset; as a
factor of secret values they are opened under a mask of their own, in their own small shape, once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.dialects.base import integers, tensor
from mpcc.ir.dialects.share import ROW_FUNCTIONS
from mpcc.ir.program import Attribute, Operation, Value
from mpcc.ir.types import Range, Visibility
from mpcc.passes.lower.context import Context, bits_for, ring_of


@dataclass(frozen=True)
class Mask:
    """`keep` is 0 or 1 and broadcasts to rows of `length` scores; None keeps all. `empty_rows`: see
    tensor.Softmax.
    """

    context: Context
    keep: Value | None
    empty_rows: str
    length: int

    @property
    def public(self) -> np.ndarray | None:
        """What everybody knows of it: the array, if it is a public constant."""
        if self.keep is None or self.context.visibility(self.keep) is not Visibility.PUBLIC:
            return None
        return self.context.tensor_constant(self.keep)

    def has_empty(self, empty_rows: str) -> bool:
        """Whether there may be empty rows, and they have this meaning."""
        if self.keep is None or self.empty_rows != empty_rows:
            return False
        return self.public is None or bool(ROW_FUNCTIONS["row_empty"](self.public).any())

    def fewest(self) -> int:
        """The fewest positions that a row can keep, if any."""
        if self.keep is None:
            return self.length
        if self.public is None:
            return 1
        counts = np.broadcast_to(self.public, (*self.public.shape[:-1], self.length)).sum(axis=-1)
        return int(counts[counts > 0].min(initial=self.length))

    def kept(self, fraction: int, scale: float = 1.0, offset: float = 0.0) -> Value:
        """scale * keep + offset; an empty row that means its unmasked `scores` keeps all."""
        value = self._known("", fraction, scale, offset)
        if not self.has_empty("scores"):
            return value
        extent = Range(min(offset, scale + offset), max(offset, scale + offset))
        return self._sum(value, self.empty(fraction, scale), extent)

    def empty(self, fraction: int, scale: float = 1.0) -> Value:
        """`scale` in empty rows, else 0: one value a row."""
        return self._known("row_empty", fraction, scale)

    def distribution(self, fraction: int, scale: float = 1.0) -> Value:
        """scale / n in the n kept positions of a row; 0 in empty rows, or all positions for `scores`."""
        if self.keep is None:
            return self.context.public(np.full((1,), scale / self.length), fraction)
        width = (shape_of(self.keep) or (1,))[-1]
        value = self._known("row_fraction", fraction, scale * width / self.length)
        if not self.has_empty("scores"):
            return value
        return self._sum(value, self.empty(fraction, scale / self.length), Range(0.0, scale))

    def penalised(self, scores: Value, penalty: float) -> Value:
        """The scores, less `penalty` where they are masked."""
        if self.keep is None:
            return scores
        extent = ring_of(scores).range
        lower = Range(extent.low - penalty, extent.high) if extent else None
        offset = self.kept(ring_of(scores).fraction, penalty, -penalty)
        return self.context.emit("add", scores, offset, extent=lower)

    def opened(self) -> Value:
        """`keep` as a factor of products: opened under a mask."""
        return self.context.opened(self.kept(0), 0, bits_for(Range(0.0, 1.0), 0))

    def _sum(self, a: Value, b: Value, extent: Range) -> Value:
        """Made once, so that layers share its opening."""
        return self.context.once(("sum", a, b), lambda: self.context.emit("add", a, b, extent=extent))

    def _known(self, function: str, fraction: int, scale: float = 1.0, offset: float = 0.0) -> Value:
        """scale * function(keep) + offset, as a public value or one of the party that knows keep."""
        key = ("mask", self.keep, function, fraction, scale, offset)
        return self.context.once(key, lambda: self._source(function, fraction, scale, offset))

    def _source(self, function: str, fraction: int, scale: float, offset: float) -> Value:
        context, keep = self.context, self.keep
        assert keep is not None
        extent = Range(min(offset, scale + offset), max(offset, scale + offset))
        constant = context.tensor_constant(keep)
        if constant is not None:
            array = ROW_FUNCTIONS[function](np.asarray(constant, dtype=np.float64)) * scale + offset
            if context.visibility(keep) is Visibility.PUBLIC:
                return context.public(array, fraction)
            return context.weight(array, fraction, extent)
        producer = context.producers[keep]
        if producer.kind != "input" or context.visibility(keep) is not Visibility.PARTY1:
            raise MpccError(
                "MPC-P014",
                "the attention mask depends on secret values of both parties",
                where=context.place,
                remedy="make the mask an input of the client",
            )
        shape = integers(producer.attributes, "shape")
        attributes: dict[str, Attribute] = {"scale": float(scale), "offset": float(offset)}
        if function:
            shape = (*shape[:-1], 1 if function == "row_empty" else (shape or (1,))[-1])
            attributes["function"] = function
        return context.emit(
            "client_input",
            name=str(producer.attributes["name"]),
            fraction=fraction,
            shape=shape,
            extent=extent,
            **attributes,
        )


def mask_of(context: Context, operation: Operation) -> Mask:
    """The mask of a tensor-stage softmax."""
    scores, *rest = operation.operands
    keep = rest[0] if rest else None
    return Mask(context, keep, str(operation.attributes["empty_rows"]), shape_of(scores)[-1])


def shape_of(value: Value) -> tuple[int, ...]:
    """Shape of a tensor-stage value."""
    return tensor([value.type], 0).shape
