"""Tensor stage: what the model means. Real values with a visibility; `evaluate` is the meaning in floating
point.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from mpcc.ir.dialects.base import (
    VIEW_ATTRIBUTES,
    OperationClass,
    apply_view,
    broadcast,
    expect_count,
    integer,
    integers,
    joined_visibility,
    linear_shape,
    register,
    tensor,
    view_shape,
)
from mpcc.ir.program import Attributes, Stage
from mpcc.ir.types import TensorType, Type, Visibility

Arrays = Sequence[np.ndarray]
ERF_STEPS = 1024  # table points a unit
EMPTY_ROWS = ("zero", "uniform", "scores", "refuse")


class TensorOperation(OperationClass):
    """Base: one result, float meaning in `evaluate`."""

    stage = Stage.TENSOR

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        """The result in floating point. Sources (`input`, `constant`) have none: their value is given."""
        raise NotImplementedError(cls.name)


@register
class Input(TensorOperation):
    """A value the party's local model (or the user) supplies under `name`."""

    name = "input"
    required = {"name": str, "visibility": str, "dtype": str, "shape": tuple}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 0)
        visibility = Visibility(str(attributes["visibility"]))
        return [TensorType(visibility, str(attributes["dtype"]), integers(attributes, "shape"))]


@register
class Constant(Input):
    """An array of `Program.constants`: public, or party 0's weight."""

    name = "constant"


class Elementwise(TensorOperation):
    """Broadcasting elementwise operation on floats."""

    arity = 1

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, cls.arity)
        shape = broadcast(*(tensor(operands, i).shape for i in range(cls.arity)))
        return [TensorType(joined_visibility(operands), "float", shape)]


def _elementwise(
    name: str, arity: int, function: Callable[..., np.ndarray], doc: str
) -> type[OperationClass]:
    def evaluate(cls: type, operands: Arrays, attributes: Attributes) -> np.ndarray:
        return np.asarray(function(*operands))

    body = {"name": name, "arity": arity, "evaluate": classmethod(evaluate), "__doc__": doc}
    return register(type(name.title(), (Elementwise,), body))


@functools.cache
def _erf_table() -> np.ndarray:
    return np.array([math.erf(i / ERF_STEPS) for i in range(6 * ERF_STEPS + 2)])


def _erf(x: np.ndarray) -> np.ndarray:
    """erf to 1e-13: cubic Hermite interpolation of a table with the exact derivative."""
    table, size = _erf_table(), np.minimum(np.abs(np.asarray(x, dtype=np.float64)), 6.0)
    index = (size * ERF_STEPS).astype(np.int64)
    left, right = index / ERF_STEPS, (index + 1) / ERF_STEPS
    t = size * ERF_STEPS - index
    slopes = [2 / math.sqrt(math.pi) * np.exp(-(p**2)) / ERF_STEPS for p in (left, right)]
    low, high = table[index], table[index + 1]
    curve = slopes[0] * t * (1 - t) ** 2 - slopes[1] * t**2 * (1 - t)
    value = low + (high - low) * t**2 * (3 - 2 * t) + curve
    return np.asarray(np.copysign(value, x))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


Add = _elementwise("add", 2, np.add, "a + b.")
Sub = _elementwise("sub", 2, np.subtract, "a - b.")
Mul = _elementwise("mul", 2, np.multiply, "a * b.")
Div = _elementwise("div", 2, np.divide, "a / b; b is positive on its calibrated range.")
Negate = _elementwise("negate", 1, np.negative, "-a.")
Reciprocal = _elementwise("reciprocal", 1, np.reciprocal, "1 / a for positive a.")
Rsqrt = _elementwise("rsqrt", 1, lambda x: 1.0 / np.sqrt(x), "1 / sqrt(a) for positive a.")
Sqrt = _elementwise("sqrt", 1, np.sqrt, "sqrt(a) for nonnegative a.")
Square = _elementwise("square", 1, np.square, "a^2.")
Exp = _elementwise("exp", 1, np.exp, "exp(a).")
Relu = _elementwise("relu", 1, lambda x: np.maximum(x, 0.0), "max(a, 0).")
Tanh = _elementwise("tanh", 1, np.tanh, "tanh(a).")
Sigmoid = _elementwise("sigmoid", 1, sigmoid, "1 / (1 + exp(-a)).")
Erf = _elementwise("erf", 1, _erf, "erf(a).")
Softplus = _elementwise("softplus", 1, lambda x: np.logaddexp(0.0, x), "log(1 + exp(a)).")
Silu = _elementwise("silu", 1, lambda x: x * sigmoid(x), "a * sigmoid(a).")


