"""What one layer costs two parties without a dealer, for any number of experts: exact bytes and rounds of a
program on usual ranges, without weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mpcc.compiler.choose.experts.choose import cheapest, choose_experts
from mpcc.compiler.choose.experts.nominal import nominal_ranges
from mpcc.compiler.choose.experts.request import Capacity, ExpertsRequest
from mpcc.compiler.cost.making import Making, choose_extension
from mpcc.compiler.cost.model import cost_of
from mpcc.compiler.cost.network import Network
from mpcc.compiler.cost.report import compute_seconds, wire_bytes
from mpcc.ir.correlation_source import CorrelationSource, source_attributes
from mpcc.ir.program import Program
from mpcc.ir.types import Range
from mpcc.passes.assign_rings import assign_rings
from mpcc.passes.experts.expand import expand_experts
from mpcc.passes.experts.layout import DISPATCH, Layout
from mpcc.passes.lower import Formats, lower
from mpcc.passes.remove_dead import remove_dead
from tests.benchmarks.experts.predicted import Mixture

# SecMoE's (AAAI 2026).
NETWORKS = {"LAN": Network("LAN", 0.5, 1e3), "WAN": Network("WAN", 4.0, 400.0)}
NOMINAL, USUAL = 16.0, 6.0  # magnitudes of values: the compiler's prices', and of these layers with margin


@dataclass(frozen=True)
class LayerCost:
    """`online` and `made.party0`, `made.party1` are bytes that party 0 and party 1 send; `seconds` those of
    offline and online by network.
    """

    layout: str
    online: tuple[int, int]
    rounds: int
    made: Making
    seconds: dict[str, tuple[float, float]]

    @property
    def megabytes(self) -> float:
        return (sum(self.online) + self.made.party0 + self.made.party1) / 1e6


def layer_costs(mixture: Mixture, factor: float) -> dict[str, LayerCost]:
    """By kind of layout, of the one that is chosen on the LAN; dispatch has `factor` times an even load's
    slots. Router included, but for its linear layer; the result stays shared.
    """
    source = mixture.program()
    source.attributes.update(source_attributes(CorrelationSource.TWO_PARTY))
    request = ExpertsRequest(DISPATCH, Capacity(factor, relative=True))
    (choice,) = choose_experts(source, request, Formats(), NETWORKS["LAN"])
    options = sorted((choice.taken, *choice.others), key=lambda option: option.price.cost)
    kinds = {option.layout.kind for option in options}
    taken = [cheapest([option for option in options if option.layout.kind == kind]) for kind in kinds]
    return {option.layout.kind: _cost(source, option.layout) for option in taken}


def _cost(source: Program, layout: Layout) -> LayerCost:
    program = lowered(source, layout)
    choose_extension(program, NETWORKS["LAN"])
    cost = cost_of(program)
    assert cost.made is not None
    computing, wire = compute_seconds(program, cost), wire_bytes(program)
    seconds = {
        name: (cost.made.seconds_over(network), computing + network.seconds(cost.rounds, wire))
        for name, network in NETWORKS.items()
    }
    return LayerCost(layout.name, (cost.bytes_party0, cost.bytes_party1), cost.rounds, cost.made, seconds)


def lowered(source: Program, layout: Layout) -> Program:
    (name,) = (value.name for value in source.outputs.values())
    program = expand_experts(source, {name: layout})
    ranges, internals = nominal_ranges(program)
    values = {name: _usual(extent) for name, extent in ranges.items()}
    inside = {key: _usual(extent) for key, extent in internals.items()}
    (output,) = program.outputs
    assigned = assign_rings(remove_dead(lower(program, values, inside, {output: "party1"}, Formats())))
    computed = [o for o in assigned.operations if o.kind != "reveal"]
    return replace(assigned, operations=computed, outputs={})


def _usual(extent: Range) -> Range:
    """Sums of a softmax's row and numbers within 0 and 1 stay."""
    if extent.magnitude < NOMINAL or extent.low == 1.0:
        return extent
    return Range(extent.low * USUAL / NOMINAL, extent.high * USUAL / NOMINAL)
