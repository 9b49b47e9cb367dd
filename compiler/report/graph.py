"""The model as a graph to look into: layers, the operations of each, the parts of a mixture of experts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from mpcc.compiler.report.layout import layout
from mpcc.compiler.report.operations import Operations
from mpcc.compiler.summary import SOURCES, VIEWS
from mpcc.ir.program import Operation, Program, Value
from mpcc.ir.types import TensorType

FOLDED = 3  # equal layers in a row, of which all but the first are folded

Entry = dict[str, Any]


def layers_graph(operations: Operations) -> Entry:
    """`whole`: a node a layer, an edge where one reads another's results; `folded`: equal layers as one."""
    crossing = set()
    for index, operation in enumerate(operations.model):
        for source in operations.inputs(operation):
            crossing.add((_layer(operations, source), _layer(operations, index)))
    count = len(operations.layers)
    groups = _folded(operations)
    group_of = {layer: index for index, group in enumerate(groups) for layer in group}
    return {
        "whole": _drawn([{"layers": [i]} for i in range(count)], crossing),
        "folded": _drawn([{"layers": g} for g in groups], {(group_of[a], group_of[b]) for a, b in crossing}),
    }


def _drawn(nodes: Sequence[Entry], edges: set[tuple[int, int]]) -> Entry:
    """Layers in the program's order, each in a row of its own; what leads back is not drawn."""
    ordered = {(i, i + 1) for i in range(len(nodes) - 1)}
    drawn = layout(len(nodes), sorted({(a, b) for a, b in edges if a < b} | ordered))
    real = [edge for edge in drawn["edges"] if (edge[0], edge[1]) in edges]
    return {**drawn, "nodes": list(nodes), "edges": real}


def _folded(operations: Operations) -> list[list[int]]:
    """Runs of equal layers: the first one alone, the others together."""
    shapes = [_shape_of(operations, layer) for layer in range(len(operations.layers))]
    groups: list[list[int]] = []
    for _, members in groupby(range(len(shapes)), key=lambda layer: shapes[layer]):
        run = list(members)
        groups += [run[:1], run[1:]] if len(run) >= FOLDED else [[layer] for layer in run]
    return groups


def _shape_of(operations: Operations, layer: int) -> tuple[object, ...]:
    """Equal for layers of the same operations, shapes and connections."""
    members = [i for i in range(len(operations.model)) if _layer(operations, i) == layer]
    place = {index: position for position, index in enumerate(members)}
    return tuple(
        (
            operations.model[index].kind,
            _tensor_shape(operations.model[index].result),
            tuple(place.get(source, -1) for source in operations.inputs(operations.model[index])),
        )
        for index in members
    )


def operation_graphs(operations: Operations) -> list[Entry]:
    """For each layer its operations but views, and where they read from and lead to.

    A node is one of {"operation": place}, {"from": [layer]}, {"to": layers}, {"output": name}.
    """
    return [_operation_graph(operations, layer) for layer in range(len(operations.layers))]


def _operation_graph(operations: Operations, layer: int) -> Entry:
    members = [
        i
        for i, operation in enumerate(operations.model)
        if _layer(operations, i) == layer and operation.kind not in VIEWS
    ]
    nodes: list[Entry] = []
    places: dict[tuple[object, ...], int] = {}
    edges: set[tuple[int, int]] = set()

    def place(key: tuple[object, ...], node: Entry) -> int:
        if key not in places:
            places[key] = len(nodes)
            nodes.append(node)
        return places[key]

    inside = set(members)
    for index in members:
        read = []
        for source in operations.inputs(operations.model[index]):
            layer_read = _layer(operations, source)
            read.append(
                place(("operation", source), {"operation": source})
                if source in inside
                else place(("from", layer_read), {"from": [layer_read]})
            )
        here = place(("operation", index), {"operation": index})
        edges |= {(node, here) for node in read}
    for source, targets in _leaving(operations, inside).items():
        edges.add((places["operation", source], place(("to", *targets), {"to": targets})))
    for name, value in operations.imported.outputs.items():
        for source in inside.intersection(operations.output_of(value)):
            edges.add((places["operation", source], place(("output", name), {"output": name})))
    return {**layout(len(nodes), sorted(edges)), "nodes": nodes}


def _leaving(operations: Operations, inside: set[int]) -> dict[int, list[int]]:
    """The other layers that read each operation's result."""
    found: dict[int, set[int]] = {}
    for index, operation in enumerate(operations.model):
        if index in inside or operation.kind in VIEWS:
            continue
        for source in operations.inputs(operation):
            if source in inside:
                found.setdefault(source, set()).add(_layer(operations, index))
    return {source: sorted(targets) for source, targets in sorted(found.items())}


def _layer(operations: Operations, index: int) -> int:
    return operations.layers.index(operations.layer_labels[index])


def parts_graph(operation: Operation, expanded: Program) -> Entry:
    """What an operation became before it was lowered: the operations named after its result.

    A node is {"kind", "shape"}, or {"reads"} with the kind of what it reads from outside.
    """
    name = operation.result.name
    producers = expanded.producers()

    def origin(value: Value) -> Operation:
        producer = producers[value]
        return origin(producer.operands[0]) if producer.kind in VIEWS else producer

    nodes: list[Entry] = []
    places: dict[Operation, int] = {}
    edges: set[tuple[int, int]] = set()
    for part in expanded.operations:
        if not (part.result.name == name or part.result.name.startswith(f"{name}.")):
            continue
        if part.kind in (*VIEWS, *SOURCES):
            continue
        sources = [source for value in part.operands if (source := origin(value)).kind != "constant"]
        for source in sources:
            if source not in places:
                places[source] = len(nodes)
                nodes.append({"reads": source.kind})
        places[part] = len(nodes)
        nodes.append({"kind": part.kind, "shape": _tensor_shape(part.result)})
        edges |= {(places[source], places[part]) for source in sources}
    return {**layout(len(nodes), sorted(edges)), "nodes": nodes}


def _tensor_shape(value: Value) -> list[int]:
    return list(value.type.shape) if isinstance(value.type, TensorType) else []