@register
class Gelu(Elementwise):
    """GELU; `approximate` is `none` (erf) or `tanh`."""

    name = "gelu"
    required = {"approximate": str}

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        x = operands[0].astype(np.float64)
        if attributes["approximate"] == "tanh":
            return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
        return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))))


class View(TensorOperation):
    """Moves elements only."""

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        source = tensor(operands, 0)
        return [
            TensorType(
                source.visibility, source.dtype, view_shape(cls.name, source.shape, attributes), source.range
            )
        ]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        return apply_view(cls.name, operands[0], attributes)


for _kind, _spec in VIEW_ATTRIBUTES.items():
    register(type(_kind.title(), (View,), {"name": _kind, "required": _spec, "__doc__": f"View: {_kind}."}))


@register
class Concat(TensorOperation):
    """Concatenation along `axis` (nonnegative)."""

    name = "concat"
    required = {"axis": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        axis = integer(attributes, "axis")
        shapes = [tensor(operands, i).shape for i in range(len(operands))]
        first = shapes[0]
        if any(s[:axis] != first[:axis] or s[axis + 1 :] != first[axis + 1 :] for s in shapes):
            raise ValueError(f"cannot concatenate {shapes} along axis {axis}")
        shape = (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])
        return [TensorType(joined_visibility(operands), tensor(operands, 0).dtype, shape)]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        return np.concatenate(operands, axis=integer(attributes, "axis"))


class Reduction(TensorOperation):
    """Reduction over `axes` (nonnegative, ascending)."""

    required = {"axes": tuple, "keepdims": bool}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1)
        source = tensor(operands, 0)
        axes = integers(attributes, "axes")
        shape = [
            1 if i in axes else s
            for i, s in enumerate(source.shape)
            if attributes["keepdims"] or i not in axes
        ]
        return [TensorType(source.visibility, "float", tuple(shape))]


@register
class ReduceSum(Reduction):
    """Sum."""

    name = "reduce_sum"

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        return np.asarray(
            operands[0].sum(axis=integers(attributes, "axes"), keepdims=bool(attributes["keepdims"]))
        )


@register
class ReduceMean(Reduction):
    """Mean."""

    name = "reduce_mean"

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        return np.asarray(
            operands[0].mean(axis=integers(attributes, "axes"), keepdims=bool(attributes["keepdims"]))
        )


@register
class MatMul(TensorOperation):
    """Batched matrix product [.., m, k] x [.., k, n], both operands of rank >= 2."""

    name = "matmul"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2)
        a, b = tensor(operands, 0), tensor(operands, 1)
        if min(len(a.shape), len(b.shape)) < 2 or a.shape[-1] != b.shape[-2]:
            raise ValueError(f"cannot multiply {a.shape} by {b.shape}")
        shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        return [TensorType(joined_visibility(operands), "float", shape)]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        return np.asarray(np.matmul(operands[0], operands[1]))


@register
class Linear(TensorOperation):
    """x [.., k] times party 0's weight [k, n], plus an optional bias [n]; or x [.., E, m, k] times weights
    [E, k, n], plus biases [E, 1, n].
    """

    name = "linear"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2, 3)
        x, w = tensor(operands, 0), tensor(operands, 1)
        shape = linear_shape(x.shape, w.shape)
        one = w.shape[1:] if len(w.shape) == 2 else (w.shape[0], 1, w.shape[2])
        if len(operands) == 3 and tensor(operands, 2).shape != one:
            raise ValueError(f"linear: bias {tensor(operands, 2).shape} does not fit weight {w.shape}")
        return [TensorType(joined_visibility(operands), "float", shape)]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        product = np.matmul(operands[0], operands[1])
        return np.asarray(product + operands[2] if len(operands) == 3 else product)


