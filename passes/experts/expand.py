"""Rewrites every `moe` operation into the operations of its layout; everything else stays as it is.

Router: the exact top k as a selection of 0 and 1, and the gates. Experts: see `Layout`. What the model's
result was called, the last operation is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mpcc.ir.dialects.base import integer
from mpcc.ir.dialects.experts import gate_numbers
from mpcc.ir.program import Attribute, Builder, Operation, Program, Stage, Value
from mpcc.ir.types import TensorType, Visibility
from mpcc.passes.experts.layout import ALL, DISPATCH, Layout

GELUS = {"gelu": "none", "gelu_tanh": "tanh"}


def expand_experts(program: Program, layouts: Mapping[str, Layout]) -> Program:
    """The program without `moe` operations; `layouts` by the names of their results."""
    builder = Builder(program.name, Stage.TENSOR)
    builder.program.attributes = dict(program.attributes)
    builder.program.constants = dict(program.constants)
    values: dict[Value, Value] = {}
    for operation in program.operations:
        operands = [values[v] for v in operation.operands]
        if operation.kind == "moe":
            layout = layouts[operation.result.name]
            values[operation.result] = Expansion(builder, operation, operands, layout).result()
            continue
        added = builder.append(
            operation.kind,
            operands,
            operation.attributes,
            [v.type for v in operation.results],
            operation.onnx_nodes,
            [v.name for v in operation.results],
        )
        values.update(zip(operation.results, added.results, strict=True))
    builder.program.outputs = {name: values[v] for name, v in program.outputs.items()}
    return builder.program


def shape_of(value: Value) -> tuple[int, ...]:
    assert isinstance(value.type, TensorType)
    return value.type.shape


@dataclass
class Expansion:
    """One `moe` operation under its layout. Shapes as in ir/dialects/experts.py."""

    builder: Builder
    operation: Operation
    operands: list[Value]
    layout: Layout
    parts: int = 0

    def __post_init__(self) -> None:
        attributes = self.operation.attributes
        self.logits, self.x, self.w_in, self.w_out = self.operands[:4]
        self.b_in: Value | None
        self.b_out: Value | None
        self.b_in, self.b_out = self.operands[4:] or (None, None)
        self.gated = bool(attributes["gated"])
        self.activation = str(attributes["activation"])
        self.choices = integer(attributes, "top_k")
        self.alpha, self.beta, self.limit = gate_numbers(attributes)
        if self.gated and self.alpha != 1.0:
            self._scale_gate()

    # ---- emission

    def emit(self, kind: str, *operands: Value, part: str | None = None, **attributes: Attribute) -> Value:
        self.parts += 1  # names of their own, as the numbers may be names of later operations
        hint = f"{self.operation.result.name}.{part or self.parts}"
        return self.builder.emit(
            kind, *operands, onnx_nodes=self.operation.onnx_nodes, hint=hint, **attributes
        )

    def reshape(self, value: Value, *shape: int) -> Value:
        return value if shape_of(value) == shape else self.emit("reshape", value, shape=shape)

    def swap(self, value: Value, first: int, second: int) -> Value:
        """The value with two axes exchanged, counted from the end."""
        axes = list(range(len(shape_of(value))))
        axes[first], axes[second] = axes[second], axes[first]
        return self.emit("transpose", value, permutation=tuple(axes))

    def constant(self, array: np.ndarray, who: Visibility, part: str) -> Value:
        name = f"{self.operation.result.name}.{part}"
        self.builder.program.constants[name] = array
        return self.emit(
            "constant", part=part, name=name, visibility=str(who), dtype="float", shape=array.shape
        )

    def public(self, number: float, part: str) -> Value:
        return self.constant(np.array(number, dtype=np.float32), Visibility.PUBLIC, part)

    def array(self, value: Value) -> np.ndarray:
        """The array of a constant operand."""
        producer = self.builder.program.producers()[value]
        return self.builder.program.constants[str(producer.attributes["name"])]

    def _scale_gate(self) -> None:
        """silu(alpha g) / alpha: the gate's columns take alpha, the second layer 1 / alpha."""
        half = shape_of(self.w_in)[-1] // 2
        factor = np.where(np.arange(2 * half) < half, self.alpha, 1.0).astype(np.float32)
        self.w_in = self.constant(self.array(self.w_in) * factor, Visibility.PARTY0, "w_in")
        self.w_out = self.constant(
            self.array(self.w_out) / np.float32(self.alpha), Visibility.PARTY0, "w_out"
        )
        if self.b_in is not None:
            self.b_in = self.constant(self.array(self.b_in) * factor, Visibility.PARTY0, "b_in")

    # ---- the parts

    def result(self) -> Value:
        logits, group = self.logits, self.layout.group
        chosen = self.emit("top_k", logits, part="selection", k=self.choices, group=group)
        gates = self.gates(chosen)
        if self.layout.kind == DISPATCH:
            return self.gated_sum(self.dispatched(chosen, gates), gates)
        capacity = integer(self.operation.attributes, "capacity")
        if 0 < capacity < shape_of(self.x)[-2] * self.choices:
            scores = self.scores(gates, str(self.operation.attributes["claims"]))
            chosen = self.emit("keep_within", chosen, *scores, part="kept", capacity=capacity)
        if self.layout.kind == ALL:
            return self.gated_sum(self.all_experts(chosen), gates)
        return self.outer(chosen, gates)

    def gates(self, chosen: Value) -> Value | None:
        """[.., T, k, 1], None where they are 1."""
        normalised = bool(self.operation.attributes["normalised"])
        if normalised and self.choices == 1:
            return None
        values = self.logits
        if not normalised:
            values = self.emit("softmax", values, part="probabilities", empty_rows="zero")
        taken = self.emit("select", chosen, self.reshape(values, *shape_of(values), 1), part="gates")
        if not normalised:
            return taken
        scores = self.reshape(taken, *shape_of(taken)[:-1])
        return self.reshape(self.emit("softmax", scores, empty_rows="zero"), *shape_of(taken))

    def scores(self, gates: Value | None, claims: str) -> list[Value]:
        """What claims go by: the gates [.., T, k], or nothing."""
        if claims == "first" or gates is None:
            return []
        return [self.reshape(gates, *shape_of(gates)[:-1])]

    def hidden(self, y: Value) -> Value:
        """The activation of the first layer's result."""
        if not self.gated:
            return self.activated(y)
        half = shape_of(y)[-1] // 2
        gate, up = self.columns(y, 0, half), self.columns(y, half, 2 * half)
        if self.limit:
            gate = self.at_most(gate, self.limit * self.alpha, "gate_limit")
            up = self.at_most(up, self.limit, "limit")
            low = self.public(self.limit, "low")
            up = self.emit("sub", self.emit("relu", self.emit("add", up, low)), low)
        if self.beta:
            up = self.emit("add", up, self.public(self.beta, "beta"))
        return self.emit("mul", self.activated(gate), up)

    def columns(self, y: Value, start: int, stop: int) -> Value:
        shape = shape_of(y)
        starts, stops = (0,) * len(shape[:-1]), shape[:-1]
        return self.emit("slice", y, starts=(*starts, start), stops=(*stops, stop), steps=(1,) * len(shape))

    def at_most(self, x: Value, limit: float, part: str) -> Value:
        top = self.public(limit, part)
        return self.emit("sub", top, self.emit("relu", self.emit("sub", top, x)))

    def activated(self, x: Value) -> Value:
        if self.activation == "identity":
            return x
        if self.activation in GELUS:
            return self.emit("gelu", x, part="activated", approximate=GELUS[self.activation])
        return self.emit(self.activation, x, part="activated")

    def gated_sum(self, y: Value, gates: Value | None) -> Value:
        """Results of the choices [.., T, k, d] to [.., T, d]."""
        *lead, _, width = shape_of(y)
        if self.choices == 1:
            flat = self.reshape(y, *lead, width)
            if gates is None:
                return self.named(flat)
            return self.named(self.emit("mul", flat, self.reshape(gates, *lead, 1)))
        assert gates is not None  # normalised gates of several choices are computed
        weighted = self.emit("mul", y, gates)
        return self.named(self.emit("reduce_sum", weighted, axes=(len(lead),), keepdims=False))

    def named(self, value: Value) -> Value:
        """The value under the name of the operation's result: reports and ranges know it by that."""
        shape = shape_of(self.operation.result)
        return self.builder.emit(
            "reshape",
            value,
            onnx_nodes=self.operation.onnx_nodes,
            hint=self.operation.result.name,
            shape=shape,
        )

    # ---- the layouts

    def all_experts(self, chosen: Value) -> Value:
        """Every expert on every token: one wide first layer, then a batch of second ones."""
        experts, width, inner = shape_of(self.w_in)
        tokens = shape_of(self.x)[:-1]
        wide = self.reshape(self.swap(self.w_in, 0, 1), width, experts * inner)
        bias = [] if self.b_in is None else [self.reshape(self.b_in, experts * inner)]
        y = self.emit("linear", self.x, wide, *bias, part="inner")
        hidden = self.hidden(self.reshape(y, *tokens, experts, inner))
        swapped = self.swap(hidden, -3, -2)
        bias = [] if self.b_out is None else [self.reshape(self.b_out, experts, 1, width)]
        outputs = self.emit("linear", swapped, self.w_out, *bias, part="outputs")
        return self.emit("select", chosen, self.swap(outputs, -3, -2), part="chosen")

    def outer(self, chosen: Value, gates: Value | None) -> Value:
        """Select, then compute the chosen experts only."""
        first, second = self.layout.sides
        bias = [] if self.b_in is None else [self.b_in]
        y = self.emit("routed_linear", chosen, self.x, self.w_in, *bias, part="inner", side=first)
        hidden = self.hidden(y)
        bias = [] if self.b_out is None else [self.b_out]
        if second == "in" and self.choices > 1:
            assert gates is not None
            mixture = self.emit("mul", chosen, gates)
            return self.named(self.emit("mixture_linear", mixture, hidden, self.w_out, *bias))
        y = self.emit("routed_linear", chosen, hidden, self.w_out, *bias, part="chosen", side=second)
        return self.gated_sum(y, gates)

    def dispatched(self, chosen: Value, gates: Value | None) -> Value:
        """Tokens to slots, each expert on its own slots, and back: [.., T, k, d]."""
        *lead, tokens, width = shape_of(self.x)
        experts, count = shape_of(self.w_in)[0], self.choices
        capacity = min(self.layout.capacity, tokens * count)
        scores = self.scores(gates, self.layout.claims)
        taken = self.emit("assign_slots", chosen, *scores, part="slots", capacity=capacity)
        back = self.reshape(taken, *lead, tokens * count, experts * capacity)
        copies = self.x
        if count > 1:
            expanded = self.reshape(self.x, *lead, tokens, 1, width)
            expanded = self.emit("expand", expanded, shape=(*lead, tokens, count, width))
            copies = self.reshape(expanded, *lead, tokens * count, width)
        sent = self.emit("select", self.swap(back, -2, -1), copies, part="sent")
        sent = self.reshape(sent, *lead, experts, capacity, width)
        biases = [
            [] if b is None else [self.reshape(b, experts, 1, shape_of(b)[-1])]
            for b in (self.b_in, self.b_out)
        ]
        hidden = self.hidden(self.emit("linear", sent, self.w_in, *biases[0], part="inner"))
        outputs = self.emit("linear", hidden, self.w_out, *biases[1], part="outputs")
        outputs = self.reshape(outputs, *lead, experts * capacity, width)
        chosen_outputs = self.emit("select", back, outputs, part="chosen")
        return self.reshape(chosen_outputs, *lead, tokens, count, width)
