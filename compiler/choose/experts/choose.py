"""The layout of every mixture of experts: all that compute it exactly are priced, the cheapest wins.

First the router's comparisons, which all layouts share, then the layout. Prices are of `Nominal`: they do
not depend on weights or samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mpcc.compiler.choose.experts.nominal import Nominal
from mpcc.compiler.choose.experts.request import ExpertsRequest
from mpcc.compiler.choose.price import Price
from mpcc.compiler.cost.network import Network
from mpcc.compiler.layers import layer_of, layers_by_node
from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.ir.dialects.base import integer
from mpcc.ir.dialects.experts import SIDES
from mpcc.ir.program import Operation, Program
from mpcc.passes.experts.expand import shape_of
from mpcc.passes.experts.layout import ALL, DISPATCH, OUTER, Layout
from mpcc.passes.lower import Formats

ABOUT_EQUAL = 1.1
ROUTERS = 6  # groupings that are priced: those with the fewest comparisons, and all at once


@dataclass(frozen=True)
class Mixture:
    """A `moe` operation's sizes: tokens T, experts E, choices k, widths d and h. `capacity` is the model's
    own (0: none).
    """

    tokens: int
    experts: int
    top_k: int
    width: int
    hidden: int
    gated: bool
    capacity: int
    claims: str

    @classmethod
    def of(cls, operation: Operation) -> Mixture:
        tokens, experts = shape_of(operation.operands[0])[-2:]
        _, hidden, width = shape_of(operation.operands[3])
        attributes = operation.attributes
        return cls(
            tokens,
            experts,
            integer(attributes, "top_k"),
            width,
            hidden,
            bool(attributes["gated"]),
            integer(attributes, "capacity"),
            str(attributes["claims"]),
        )

    def exact(self, layout: Layout) -> bool:
        """Whether the layout drops no choice that the model does not drop."""
        if layout.kind != DISPATCH or (layout.capacity, layout.claims) == (self.capacity, self.claims):
            return True
        return not self.capacity and layout.capacity >= self.tokens


@dataclass(frozen=True)
class Option:
    """A layout and its price, router included."""

    layout: Layout
    price: Price


@dataclass(frozen=True)
class ExpertsChoice:
    """One `moe` operation's choice. `others` are the options not taken, the cheapest first; `asked` says that
    the request left no choice of the kind.
    """

    operation: Operation
    mixture: Mixture
    layer: str
    taken: Option
    others: tuple[Option, ...]
    asked: bool

    @property
    def value(self) -> str:
        """The name of the result."""
        return self.operation.result.name

    @property
    def exact(self) -> bool:
        return self.mixture.exact(self.taken.layout)


def choose_experts(
    program: Program,
    request: ExpertsRequest,
    formats: Formats,
    network: Network,
    earlier: Mapping[str, Layout] | None = None,
) -> list[ExpertsChoice]:
    """A choice for every `moe` operation of a tensor-stage program, in its order.

    `earlier` are an earlier compilation's layouts by value, whose ranges are to be used: they stay. Raises
    MPC-C002 where a request finds no mixture, MPC-C015, MPC-C018 and MPC-C019 where it cannot be met.
    """
    operations = [o for o in program.operations if o.kind == "moe"]
    if not operations and request.kind is not None:
        raise MpccError(
            "MPC-C002",
            f"--moe {request.kind}: the model has no mixture of experts",
            remedy="leave the option out for a dense model; `--explain` says what was recognised",
        )
    layers, nominal = layers_by_node(program), Nominal(formats, network, program.attributes)
    choices = []
    with Diagnostics() as diagnostics:
        for operation in operations:
            try:
                known = (earlier or {}).get(operation.result.name)
                layer = layer_of(operation, layers)
                choices.append(_choice(nominal, operation, layer, request, known))
            except MpccError as error:
                diagnostics.collect(error)
    return choices


def _choice(
    nominal: Nominal, operation: Operation, layer: str, request: ExpertsRequest, earlier: Layout | None
) -> ExpertsChoice:
    mixture, where = Mixture.of(operation), ", ".join(operation.onnx_nodes) or operation.result.name
    group = earlier.group if earlier else _group(nominal, operation, mixture)
    layouts = candidates(mixture, group, request, where)
    allowed = [layout for layout in layouts if request.kind in (layout.kind, None) and mixture.exact(layout)]
    if request.capacity is not None:
        allowed = layouts[-1:]
    if earlier is not None:
        known = earlier in layouts and group in groupings(mixture.experts, mixture.top_k)
        if not known or (request.kind is not None and earlier not in allowed):
            raise MpccError(
                "MPC-C019",
                f"the ranges given with --ranges are of {earlier.name}, which is not what is computed here",
                where=where,
                remedy="calibrate again, or give the options of the compilation that the ranges come from",
            )
        allowed = [earlier]
    options = [Option(layout, nominal.layout(operation, layout)) for layout in layouts]
    options.sort(key=lambda option: option.price.cost)
    taken = cheapest([option for option in options if option.layout in allowed])
    others = tuple(option for option in options if option is not taken)
    return ExpertsChoice(operation, mixture, layer, taken, others, request.kind is not None)


def cheapest(options: Sequence[Option]) -> Option:
    """Of options sorted by cost. Without a dealer seconds are known to some 20 %, and bytes exactly: of those
    that cost about the same it is the one with the fewest bytes.
    """
    first = options[0]
    if first.price.offline_share < 1.0:
        return first
    equal = [option for option in options if option.price.cost <= ABOUT_EQUAL * first.price.cost]
    return min(equal, key=lambda option: option.price.bytes + option.price.offline_bytes)


def candidates(mixture: Mixture, group: int, request: ExpertsRequest, where: str) -> list[Layout]:
    """In the order of preference between equals; what only the request makes one comes last."""
    layouts = [Layout(OUTER, group, (first, second)) for first in SIDES for second in SIDES]
    layouts.append(Layout(ALL, group))
    if mixture.capacity:
        layouts.append(Layout(DISPATCH, group, capacity=mixture.capacity, claims=mixture.claims))
    if request.capacity is not None:
        slots = request.capacity.slots(mixture.tokens, mixture.top_k, mixture.experts)
        asked = Layout(DISPATCH, group, capacity=slots, claims=request.capacity.claims)
        if mixture.capacity and asked != layouts[-1]:
            raise MpccError(
                "MPC-C018",
                f"--moe-capacity {request.capacity}, which is {slots} slots here, is not the model's own "
                f"capacity: {mixture.capacity} slots, for the {mixture.claims} ones",
                where=where,
                remedy="leave --moe-capacity out: the model was made with its capacity and its rule",
            )
        layouts = [layout for layout in layouts if layout != asked] + [asked]
    elif request.kind == DISPATCH and not mixture.capacity:
        raise MpccError(
            "MPC-C015",
            "--moe dispatch needs a capacity, and the model has none of its own",
            where=where,
            remedy="state one with --moe-capacity, such as 2x for twice an even load: choices beyond it are "
            f"dropped, so results may differ from the model's; or use --moe {OUTER}, which drops none",
        )
    return layouts


def _group(nominal: Nominal, operation: Operation, mixture: Mixture) -> int:
    """How many logits the router compares at once: the cheapest."""
    logits = shape_of(operation.operands[0])
    groups = groupings(mixture.experts, mixture.top_k)
    return min(groups, key=lambda group: nominal.router(logits, mixture.top_k, group).cost)


def groupings(experts: int, top_k: int) -> list[int]:
    """All at once first, then divisors of E above k, of which some are left behind, by their comparisons."""
    whole = max(2, experts)
    divisors = [n for n in range(top_k + 1, experts) if n > 1 and experts % n == 0]

    def comparisons(group: int) -> int:
        groups = experts // group
        winners = groups * min(top_k, group)
        return groups * group * (group - 1) // 2 + winners * (winners - 1) // 2

    return [whole, *sorted(divisors, key=comparisons)[: ROUTERS - 1]]
