"""The part of a graph that a routing decision belongs to: from router logits and tokens to the mixed result.

A region starts at the logits and at the tokens x that the router read, and ends where everything computed
from the decision has come together again (a post-dominator of the deciding node) in a tensor of x's size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import networkx
import onnx_ir as ir

from mpcc.passes.recognise.graph import (
    attribute,
    has_static_shape,
    is_float,
    present_inputs,
    producer,
    shape,
)

ANCHORS = ("TopK", "ArgMax")
_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast")
_START, _END = 0, 1  # no identities of nodes
_STEPS = 6  # a result is followed by a few views and sums, if any
_LINEARS = ("MatMul", "Gemm", "Einsum")


@dataclass(frozen=True)
class Region:
    """`nodes` compute `end`, of x's size, from `logits`, `x` and constants alone."""

    anchor: ir.Node
    logits: ir.Value
    x: ir.Value
    end: ir.Value
    nodes: tuple[ir.Node, ...]

    @property
    def experts(self) -> int:
        return shape(self.logits)[-1]


class Dominance:
    """Immediate dominators and post-dominators of a graph's nodes, by identity."""

    def __init__(self, graph: ir.Graph) -> None:
        flow = networkx.DiGraph()
        self._nodes = {id(node): node for node in graph}
        for node in graph:
            for value in present_inputs(node):
                above = value.producer()
                if above is not None:
                    flow.add_edge(id(above), id(node))
                elif value.const_value is None:
                    flow.add_edge(_START, id(node))
            if any(value.is_graph_output() for value in node.outputs):
                flow.add_edge(id(node), _END)
        self._before = networkx.immediate_dominators(flow, _START) if _START in flow else {}
        reverse = flow.reverse(copy=False)
        self._after = networkx.immediate_dominators(reverse, _END) if _END in flow else {}

    def before(self, node: ir.Node) -> Iterator[ir.Node]:
        """Nodes on every path to the node, nearest first."""
        return self._chain(node, self._before)

    def after(self, node: ir.Node) -> Iterator[ir.Node]:
        """Nodes on every path from the node to the outputs, nearest first."""
        return self._chain(node, self._after)

    def _chain(self, node: ir.Node, parents: dict[int, int]) -> Iterator[ir.Node]:
        current = id(node)
        while (above := parents.get(current, current)) in self._nodes and above != current:
            yield self._nodes[above]
            current = above


def base(value: ir.Value) -> ir.Value:
    """The float value that a chain of reshapes views."""
    while (node := producer(value, *_VIEWS)) is not None:
        source = node.inputs[0]
        if source is None or source.const_value is not None or not is_float(source):
            break
        value = source
    return value


def choices(anchor: ir.Node) -> int | None:
    """How many experts a deciding node chooses for each token; None if it does not choose the largest."""
    if anchor.op_type == "ArgMax":
        return 1
    count = anchor.inputs[1].const_value if len(anchor.inputs) > 1 and anchor.inputs[1] is not None else None
    if count is None or not attribute(anchor, "largest", 1):
        return None
    return int(count.numpy().reshape(-1)[0])


def router_logits(anchor: ir.Node) -> ir.Value | None:
    """What a deciding node ranks, before the softmax if there is one."""
    value = anchor.inputs[0]
    if value is None or value.const_value is not None or not is_float(value):
        return None
    logits, step = value, value
    while (node := producer(step, *_VIEWS, "Softmax")) is not None:
        source = node.inputs[0]
        if source is None or source.const_value is not None or not is_float(source):
            break
        if not has_static_shape(source) or shape(source)[-1] != shape(value)[-1]:
            break
        step = source
        if node.op_type == "Softmax":
            logits = source
    return logits


def find_regions(graph: ir.Graph, anchor: ir.Node, dominance: Dominance) -> list[Region]:
    """Regions of a deciding node, largest first; none if its decision does not end in a tensor of the tokens'
    size.
    """
    logits = router_logits(anchor)
    if logits is None or not has_static_shape(logits) or len(shape(logits)) < 2:
        return []
    tokens = math.prod(shape(logits)[:-1])
    results = [
        node.outputs[0]
        for node in dominance.after(anchor)
        if len(node.outputs) == 1 and is_float(node.outputs[0]) and has_static_shape(node.outputs[0])
    ]
    for x in _inputs_of_router(logits, dominance):
        size = math.prod(shape(x))
        regions: list[Region] = []
        for result in results:
            if math.prod(shape(result)) != size or shape(result)[-1] * tokens != size:
                continue
            inside = _closure(result, logits, x)
            if inside is None or id(anchor) not in inside or len(regions) == _STEPS:
                break
            nodes = tuple(node for node in graph if id(node) in inside)
            regions.insert(0, Region(anchor, logits, x, result, nodes))
        if regions:
            return regions
    return []


def _inputs_of_router(logits: ir.Value, dominance: Dominance) -> Iterator[ir.Value]:
    """Values that the logits are computed from alone, from the router's linear layer upwards."""
    node = logits.producer()
    if node is None:
        return
    tokens = math.prod(shape(logits)[:-1])
    seen: set[int] = {id(logits)}
    for step in (node, *dominance.before(node)):
        for value in present_inputs(step) if step.op_type in _LINEARS else step.outputs:
            if value.const_value is None and is_float(value) and has_static_shape(value):
                x = base(value)
                if id(x) not in seen and shape(x)[-1:] and math.prod(shape(x)) == tokens * shape(x)[-1]:
                    seen.add(id(x))
                    yield x


def _closure(end: ir.Value, logits: ir.Value, x: ir.Value) -> dict[int, ir.Node] | None:
    """The nodes between; None when the end depends on anything else."""
    found: dict[int, ir.Node] = {}
    pending = [end]
    while pending:
        value = pending.pop()
        if value is logits or value is x or value.const_value is not None:
            continue
        node = value.producer()
        if node is None:
            return None
        if id(node) not in found:
            found[id(node)] = node
            pending.extend(present_inputs(node))
    return found
