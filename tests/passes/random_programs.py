"""Random small tensor-stage programs: two to eight operations on shapes of rank 0 to 4."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from mpcc.ir.dialects import definition
from mpcc.ir.program import Builder, Program, Value
from tests.passes.tensor_programs import client, constant

Shape = tuple[int, ...]
Chosen = TypeVar("Chosen")
MAX_SIZE = 400
NOISE = 2.0**-14  # what an operation's rounding adds, absolutely
RELATIVE_NOISE = 1e-4
MOVES = ("reshape", "transpose", "expand", "slice", "take", "concat")


class RandomProgram:
    """A seed's program: `x` is its first input, `others` are more; `make` builds it, for `lowered`."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        rank = int(self._random.integers(1, 5))
        shape = (*map(int, self._random.integers(1, 5, size=rank - 1)), self._pick([1, 2, 3, 4, 8, 16]))
        self.x = self._random.normal(size=shape) * self._pick([0.05, 1.0, 3.0, 10.0]) + self._pick(
            [0.0, 1.0, -2.0]
        )
        self.others: dict[str, np.ndarray] = {}
        self._pool: list[Value] = []

    def make(self, builder: Builder, x: Value) -> Value:
        self._builder, self._pool = builder, [x]
        for _ in range(int(self._random.integers(2, 9))):
            value = self._pool[int(self._random.integers(max(0, len(self._pool) - 3), len(self._pool)))]
            result = self._pick(RULES)(self, value)
            if result is not None and 0 < math.prod(_shape(result)) <= MAX_SIZE:
                self._pool.append(result)
        return self._pool[-1]

    def _pick(self, choices: list[Chosen]) -> Chosen:
        return choices[int(self._random.integers(len(choices)))]

    def _emit(self, kind: str, *operands: Value, **attributes: object) -> Value:
        return self._builder.emit(kind, *operands, **attributes)  # type: ignore[arg-type]

    def _constant(self, array: np.ndarray) -> Value:
        return constant(self._builder, array, self._pick(["public", "party0"]))

    def _broadcastable(self, shape: Shape) -> np.ndarray:
        """An array that broadcasts to the shape, sometimes of one number everywhere or of a higher rank."""
        rank = int(self._random.integers(0, len(shape) + 1))
        part = tuple(d if self._random.random() < 0.6 else 1 for d in shape[len(shape) - rank :])
        if self._random.random() < 0.15 and len(shape) < 4:
            part = (1,) * (len(shape) + 1)
        if self._random.random() < 0.3:
            return np.full(part, self._pick([0.0, 1.0, 0.5, -4.0, 0.1]))
        return self._random.normal(size=part) * self._pick([0.01, 1.0, 30.0])

    def _fitting(self, fits: Callable[[Shape], bool]) -> Value | None:
        values = [v for v in self._pool if fits(_shape(v))]
        return self._pick(values) if values else None

    def unary(self, x: Value) -> Value:
        kind = self._pick(["negate", "square", "relu", "tanh", "sigmoid", "erf", "silu", "gelu"])
        attributes = {"approximate": self._pick(["none", "tanh"])} if kind == "gelu" else {}
        return self._emit(kind, x, **attributes)

    def binary(self, x: Value) -> Value | None:
        other = self._fitting(lambda s: _broadcasts(s, _shape(x)))
        return other and self._emit(self._pick(["add", "sub", "mul"]), x, other)

    def with_constant(self, x: Value) -> Value:
        kind, other = self._pick(["add", "sub", "mul"]), self._constant(self._broadcastable(_shape(x)))
        return self._emit(kind, *((x, other) if self._random.random() < 0.6 else (other, x)))

    def with_viewed_constant(self, x: Value) -> Value:
        flat = self._constant(self._random.normal(size=math.prod(_shape(x))))
        return self._emit(self._pick(["add", "sub", "mul"]), x, self._emit("reshape", flat, shape=_shape(x)))

    def with_client(self, x: Value) -> Value:
        name = f"in{len(self.others)}"
        self.others[name] = self._random.normal(size=_shape(x))
        return self._emit(self._pick(["add", "mul"]), client(self._builder, name, self.others[name]), x)

    def _positive(self, x: Value) -> Value:
        epsilon = self._constant(np.asarray(self._pick([0.01, 0.5, 3.0])))
        return self._emit("add", self._emit("square", x), epsilon)

    def power(self, x: Value) -> Value:
        return self._emit(self._pick(["reciprocal", "rsqrt", "sqrt"]), self._positive(x))

    def quotient(self, x: Value) -> Value:
        kind = self._pick(["secret", "divisor", "dividend"])
        if kind == "divisor":
            divisor = np.abs(self._broadcastable(_shape(x))) + 0.1
            return self._emit("div", x, self._constant(divisor * self._pick([1.0, -5.0])))
        dividend = x if kind == "secret" else self._constant(self._broadcastable(_shape(x)))
        return self._emit("div", dividend, self._positive(x))

    def linear(self, x: Value) -> Value | None:
        if not _shape(x):
            return None
        inner, width = _shape(x)[-1], int(self._random.integers(1, 9))
        weight = constant(self._builder, self._random.normal(size=(inner, width)) / math.sqrt(inner))
        bias = (
            [constant(self._builder, self._random.normal(size=width))] if self._random.random() < 0.5 else []
        )
        return self._emit("linear", x, weight, *bias)

    def matmul(self, x: Value) -> Value | None:
        shape = _shape(x)
        if len(shape) < 2:
            return None
        kind = self._pick(["secret", "left", "right"])
        if kind == "left":
            return self._emit("matmul", self._constant(self._random.normal(size=(3, shape[-2]))), x)
        if kind == "right":
            return self._emit(
                "matmul", x, self._constant(self._random.normal(size=(*shape[:-2], shape[-1], 2)))
            )
        other = self._fitting(
            lambda s: len(s) >= 2 and s[-1] == shape[-1] and _broadcasts(s[:-2], shape[:-2])
        )
        return other and self._emit("matmul", x, self._swapped(other))

    def _swapped(self, x: Value) -> Value:
        rank = len(_shape(x))
        return self._emit("transpose", x, permutation=(*range(rank - 2), rank - 1, rank - 2))

    def attention(self, x: Value) -> Value | None:
        if len(_shape(x)) < 2:
            return None
        scores = self._emit("matmul", x, self._swapped(x))
        return self._emit("matmul", self._emit("softmax", scores, empty_rows="zero"), x)

    def softmax(self, x: Value) -> Value | None:
        if not _shape(x):
            return None
        kind = self._pick(["plain", "constant", "client"])
        if kind == "plain":
            return self._emit("softmax", x, empty_rows="refuse")
        keep = self._random.integers(0, 2, size=_shape(x)).astype(np.float64)
        keep[..., 0] = 1
        if kind == "constant":
            return self._emit("softmax", x, self._constant(keep), empty_rows="refuse")
        name = f"in{len(self.others)}"
        self.others[name] = keep
        return self._emit("softmax", x, client(self._builder, name, keep), empty_rows="refuse")

    def norm(self, x: Value) -> Value | None:
        if not _shape(x):
            return None
        width, kind = _shape(x)[-1], self._pick(["layer_norm", "rms_norm", "l2_normalize"])
        most = {"layer_norm": 2, "rms_norm": 1, "l2_normalize": 0}[kind]
        parameters = [
            self._random.normal(size=width) + 1 for _ in range(int(self._random.integers(most + 1)))
        ]
        epsilon = self._pick([1e-5, 1e-12]) if width > 1 else 1e-5
        return self._emit(kind, x, *(constant(self._builder, p) for p in parameters), epsilon=epsilon)

    def reduction(self, x: Value) -> Value:
        rank = len(_shape(x))
        axes = tuple(
            sorted(map(int, self._random.choice(rank, self._random.integers(rank + 1), replace=False)))
        )
        keepdims = bool(self._random.integers(2))
        return self._emit(self._pick(["reduce_sum", "reduce_mean"]), x, axes=axes, keepdims=keepdims)

    def reshape(self, x: Value) -> Value:
        size = math.prod(_shape(x))
        return self._emit("reshape", x, shape=self._pick([(size,), (1, size), (size, 1)]))

    def move(self, x: Value) -> Value | None:
        shape = _shape(x)
        if not shape:
            return None
        kind, axis = (
            self._pick(["transpose", "expand", "slice", "take"]),
            int(self._random.integers(len(shape))),
        )
        if kind == "transpose":
            return self._emit(kind, x, permutation=tuple(map(int, self._random.permutation(len(shape)))))
        if kind == "expand":
            return self._emit(kind, x, shape=(2, *shape)) if len(shape) < 4 else None
        if kind == "take":
            return self._emit(
                kind, x, axis=axis, indices=tuple(map(int, self._random.integers(0, shape[axis], 3)))
            )
        starts, steps = [0] * len(shape), [1] * len(shape)
        stops = list(shape)
        starts[axis], stops[axis], steps[axis] = self._pick(
            [(shape[axis] - 1, -1, -1), (shape[axis] // 2, shape[axis], 1)]
        )
        return self._emit(kind, x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))

    def concat(self, x: Value) -> Value | None:
        shape = _shape(x)
        if not shape:
            return None
        axis = int(self._random.integers(len(shape)))
        other = self._fitting(
            lambda s: len(s) == len(shape) and s[:axis] + s[axis + 1 :] == shape[:axis] + shape[axis + 1 :]
        )
        if other is None or self._random.random() < 0.5:
            other = self._constant(self._random.normal(size=shape))
        return self._emit("concat", other, x, axis=axis)


RULES = [rule for name, rule in vars(RandomProgram).items() if not name.startswith("_") and name != "make"]


def _shape(value: Value) -> Shape:
    return value.type.shape  # type: ignore[union-attr]


def _broadcasts(a: Shape, b: Shape) -> bool:
    try:
        return len(np.broadcast_shapes(a, b)) <= 4
    except ValueError:
        return False


def conditioned_error(program: Program, inputs: dict[str, np.ndarray], expected: np.ndarray) -> float:
    """How far float evaluation strays when every result carries a rounding of the formats' size."""
    worst = 0.0
    for seed in range(4):
        random = np.random.default_rng(seed)
        values: dict[Value, np.ndarray] = {}
        for o in program.operations:
            if o.kind in ("input", "constant"):
                source = inputs if o.kind == "input" else program.constants
                exact, noise = (
                    np.asarray(source[str(o.attributes["name"])], dtype=np.float64),
                    float(o.attributes["name"] == "x"),
                )
            else:
                operands = [values[v] for v in o.operands]
                exact = definition(program.stage, o.kind).evaluate(operands, o.attributes)  # type: ignore[attr-defined]
                noise = float(o.kind not in MOVES)
            size = np.maximum(NOISE, RELATIVE_NOISE * np.abs(exact)) * noise
            values[o.result] = exact + random.choice([-1, 1], size=exact.shape) * size
        worst = max(worst, float(np.abs(values[program.outputs["y"]] - expected).max()))
    return worst
