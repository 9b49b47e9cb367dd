"""Mixtures of experts as tensor-stage programs, with the ranges of their values on an input."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpcc.ir.program import Builder, Value
from mpcc.passes.experts.expand import expand_experts, shape_of
from mpcc.passes.experts.layout import Layout
from tests.passes.tensor_programs import Lowered, constant, lowered

PLAIN = {"activation": "gelu", "gated": False, "normalised": False, "capacity": 0, "claims": "first"}


def columns(builder: Builder, value: Value, start: int, stop: int) -> Value:
    shape = shape_of(value)
    starts, stops = (*(0,) * (len(shape) - 1), start), (*shape[:-1], stop)
    return builder.emit("slice", value, starts=starts, stops=stops, steps=(1,) * len(shape))


class Mixture:
    """A `moe` operation with random weights; its operand holds logits and x side by side."""

    def __init__(self, experts: int, width: int, inner: int, biases: bool = True, **attributes: Any) -> None:
        self.experts, self.attributes = experts, {**PLAIN, **attributes}
        generator = np.random.default_rng(experts * width * inner)
        columns = inner * (2 if self.attributes["gated"] else 1)
        shapes: list[tuple[int, ...]] = [(experts, width, columns), (experts, inner, width)]
        shapes += [(experts, columns), (experts, width)] if biases else []
        scales = (width**-0.5, inner**-0.5, 1.0, 1.0)
        self.weights = [
            (generator.normal(size=shape) * scale).astype(np.float32)
            for shape, scale in zip(shapes, scales, strict=False)
        ]

    def __call__(self, builder: Builder, operand: Value) -> Value:
        logits = columns(builder, operand, 0, self.experts)
        x = columns(builder, operand, self.experts, shape_of(operand)[-1])
        weights = [constant(builder, w) for w in self.weights]
        return builder.emit("moe", logits, x, *weights, hint="moe", onnx_nodes=("moe",), **self.attributes)

    def under(self, layout: Layout, x: np.ndarray) -> Lowered:
        """Lowered with the layout, calibrated on x [.., T, E + d]."""
        return lowered(self, x, rewrite=lambda program: expand_experts(program, {"moe": layout}))
