"""Merges openings and schedules rounds: every protocol starts at the first tick at which its operands are
known.

The number of ticks is the length of the longest path, which no schedule can beat; all messages of a tick
travel as one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import networkx as nx

from mpcc.ir.program import Operation, Program, Value

Ticks = Callable[[Operation], int]


@dataclass
class Tick:
    """One tick: what is finished first, what is computed locally or started, then the exchange."""

    finished: list[Operation]
    started: list[Operation]


def schedule(program: Program, ticks: Ticks) -> list[Tick]:
    """The operations by tick. The last entry has nothing under way and needs no exchange.

    `ticks` gives the number of exchanges an operation takes. Within a tick what its messages need comes
    first: the rest is computed while they travel. Otherwise operations keep the program's order.
    """
    level = operation_levels(program, ticks)
    last = max((level[i] + ticks(o) for i, o in enumerate(program.operations)), default=0)
    result = [Tick([], []) for _ in range(last + 1)]
    for index, operation in enumerate(program.operations):
        duration = ticks(operation)
        result[level[index]].started.append(operation)
        if duration:
            result[level[index] + duration].finished.append(operation)
    for tick in result:
        tick.started = _messages_first(tick.started, ticks)
    return result


def _messages_first(operations: list[Operation], ticks: Ticks) -> list[Operation]:
    needed: set[Value] = set()
    first: list[Operation] = []
    later: list[Operation] = []
    for operation in reversed(operations):
        if ticks(operation) or not needed.isdisjoint(operation.results):
            needed.update(operation.operands)
            first.append(operation)
        else:
            later.append(operation)
    return [*reversed(first), *reversed(later)]


def operation_levels(program: Program, ticks: Ticks) -> dict[int, int]:
    """The first possible tick of each operation (by its index): longest paths in the graph of operations."""
    position: dict[Value, int] = {v: i for i, o in enumerate(program.operations) for v in o.results}
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(program.operations)))
    for index, operation in enumerate(program.operations):
        graph.add_edges_from((position[v], index) for v in operation.operands)
    level: dict[int, int] = {}
    for index in nx.topological_sort(graph):
        before = graph.predecessors(index)
        level[index] = max((level[p] + ticks(program.operations[p]) for p in before), default=0)
    return level
