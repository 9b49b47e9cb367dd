"""A mixture of experts alone, with nominal ranges: what its layouts are priced on.

Weights are zeros without memory, ranges are the same for every model, the alpha of a gate is left out, which
weights absorb. So a price depends on shapes, formats and network only. It must: the choice is public, and
whoever knows the architecture shall be able to make it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mpcc.compiler.choose.price import Price, price_of
from mpcc.compiler.cost.network import Network
from mpcc.ir.dialects import definition
from mpcc.ir.dialects.base import VIEW_ATTRIBUTES
from mpcc.ir.program import Attributes, Builder, Operation, Program, Stage
from mpcc.ir.types import Range
from mpcc.passes.assign_rings import assign_rings
from mpcc.passes.experts.expand import expand_experts, shape_of
from mpcc.passes.experts.layout import Layout
from mpcc.passes.lower import Formats, lower
from mpcc.passes.remove_dead import remove_dead

OUTPUT = "y"
VALUES, UNIT = Range(-16.0, 16.0), Range(0.0, 1.0)
SELECTIONS = ("top_k", "keep_within", "assign_slots", "softmax")
PRODUCTS = (*VIEW_ATTRIBUTES, "select", "mul")  # of numbers within 0 and 1, and within 0 and 1 again


@dataclass
class Nominal:
    """Prices of layouts and routers; equal ones are lowered once."""

    formats: Formats
    network: Network
    attributes: Attributes = field(default_factory=dict)  # of the whole program: where correlations come from
    _prices: dict[tuple[object, ...], Price] = field(default_factory=dict)

    def layout(self, operation: Operation, layout: Layout) -> Price:
        """Of a `moe` operation under the layout, router included."""
        shapes = tuple(shape_of(v) for v in operation.operands)
        attributes = {n: a for n, a in operation.attributes.items() if n != "alpha"}
        key = (shapes, tuple(sorted(attributes.items())), layout)
        if key not in self._prices:
            alone = _alone("moe", shapes, 2, attributes)
            self._prices[key] = self._price(expand_experts(alone, {OUTPUT: layout}))
        return self._prices[key]

    def router(self, logits: tuple[int, ...], count: int, group: int) -> Price:
        """Of the selection of the largest `count` of logits [.., E], compared in groups."""
        key = (logits, count, group)
        if key not in self._prices:
            self._prices[key] = self._price(_alone("top_k", (logits,), 1, {"k": count, "group": group}))
        return self._prices[key]

    def _price(self, program: Program) -> Price:
        """Up to the result as a share: no reveal."""
        program.attributes = dict(self.attributes)
        ranges, internals = nominal_ranges(program)
        lowered = lower(program, ranges, internals, {OUTPUT: "party1"}, self.formats)
        assigned = assign_rings(remove_dead(lowered))
        computed = [o for o in assigned.operations if o.kind != "reveal"]
        return price_of(replace(assigned, operations=computed, outputs={}), self.network)


def nominal_ranges(program: Program) -> tuple[dict[str, Range], dict[tuple[str, str], Range]]:
    """Of values by name, and of what operations see inside by (name, quantity)."""
    ranges: dict[str, Range] = {}
    internals: dict[tuple[str, str], Range] = {}
    for operation in program.operations:
        name = operation.result.name
        within = operation.kind in PRODUCTS and all(ranges[v.name] == UNIT for v in operation.operands)
        ranges[name] = UNIT if within or operation.kind in SELECTIONS else VALUES
        internals[name, "input"] = VALUES
        if operation.kind == "softmax":
            internals |= {(name, quantity): extent for quantity, extent in _softmax(operation).items()}
    return ranges, internals


def _softmax(operation: Operation) -> dict[str, Range]:
    spread = VALUES.high - VALUES.low
    return {
        "scores": VALUES,
        "row_max": VALUES,
        "row_max_minus_mean": Range(0.0, spread),
        "score_minus_max": Range(-spread, 0.0),
        "row_sum": Range(1.0, float(shape_of(operation.result)[-1])),
    }


def _alone(kind: str, shapes: Sequence[tuple[int, ...]], secrets: int, attributes: Attributes) -> Program:
    """One operation on `secrets` shares, each the sum of an input of either party, and on zeros."""
    builder = Builder(f"{kind} alone", Stage.TENSOR)
    operands = []
    for index, shape in enumerate(shapes):
        if index < secrets:
            parts = [
                builder.emit("input", name=f"{party}/{index}", visibility=party, dtype="float", shape=shape)
                for party in ("party0", "party1")
            ]
            operands.append(builder.emit("add", *parts))
            continue
        name = f"weight/{index}"
        builder.program.constants[name] = np.broadcast_to(np.float32(0), shape)
        operands.append(builder.emit("constant", name=name, visibility="party0", dtype="float", shape=shape))
    (result,) = definition(Stage.TENSOR, kind).infer([v.type for v in operands], attributes)
    builder.program.outputs[OUTPUT] = builder.append(
        kind, operands, attributes, [result], (), [OUTPUT]
    ).result
    return builder.program
