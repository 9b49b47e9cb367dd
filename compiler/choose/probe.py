"""What a candidate costs and how far off it is: the operation alone, lowered and evaluated as a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mpcc.compiler.choose.alone import OUTPUT, READER, WIDE, Alone, part
from mpcc.compiler.choose.nodes import Node
from mpcc.compiler.choose.price import Price, price_of
from mpcc.compiler.cost.network import Network
from mpcc.compiler.simulate import evaluate, ring
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Program
from mpcc.ir.types import Range
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.plan import Used
from mpcc.passes.assign_rings import assign_rings
from mpcc.passes.lower import Formats, lower
from mpcc.passes.lower.context import ShareOf
from mpcc.passes.remove_dead import remove_dead
from mpcc.runtime.protocols import protocols
from mpcc.runtime.ring import I64, decode
from mpcc.runtime.sources import Sources

Arrays = dict[str, np.ndarray]


@dataclass
class Probes:
    """Lowers nodes of one program alone. `ranges` and `internals` are calibrated and widened."""

    program: Program
    ranges: dict[str, Range]
    internals: dict[tuple[str, str], Range]
    formats: Formats
    network: Network
    _prices: dict[tuple[object, ...], tuple[Price, Used | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._alone = Alone(self.program)
        parts = {part(name, party): extent for name, extent in self.ranges.items() for party in (0, 1)}
        self._ranges = {**self.ranges, **parts, READER: WIDE}
        self._fractions = self._found_fractions()

    def price(self, node: Node, approximation: Approximation | None) -> tuple[Price, Used | None]:
        """The cost, and what really computes the operation. Raises MpccError where it cannot.

        `approximation` None is the lowering's own.
        """
        key = (*self._key(node), approximation)
        if key not in self._prices:
            lowered, used = self._lower(self._alone.in_place(node), node, approximation)
            self._prices[key] = price_of(lowered, self.network).minus(self._rest(node)), used
        return self._prices[key]

    def error(
        self, node: Node, approximation: Approximation | None, samples: Sequence[Arrays]
    ) -> list[np.ndarray]:
        """The fixed-point result minus the exact one at the site, on each sample's operands."""
        lowered, _ = self._lower(self._alone.operation(node, samples[0]), node, approximation)
        differences = []
        for sample in samples:
            inputs = dict(sample)
            for value in node.operands:
                inputs[part(value.name, 0)] = sample[value.name]
                inputs[part(value.name, 1)] = np.zeros_like(sample[value.name])
            constants = lowered.constants
            found = evaluate(lowered, Sources(inputs, constants, constants), _plain)[OUTPUT]
            exact = node.exact(sample)
            result = decode(found, ring(lowered.outputs[OUTPUT]).fraction).reshape(exact.shape)
            differences.append(result - exact)
        return differences

    def _found_fractions(self) -> dict[str, int]:
        """Fraction bits of the values where lowering takes its own approximations throughout."""
        shares: dict[str, ShareOf] = {}
        try:
            lowered = lower(self.program, self.ranges, self.internals, {}, self.formats, shares)
        except MpccError:  # where a node has none, the others are still compared
            return {}
        fractions = {v.name: ring(v).fraction for o in lowered.operations for v in o.results}
        return {name: fractions[known.share] for name, known in shares.items()}

    def _lower(
        self, program: Program, node: Node, approximation: Approximation | None
    ) -> tuple[Program, Used | None]:
        """Not verified: the whole program is, once it is chosen."""
        used: list[Used] = []
        (first, *_) = (v.name for o in program.operations for v in o.results if v.name in self.ranges)
        usual = self.formats.activation + self.formats.weight
        formats = replace(self.formats, table=self._fractions.get(first, usual))
        plan = {node.value: approximation} if approximation else {}
        lowered = lower(
            program, self._ranges, self.internals, {OUTPUT: "party1"}, formats, plan=plan, used=used
        )
        return assign_rings(remove_dead(lowered)), used[0] if used else None

    def _rest(self, node: Node) -> Price:
        """What the program around the operation costs."""
        key = ("rest", *self._key(node))
        if key not in self._prices:
            argument, free = (self._free_price(p, node) for p in self._alone.arguments(node))
            around = self._free_price(self._alone.around(node), node)
            self._prices[key] = around.minus(free.minus(argument)), None
        return self._prices[key][0]

    def _free_price(self, program: Program, node: Node) -> Price:
        return price_of(self._lower(program, node, None)[0], self.network)

    def _key(self, node: Node) -> tuple[object, ...]:
        """What the cost depends on: two nodes of equal keys cost the same."""
        operation = node.operation
        layer = self._alone.layer_before(node)
        before = layer.operands[:2] if layer else ()
        names = (*(v.name for v in (*before, *node.operands)), operation.result.name, node.site.name)
        inside = tuple((q, r) for (name, q), r in self.internals.items() if name == node.value)
        return (
            operation.kind,
            tuple(sorted(operation.attributes.items())),
            tuple(v.type for v in (*before, *node.operands)),
            node.readers,
            tuple(self.ranges.get(name) for name in names),
            inside,
        )


def _plain(operation: Operation, operands: list[I64]) -> I64:
    return protocols[operation.kind].plain(operation, operands)
