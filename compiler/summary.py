"""The numbers of a program that inspect and the report page show: by pass, layer, operation kind and ring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mpcc.compiler.backend.split import ticks
from mpcc.compiler.cost.model import Cost, OperationCost, cost_of, operation_costs
from mpcc.compiler.layers import layer_of, layers_by_node
from mpcc.ir.program import Operation, Program, Stage
from mpcc.ir.types import RingType, Sharing
from mpcc.passes.schedule_rounds import operation_levels

VIEWS = ("reshape", "transpose", "expand", "slice", "take", "concat")
SOURCES = ("input", "constant")


@dataclass
class Row:
    """Costs that belong to one label. `rounds` counts the ticks in which any of its messages travels."""

    label: str
    operations: int = 0
    bytes_party0: int = 0
    bytes_party1: int = 0
    offline_bytes: int = 0
    multiplications: int = 0
    ticks: set[int] = field(default_factory=set)
    chain: list[tuple[str, int]] = field(default_factory=list)

    @property
    def rounds(self) -> int:
        return len(self.ticks)

    @property
    def online(self) -> int:
        return self.bytes_party0 + self.bytes_party1


@dataclass(frozen=True)
class Pass:
    """A program after a pass: its stage and its size."""

    name: str
    stage: str
    operations: int
    values: int


@dataclass(frozen=True)
class Ring:
    """Shares of one ring width: how many values and elements, and the kinds that produce most of them."""

    bits: int
    values: int
    elements: int
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """`operations` and `layers` are in the program's order, `kinds` and `heaviest` by online bytes, `rings`
    by width.
    """

    name: str
    cost: Cost
    operations: tuple[OperationCost, ...]
    passes: tuple[Pass, ...]
    layers: tuple[Row, ...]
    kinds: tuple[Row, ...]
    rings: tuple[Ring, ...]
    heaviest: tuple[OperationCost, ...]


def share_stage(dumps: Sequence[tuple[str, Program]]) -> Program:
    """The last share-stage program: the one that was split into the parties' programs."""
    return next(program for _, program in reversed(dumps) if program.stage is Stage.SHARE)


def summarise(dumps: Sequence[tuple[str, Program]]) -> Summary:
    """From the programs after each pass, in order; the first is the imported one."""
    program = share_stage(dumps)
    costs = operation_costs(program)
    layers = layers_by_node(dumps[0][1])
    rows = _rows(program, costs, lambda o: layer_of(o, layers))
    for operation in dumps[0][1].operations:
        if operation.kind not in (*VIEWS, *SOURCES):
            _extend(rows.setdefault(layer := layer_of(operation, layers), Row(layer)).chain, operation.kind)
    return Summary(
        name=program.name,
        cost=cost_of(program),
        operations=costs,
        passes=tuple(
            Pass(n, p.stage, len(p.operations), sum(len(o.results) for o in p.operations)) for n, p in dumps
        ),
        layers=tuple(rows.values()),
        kinds=tuple(_by_bytes(_rows(program, costs, lambda o: o.kind).values())),
        rings=_rings(program),
        heaviest=tuple(sorted(costs, key=lambda o: -(o.bytes_party0 + o.bytes_party1))[:15]),
    )


def _rows(
    program: Program, costs: Sequence[OperationCost], label: Callable[[Operation], str]
) -> dict[str, Row]:
    levels = operation_levels(program, ticks)
    rows: dict[str, Row] = {}
    for index, (operation, entry) in enumerate(zip(program.operations, costs, strict=True)):
        name = label(operation)
        row = rows.setdefault(name, Row(name))
        row.operations += 1
        row.bytes_party0 += entry.bytes_party0
        row.bytes_party1 += entry.bytes_party1
        row.offline_bytes += entry.offline_bytes
        row.multiplications += entry.multiplications
        row.ticks.update(range(levels[index], levels[index] + entry.ticks))
    return rows


def _by_bytes(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (-r.online, -r.offline_bytes, -r.operations, r.label))


def _extend(chain: list[tuple[str, int]], kind: str) -> None:
    """Adds a kind to a chain of (kind, repetitions)."""
    if chain and chain[-1][0] == kind:
        chain[-1] = (kind, chain[-1][1] + 1)
    else:
        chain.append((kind, 1))


def _rings(program: Program) -> tuple[Ring, ...]:
    values: Counter[int] = Counter()
    elements: Counter[int] = Counter()
    kinds: dict[int, Counter[str]] = {}
    for operation in program.operations:
        for value in operation.results:
            if isinstance(value.type, RingType) and value.type.sharing is Sharing.SHARE:
                bits = value.type.ring
                values[bits] += 1
                elements[bits] += value.type.size
                kinds.setdefault(bits, Counter())[operation.kind] += 1
    return tuple(
        Ring(bits, values[bits], elements[bits], tuple(k for k, _ in kinds[bits].most_common(3)))
        for bits in sorted(values)
    )
