"""Where a graph's nodes and edges are drawn: rows of nodes from the top down, and lanes beside them.

A row is a part of a topological generation. An edge to the next row is drawn between the nodes; a longer one
(a residual connection) runs in a lane beside all rows. One lane carries all long edges of a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx

COLUMNS = 3  # as many nodes as a phone shows side by side

Edge = tuple[int, int]


def layout(count: int, edges: Sequence[Edge]) -> dict[str, Any]:
    """Of the nodes 0 to count - 1 and of edges without a cycle: `rows` of nodes, `edges` as [from, to, lane],
    lane -1 where there is none, and how many `lanes` there are.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(edges)
    rows = _rows(graph)
    row_of = {node: index for index, row in enumerate(rows) for node in row}
    lanes = _lanes(graph, row_of)
    return {
        "rows": rows,
        "edges": [
            [source, target, lanes[source] if row_of[target] - row_of[source] > 1 else -1]
            for source, target in sorted(graph.edges)
        ],
        "lanes": max(lanes.values(), default=-1) + 1,
    }


def _rows(graph: nx.DiGraph) -> list[list[int]]:
    """Each node below those it reads, as far to the side as these are on average."""
    rows: list[list[int]] = []
    place: dict[int, float] = {}
    for generation in nx.topological_generations(graph):

        def average(node: int) -> tuple[float, int]:
            before = [place[p] for p in graph.predecessors(node)]
            return (sum(before) / len(before) if before else 0.5, node)

        ordered = sorted(generation, key=average)
        for start in range(0, len(ordered), COLUMNS):
            row = ordered[start : start + COLUMNS]
            rows.append(row)
            place.update({node: (index + 0.5) / len(row) for index, node in enumerate(row)})
    return rows


def _lanes(graph: nx.DiGraph, row_of: dict[int, int]) -> dict[int, int]:
    """The lane of every node with long edges: short ones inside, so that edges around them do not cross."""
    spans = []
    for node in graph:
        ends = [row_of[t] for t in graph.successors(node) if row_of[t] - row_of[node] > 1]
        if ends:
            spans.append((max(ends) - row_of[node], row_of[node], node))
    taken: list[list[tuple[int, int]]] = []  # the rows that each lane passes
    lanes = {}
    for length, start, node in sorted(spans):
        end = start + length
        free = [all(end <= first or last <= start for first, last in rows) for rows in taken]
        if not any(free):
            taken.append([])
        lane = free.index(True) if any(free) else len(free)
        taken[lane].append((start, end))
        lanes[node] = lane
    return lanes
