"""Tensor-stage programs with mixtures of experts, whose weights may take no memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpcc.ir.program import Builder, Program, Stage

PLAIN = {
    "top_k": 1, "activation": "gelu", "gated": False, "normalised": False, "capacity": 0, "claims": "first"
}  # fmt: skip


def mixtures(
    layers: int = 1,
    tokens: int = 16,
    experts: int = 8,
    width: int = 32,
    hidden: int = 64,
    weight: float = 0.0,
    **attributes: Any,
) -> Program:
    """`layers` independent `moe` operations y0, y1, .. on inputs; every weight is `weight`."""
    attributes = {**PLAIN, **attributes}
    builder = Builder("mixtures", Stage.TENSOR)
    columns = hidden * (2 if attributes["gated"] else 1)
    shapes = ((experts, width, columns), (experts, hidden, width), (experts, columns), (experts, width))
    for layer in range(layers):
        inputs = [
            builder.emit("input", name=f"{name}{layer}", visibility="party1", dtype="float", shape=shape)
            for name, shape in (("logits", (tokens, experts)), ("x", (tokens, width)))
        ]
        weights = []
        for index, shape in enumerate(shapes):
            name = f"w{layer}.{index}"
            builder.program.constants[name] = np.broadcast_to(np.float32(weight), shape)
            weights.append(
                builder.emit("constant", name=name, visibility="party0", dtype="float", shape=shape)
            )
        node = (f"/layer.{layer}/moe/MoE",)
        name = f"y{layer}"
        builder.program.outputs[name] = builder.emit(
            "moe", *inputs, *weights, onnx_nodes=node, hint=name, **attributes
        )
    return builder.program
