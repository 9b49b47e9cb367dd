"""The operations that there is a choice for, and the values that they meet on sample inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpcc.compiler.layers import layer_of, layers_by_node
from mpcc.ir.dialects import definition
from mpcc.ir.dialects.base import VIEW_ATTRIBUTES
from mpcc.ir.dialects.tensor import TensorOperation
from mpcc.ir.program import Operation, Program, Stage, Value
from mpcc.passes.lower.activations import function_of

ELEMENTWISE = ("gelu", "silu", "tanh", "sigmoid", "erf", "softplus", "exp", "reciprocal", "rsqrt", "sqrt")
NORMS = ("layer_norm", "rms_norm", "l2_normalize")
KINDS = (*ELEMENTWISE, *NORMS, "div", "softmax")
ELEMENTS, ROWS, BATCHES = 2048, 32, 4  # what is looked at of an operation: elements, rows, matrices


@dataclass(frozen=True)
class Node:
    """One choice. `product` is the matrix product that a softmax feeds: whether to divide before or after it
    belongs to the softmax, so both are costed and judged together. `readers`: what leads from the result to a
    linear layer, for which it is sent to the other party; empty where none reads it.
    """

    operation: Operation
    product: Operation | None
    layer: str
    readers: tuple[str, ...]

    @property
    def value(self) -> str:
        """The name that plans know the choice by."""
        return self.operation.result.name

    @property
    def kind(self) -> str:
        return self.operation.kind

    @property
    def function(self) -> str:
        """The kind, and for gelu which of the two."""
        return function_of(self.operation)

    @property
    def alike(self) -> tuple[object, ...]:
        """Equal for nodes of the same function and shapes."""
        return (self.function, *(v.type for v in self.operands))

    @property
    def site(self) -> Value:
        """Where the error is measured."""
        return (self.product or self.operation).result

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is lowered to cost the choice. A norm comes without gain and bias: its consumer folds them."""
        operation = self.operation
        if self.kind in NORMS:
            operation = Operation(
                operation.kind,
                operation.operands[:1],
                operation.results,
                operation.attributes,
                operation.onnx_nodes,
            )
        return (operation, self.product) if self.product else (operation,)

    @property
    def operands(self) -> tuple[Value, ...]:
        """What comes from outside, each once."""
        inside = {v for o in self.operations for v in o.results}
        return tuple(dict.fromkeys(v for o in self.operations for v in o.operands if v not in inside))

    def exact(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        """The site's values in floating point, from the operands' by name."""
        values = dict(arrays)
        for operation in self.operations:
            operation_class = definition(Stage.TENSOR, operation.kind)
            assert issubclass(operation_class, TensorOperation)
            operands = [values[v.name] for v in operation.operands]
            values[operation.result.name] = operation_class.evaluate(operands, operation.attributes)
        return values[self.site.name]


def nodes_of(program: Program) -> list[Node]:
    """The choices of a tensor-stage program, in its order."""
    layers, users = layers_by_node(program), program.users()
    outputs = set(program.outputs.values())
    nodes = []
    for operation in program.operations:
        if operation.kind in KINDS:
            product = None
            if operation.kind == "softmax" and operation.result not in outputs:
                product = _product(operation.result, users[operation.result])
            site = (product or operation).result
            nodes.append(Node(operation, product, layer_of(operation, layers), _readers(site, users)))
    return nodes


def _readers(value: Value, users: dict[Value, list[Operation]]) -> tuple[str, ...]:
    """The views, if any, and the linear layer that read the value."""
    for user in users[value]:
        if user.kind == "linear":
            return (user.kind,)
        if user.kind in VIEW_ATTRIBUTES and (further := _readers(user.result, users)):
            return (user.kind, *further)
    return ()


def _product(probabilities: Value, users: Sequence[Operation]) -> Operation | None:
    """The only user, if it is a matrix product from the left with another value."""
    if len(users) == 1 and users[0].kind == "matmul" and users[0].operands[0] is probabilities:
        return users[0] if users[0].operands[1] is not probabilities else None
    return None


def sampled(node: Node, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A part of the operands' values: of elementwise functions the quantiles, else some whole rows."""
    if node.kind in ELEMENTWISE:
        (operand,) = node.operands
        ordered = np.sort(arrays[operand.name], axis=None)
        picked = np.unique(np.linspace(0, ordered.size - 1, ELEMENTS).astype(np.int64))
        return {operand.name: ordered[picked]}
    shape = np.broadcast_shapes(
        *(arrays[v.name].shape for v in node.operation.operands if v in node.operands)
    )
    rank = len(shape)
    rows = rank - 2 if rank >= 2 and node.kind == "softmax" else None
    picks: dict[int, np.ndarray] = {}
    left = BATCHES if node.product else ROWS
    for axis in range(rank - 1):
        count = min(shape[axis], ROWS if axis == rows else left)
        left = left if axis == rows else max(1, left // count)
        picks[axis] = np.linspace(0, shape[axis] - 1, count).astype(np.int64)
    second = node.product.operands[1] if node.product else None

    def part(value: Value, array: np.ndarray) -> np.ndarray:
        kept = rank - 2 if value is second else rank - 1  # the product sums over the second operand's rows
        for axis in range(kept):
            own = axis - (rank - array.ndim)
            if own >= 0 and array.shape[own] == shape[axis]:
                array = np.take(array, picks[axis], axis=own)
        return array

    return {v.name: part(v, arrays[v.name]) for v in node.operands}
