"""What a mixture will cost, from the compiler's prices: without weights, so for any size.

Rounds and bytes of a price are those of a run with nominal ranges; calibrated ones differ by a few percent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpcc.compiler.choose.experts.choose import Option, choose_experts
from mpcc.compiler.choose.experts.request import Capacity, ExpertsRequest
from mpcc.compiler.cost.network import NETWORKS
from mpcc.ir.program import Builder, Program, Stage
from mpcc.passes.experts.layout import DISPATCH
from mpcc.passes.lower import Formats

RING_BITS = 52  # of the linear layers here


@dataclass(frozen=True)
class Mixture:
    """T tokens with k of E experts each; a gated expert has two matrices of d x h before its activation."""

    tokens: int
    experts: int
    top_k: int
    width: int
    hidden: int
    activation: str
    gated: bool = False

    def program(self) -> Program:
        """A `moe` operation on secret logits and tokens; its weights are zeros without memory."""
        builder = Builder("mixture", Stage.TENSOR)
        experts, width, hidden = self.experts, self.width, self.hidden
        inner = hidden * (2 if self.gated else 1)
        operands = [
            builder.emit("input", name=name, visibility="secret", dtype="float", shape=(self.tokens, size))
            for name, size in (("logits", experts), ("x", width))
        ]
        shapes = ((experts, width, inner), (experts, hidden, width), (experts, inner), (experts, width))
        for index, shape in enumerate(shapes):
            name = f"weight/{index}"
            builder.program.constants[name] = np.broadcast_to(np.float32(0), shape)
            operands.append(
                builder.emit("constant", name=name, visibility="party0", dtype="float", shape=shape)
            )
        builder.program.outputs["y"] = builder.emit(
            "moe",
            *operands,
            top_k=self.top_k,
            activation=self.activation,
            gated=self.gated,
            normalised=False,
            capacity=0,
            claims="first",
        )
        return builder.program

    def options(self, factor: float) -> list[Option]:
        """Every layout, the cheapest on the LAN first; dispatch has `factor` times an even load's slots."""
        request = ExpertsRequest(DISPATCH, Capacity(factor, relative=True))
        (choice,) = choose_experts(self.program(), request, Formats(), NETWORKS["lan"])
        return sorted((choice.taken, *choice.others), key=lambda option: option.price.cost)

    def option(self, layout: str, factor: float) -> Option:
        """Of one kind, the cheapest."""
        return next(option for option in self.options(factor) if option.layout.kind == layout)


def weights_bytes(tokens: int, width: int, hidden: int) -> int:
    """One way, of selecting a chosen expert's two matrices for every token: with a dealer
    each of their 2dh elements is opened by both parties for each token, however many experts there are.
    """
    return tokens * 2 * width * hidden * RING_BITS // 8
