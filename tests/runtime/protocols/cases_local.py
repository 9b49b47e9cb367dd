"""Cases of the operations without messages: sources, linear maps, views of every sharing."""

from __future__ import annotations

import numpy as np

from mpcc.ir.dialects.base import VIEW_ATTRIBUTES
from mpcc.ir.program import Value
from tests.runtime.protocols.cases import Case, Setting, case, faithful, ring_of, view_attributes
from tests.runtime.protocols.choices import Choices


def any_linear(s: Setting, x: np.ndarray, fraction: int = 0) -> Value:
    """x under one of the sharings that linear maps take."""
    kind = s.choices.pick(("share", "server_input", "client_input", "weight", "constant"))
    if kind == "share":
        return s.share(x, fraction, s.choices.integer(1, 64))
    return s.source(kind, x, fraction)


def any_operands(s: Setting, shapes: list[tuple[int, ...]]) -> list[Value]:
    """Values that a linear combination takes: of any sharings, or masked in as many bits as it needs."""
    c = s.choices
    if c.flag():
        return [any_linear(s, c.signed(shape, 64), 3) for shape in shapes]
    bits = c.integer(3, 64)
    return [s.masked(c.signed(shape, bits - 2), c.integer(bits, 64)) for shape in shapes]


@case("client_input", "server_input", "weight", "constant")
def source(c: Choices, kind: str) -> Case:
    s = Setting(c)
    return s.end(s.source(kind, c.signed(c.shape(), 64)))


@case("one_hot_input")
def one_hot_input(c: Choices, kind: str) -> Case:
    s = Setting(c)
    ids, depth = c.array(c.shape(0, 2), 0, 4), 5
    s.arrays["ids"] = (ids[..., None] == np.arange(depth)).astype(np.int64)
    return s.end(s.emit(kind, name="ids", shape=(*ids.shape, depth)))


@case("add", "sub")
def additive(c: Choices, kind: str) -> Case:
    s = Setting(c)
    shape = c.shape()
    other = tuple(1 if c.flag() else n for n in shape)[c.integer(0, len(shape)) :]
    operands = any_operands(s, [shape, other])
    return s.end(s.emit(kind, *(operands if c.flag() else operands[::-1])))


@case("scale", "reinterpret")
def unary(c: Choices, kind: str) -> Case:
    s = Setting(c)
    x = any_linear(s, c.signed(c.shape(), 64))
    factor = {"factor": c.integer(-(2**40), 2**40)} if kind == "scale" else {}
    return s.end(s.emit(kind, x, fraction=c.integer(0, 20), **factor))


@case("widen")
def widen(c: Choices, kind: str) -> Case:
    s = Setting(c)
    return s.end(s.emit(kind, any_linear(s, c.signed(c.shape(), 64))))


@case("sum")
def reduction(c: Choices, kind: str) -> Case:
    s = Setting(c)
    shape = c.shape()
    axes = tuple(i for i in range(len(shape)) if c.flag())
    return s.end(s.emit(kind, any_linear(s, c.signed(shape, 64)), axes=axes, keepdims=c.flag()))


@case("concat")
def concat(c: Choices, kind: str) -> Case:
    s = Setting(c)
    shape = c.shape(1)
    axis = c.integer(0, len(shape) - 1)
    shapes = [(*shape[:axis], c.integer(0, 4), *shape[axis + 1 :]) for _ in range(c.integer(1, 3))]
    return s.end(s.emit(kind, *any_operands(s, shapes), axis=axis))


@case("mul_public")
def mul_public(c: Choices, kind: str) -> Case:
    s = Setting(c)
    shape = c.shape()
    x, factor = any_linear(s, c.signed(shape, 64)), s.source("constant", c.signed(shape[1:], 30))
    return s.end(s.emit(kind, x, factor))


@case("matmul_public")
def matmul_public(c: Choices, kind: str) -> Case:
    s = Setting(c)
    shape = c.shape(1)
    x, matrix = any_linear(s, c.signed(shape, 64)), c.signed((shape[-1], c.integer(0, 4)), 30)
    return s.end(s.emit(kind, x, s.source("constant", matrix)))


@case("shift")
def shift(c: Choices, kind: str) -> Case:
    s = Setting(c)
    ring = c.integer(1, 64)
    bits = c.integer(0, ring - 1)
    x = c.signed(c.shape(), ring)
    value = s.secret(x, bits, ring)
    shifted = s.emit(kind, value, bits=bits)
    if value.type.sharing == "share":  # type: ignore[union-attr]
        return s.end(shifted, faithful(x, bits, ring - bits))
    return s.end(shifted)


@case(*VIEW_ATTRIBUTES)
def view(c: Choices, kind: str) -> Case:
    """A view of each sharing: the dealer moves masks, party 1 those of served values, all the rest."""
    s = Setting(c)
    shape = c.shape(1)
    sharing = c.pick(("linear", "masked", "served", "bits", "masked_bits"))
    if sharing == "linear":
        value = any_linear(s, c.signed(shape, 64))
    elif sharing == "masked":
        value = s.masked(c.array(shape, -(2**18), 2**18 - 1), 20)
    elif sharing == "served":
        value = s.emit("serve", s.secret(c.signed(shape, 20)), bits=40)
    else:
        value = s.bits(shape)
        value = s.emit("open_bits", value) if sharing == "masked_bits" else value
    for _ in range(2):  # a view of a view
        attributes = view_attributes(c, kind, ring_of(value).shape)
        if attributes is not None:
            value = s.emit(kind, value, ring=None, **attributes)
    return s.end(value)
