"""Share stage, local operations: sources, linear maps, views. Every party computes them on what it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from mpcc.ir.dialects.base import (
    VIEW_ATTRIBUTES,
    OperationClass,
    broadcast,
    expect_count,
    integer,
    integers,
    register,
    ring,
    view_shape,
)
from mpcc.ir.program import Attributes, Stage
from mpcc.ir.types import RingType, Sharing, Type

EXACT_RING = 64  # private and public integers are exact; they are reduced where they meet a share
PLAIN = (Sharing.PRIVATE0, Sharing.PRIVATE1, Sharing.PUBLIC)
LINEAR = (Sharing.SHARE, *PLAIN)


class ShareOperation(OperationClass):
    """Base. `opens` names what a communicating operation discloses: None, `masked`, `server_masked` or
    `reveal`.
    """

    stage = Stage.SHARE
    opens: ClassVar[str | None] = None


def joined(types: list[Type]) -> tuple[Sharing, int]:
    """Sharing and ring of a linear combination: shares dominate; values of both parties become a share.

    Masked values combine with each other only, openings and masks alike: x - y has the opening of x minus
    that of y under the difference of their masks. That the narrower opening holds the result is the
    caller's care.
    """
    operands = [ring(types, i, *LINEAR, Sharing.MASKED) for i in range(len(types))]
    width = min(o.ring for o in operands)
    kinds = {o.sharing for o in operands}
    if kinds == {Sharing.MASKED}:
        return Sharing.MASKED, width
    if Sharing.MASKED in kinds:
        raise ValueError("a masked value combines with masked values only")
    kinds.discard(Sharing.PUBLIC)
    if not kinds:
        return Sharing.PUBLIC, width
    return (kinds.pop(), width) if len(kinds) == 1 else (Sharing.SHARE, width)


class Source(ShareOperation):
    """A value that enters the program. `name` is the array's in the inputs, weights or public constants."""

    required = {"name": str, "fraction": int, "shape": tuple}
    sharing: ClassVar[Sharing]

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 0)
        return [
            RingType(cls.sharing, EXACT_RING, integer(attributes, "fraction"), integers(attributes, "shape"))
        ]


def row_fraction(v: np.ndarray) -> np.ndarray:
    """v over the sum of its row (last axis); rows of zeros stay so."""
    rows = np.atleast_1d(v)
    total = rows.sum(axis=-1, keepdims=True)
    return np.asarray(rows / np.where(total == 0, 1, total))


def row_empty(v: np.ndarray) -> np.ndarray:
    """1 for a row (last axis) of zeros, else 0; the axis keeps a size of 1."""
    return np.asarray(~np.any(np.atleast_1d(v) != 0, axis=-1, keepdims=True), dtype=np.float64)


# What a party may compute of a mask that it knows before the mask enters the program.
ROW_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": lambda v: v,
    "row_fraction": row_fraction,
    "row_empty": row_empty,
}


@register
class ClientInput(Source):
    """Party 1's real value `scale * function(v) + offset`, rounded to `fraction` bits.

    `function` is one of ROW_FUNCTIONS, v itself when it is missing; `shape` is the result's.
    """

    name = "client_input"
    optional = {"scale": float, "offset": float, "function": str}
    sharing = Sharing.PRIVATE1

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        if attributes.get("function", "") not in ROW_FUNCTIONS:
            raise ValueError(f"client_input: unknown function '{attributes['function']}'")
        return super().infer(operands, attributes)


@register
class ServerInput(Source):
    """Party 0's real value given at run time."""

    name = "server_input"
    sharing = Sharing.PRIVATE0


@register
class OneHotInput(Source):
    """Party 1's integers in [0, depth) as 0/1 rows of `depth` entries; `shape` includes the last axis of
    depth.
    """

    name = "one_hot_input"
    required = {"name": str, "shape": tuple}
    sharing = Sharing.PRIVATE1

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        return super().infer(operands, {**attributes, "fraction": 0})


@register
class Weight(Source):
    """Party 0's weight, rounded to `fraction` bits when the program is loaded."""

    name = "weight"
    sharing = Sharing.PRIVATE0


@register
class Constant(Source):
    """A public array of integers, already encoded."""

    name = "constant"
    sharing = Sharing.PUBLIC


class Additive(ShareOperation):
    """Broadcasting sum or difference of values with equal fraction bits; of masked values, a masked one."""

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2)
        a, b = ring(operands, 0), ring(operands, 1)
        if a.fraction != b.fraction:
            raise ValueError(f"{cls.name}: fraction bits differ ({a.fraction} and {b.fraction})")
        sharing, width = joined(operands)
        return [RingType(sharing, width, a.fraction, broadcast(a.shape, b.shape))]