@register
class Embedding(TensorOperation):
    """Rows of party 0's table [v, d] at party 1's ids [..]: [.., d]."""

    name = "embedding"

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 2)
        ids, table = tensor(operands, 0), tensor(operands, 1)
        if ids.dtype != "int" or len(table.shape) != 2:
            raise ValueError("embedding needs integer ids and a table of rank 2")
        return [TensorType(joined_visibility(operands), "float", (*ids.shape, table.shape[1]))]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        return np.asarray(operands[1][operands[0]])


@register
class Softmax(TensorOperation):
    """Softmax over the last axis of x; `keep` (0 or 1, broadcastable to x) excludes positions where it is 0.

    `empty_rows` says what a row without any kept position means: `zero` (the exporters' IsNaN/Where guard),
    `uniform` (1/n everywhere: a fill that replaces or absorbs every score), `scores` (softmax of the unmasked
    scores: the same number subtracted from all), or `refuse` (the client's program refuses such an input).
    """

    name = "softmax"
    required = {"empty_rows": str}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1, 2)
        x = tensor(operands, 0)
        if len(operands) == 2 and broadcast(x.shape, tensor(operands, 1).shape) != x.shape:
            raise ValueError("softmax: keep does not broadcast to x")
        if attributes["empty_rows"] not in EMPTY_ROWS:
            raise ValueError(f"softmax: empty_rows is none of {', '.join(EMPTY_ROWS)}")
        return [TensorType(joined_visibility(operands), "float", x.shape)]

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        x = operands[0].astype(np.float64)
        keep = cls.kept(x.shape, operands[1] if len(operands) == 2 else np.ones(()), attributes)
        top = np.where(keep, x, -np.inf).max(axis=-1, keepdims=True)
        exponential = np.where(
            keep, np.exp(np.where(keep, x - np.where(np.isfinite(top), top, 0.0), 0.0)), 0.0
        )
        if attributes["empty_rows"] == "uniform":
            exponential = np.where(keep.any(axis=-1, keepdims=True), exponential, 1.0)
        total = exponential.sum(axis=-1, keepdims=True)
        return np.asarray(exponential / np.where(total == 0.0, 1.0, total))

    @staticmethod
    def kept(shape: tuple[int, ...], keep: np.ndarray, attributes: Attributes) -> np.ndarray:
        """The positions that scores count at, as truth values of this shape."""
        kept = np.broadcast_to(keep, shape) != 0
        if attributes["empty_rows"] == "scores":
            kept = kept | ~kept.any(axis=-1, keepdims=True)
        return np.asarray(kept)


class Normalization(TensorOperation):
    """Normalisation over the last axis."""

    required = {"epsilon": float}
    parameters = 0

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 1, 1 + cls.parameters)
        x = tensor(operands, 0)
        for i in range(1, len(operands)):
            if tensor(operands, i).shape != (x.shape[-1],):
                raise ValueError(f"{cls.name}: parameter of shape {tensor(operands, i).shape} for {x.shape}")
        return [TensorType(joined_visibility(operands), "float", x.shape)]


@register
class LayerNorm(Normalization):
    """(x - mean) / sqrt(variance + epsilon) [* gain [+ bias]] over the last axis."""

    name = "layer_norm"
    parameters = 2

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        x = operands[0].astype(np.float64)
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        y = centred / np.sqrt(variance + float(attributes["epsilon"]))  # type: ignore[arg-type]
        y = y * operands[1] if len(operands) > 1 else y
        return np.asarray(y + operands[2] if len(operands) > 2 else y)


@register
class RmsNorm(Normalization):
    """x / sqrt(mean(x^2) + epsilon) [* gain] over the last axis."""

    name = "rms_norm"
    parameters = 1

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        x = operands[0].astype(np.float64)
        y = x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + float(attributes["epsilon"]))  # type: ignore[arg-type]
        return np.asarray(y * operands[1] if len(operands) > 1 else y)


@register
class L2Normalize(Normalization):
    """x / max(||x||_2, epsilon) over the last axis."""

    name = "l2_normalize"

    @classmethod
    def evaluate(cls, operands: Arrays, attributes: Attributes) -> np.ndarray:
        x = operands[0].astype(np.float64)
        norm = np.sqrt(np.square(x).sum(axis=-1, keepdims=True))
        return np.asarray(x / np.maximum(norm, float(attributes["epsilon"])))  # type: ignore[arg-type]