@register
class Add(Additive):
    """a + b."""

    name = "add"


@register
class Sub(Additive):
    """a - b."""

    name = "sub"


@register
class Scale(ShareOperation):
    """Integer multiple: value * factor / 2^fraction, with `fraction` more fraction bits and no rounding."""

    name = "scale"
    required = {"factor": int, "fraction": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        x = ring(operands, 0, *LINEAR)
        return [RingType(x.sharing, x.ring, x.fraction + integer(attributes, "fraction"), x.shape)]


@register
class MulPublic(ShareOperation):
    """Broadcasting product with a public array; fraction bits add up."""

    name = "mul_public"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2)
        x, c = ring(operands, 0, *LINEAR), ring(operands, 1, Sharing.PUBLIC)
        return [RingType(x.sharing, x.ring, x.fraction + c.fraction, broadcast(x.shape, c.shape))]


@register
class MatMulPublic(ShareOperation):
    """x [.., m, k] times a public matrix [k, n]; fraction bits add up."""

    name = "matmul_public"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2)
        x, c = ring(operands, 0, *LINEAR), ring(operands, 1, Sharing.PUBLIC)
        if len(c.shape) != 2 or not x.shape or x.shape[-1] != c.shape[0]:
            raise ValueError(f"matmul_public: {x.shape} does not fit {c.shape}")
        return [RingType(x.sharing, x.ring, x.fraction + c.fraction, (*x.shape[:-1], c.shape[1]))]


@register
class Reinterpret(ShareOperation):
    """The same integers with another fraction: a free product with a power of two."""

    name = "reinterpret"
    required = {"fraction": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        x = ring(operands, 0, *LINEAR)
        return [RingType(x.sharing, x.ring, integer(attributes, "fraction"), x.shape)]


@register
class Shift(ShareOperation):
    """Truncation into the narrower ring: each party drops `bits` low bits; error below one unit, no message.

    A private or public value is rounded by who holds it. Source: BumbleBee (NDSS 2025), the observation that
    only widening needs the wrap bit.
    """

    name = "shift"
    required = {"bits": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        x, bits = ring(operands, 0, *LINEAR), integer(attributes, "bits")
        if not 0 <= bits < x.ring:
            raise ValueError(f"cannot shift a ring of {x.ring} bits by {bits}")
        width = x.ring - bits if x.sharing is Sharing.SHARE else EXACT_RING
        return [RingType(x.sharing, width, x.fraction - bits, x.shape)]


@register
class Widen(ShareOperation):
    """The same value in a ring of any width, for |x| < 2^(ring - 2) in its own.

    Where what follows needs more bits than the operand's range, `assign_rings` makes it a truncation by no
    bits; else nothing is done.
    """

    name = "widen"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        x = ring(operands, 0, *LINEAR)
        return [RingType(x.sharing, x.ring, x.fraction, x.shape)]


@register
class Sum(ShareOperation):
    """Sum over `axes` (nonnegative, ascending)."""

    name = "sum"
    required = {"axes": tuple, "keepdims": bool}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        x, axes = ring(operands, 0, *LINEAR), integers(attributes, "axes")
        shape = tuple(
            1 if i in axes else s for i, s in enumerate(x.shape) if attributes["keepdims"] or i not in axes
        )
        return [RingType(x.sharing, x.ring, x.fraction, shape)]


@register
class Concat(ShareOperation):
    """Concatenation along `axis` (nonnegative)."""

    name = "concat"
    required = {"axis": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        sharing, width = joined(operands)
        parts, axis = [ring(operands, i) for i in range(len(operands))], integer(attributes, "axis")
        first = parts[0]
        for part in parts:
            same = (
                part.shape[:axis] == first.shape[:axis] and part.shape[axis + 1 :] == first.shape[axis + 1 :]
            )
            if not same or part.fraction != first.fraction:
                raise ValueError("concat: shapes or fraction bits differ")
        shape = (*first.shape[:axis], sum(p.shape[axis] for p in parts), *first.shape[axis + 1 :])
        return [RingType(sharing, width, first.fraction, shape)]


class View(ShareOperation):
    """Moves elements only; works on every sharing (a view of a masked value has the view of its mask)."""

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        x = ring(operands, 0)
        shape = view_shape(cls.name, x.shape, attributes)
        return [RingType(x.sharing, x.ring, x.fraction, shape, x.range)]


for _kind, _spec in VIEW_ATTRIBUTES.items():
    register(type(_kind.title(), (View,), {"name": _kind, "required": _spec, "__doc__": f"View: {_kind}."}))
