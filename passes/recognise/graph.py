"""Reading and rewriting an ONNX graph held in onnx-ir: constants, visibilities, types of new nodes.

Macro operations that stand for a recognised subgraph live in the domain `mpcc`; everything else is plain
ONNX.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.defs
import onnx.shape_inference
import onnx_ir as ir

from mpcc.ir.types import Visibility
from mpcc.passes.evaluate_node import evaluate_node

MACRO = "mpcc"
VISIBILITY = "visibility"
ORIGIN = "origin"
TABLE_ROWS = "table_rows"  # of a one-row table that a folded lookup indexed with the value
REASON = "reason"  # why shape inference rejected a node
UNTYPED = "untyped"  # reported already; what depends on it is passed over
CASTS = "casts"  # types by operand, where a cast between floats was dropped
SOURCE = "source"  # the ONNX constant that a rewritten constant was computed from


def array(value: ir.Value | None) -> np.ndarray | None:
    """The constant a value holds, or None when it is computed or absent."""
    return None if value is None or value.const_value is None else np.asarray(value.const_value.numpy())


def scalar(value: ir.Value | None) -> float | None:
    """The number a one-element constant holds, or None."""
    constant = array(value)
    return float(constant.reshape(())) if constant is not None and constant.size == 1 else None


def shape(value: ir.Value) -> tuple[int, ...]:
    """Static shape. Raises ValueError when a dimension is unknown."""
    if value.shape is None or not value.shape.is_static():
        raise ValueError(f"the shape of '{value.name}' is not known")
    return tuple(value.shape.numpy())


def has_static_shape(value: ir.Value) -> bool:
    return value.shape is not None and value.shape.is_static() and value.dtype is not None


def is_float(value: ir.Value) -> bool:
    return value.dtype is not None and value.dtype.is_floating_point()


def visibility(value: ir.Value | None) -> Visibility:
    """Who knows the value; absent optional inputs are public."""
    return Visibility.PUBLIC if value is None else Visibility(value.meta.get(VISIBILITY, Visibility.SECRET))


def is_known_locally(value: ir.Value | None) -> bool:
    """Whether party 1 can compute the value alone."""
    return visibility(value) in (Visibility.PUBLIC, Visibility.PARTY1)


def producer(value: ir.Value | None, *operations: str) -> ir.Node | None:
    """The node that computes a value, if its operation is one of those named."""
    node = None if value is None else value.producer()
    return (
        node
        if node is not None and node.op_type in operations and node.domain in ("", "ai.onnx", MACRO)
        else None
    )


def single_use(value: ir.Value) -> bool:
    return len(value.uses()) == 1 and not value.is_graph_output()


def attribute(node: ir.Node, name: str, default: Any = None) -> Any:
    """An attribute as a plain Python value."""
    found = node.attributes.get(name)
    if found is None:
        return default
    if found.type == ir.AttributeType.STRING:
        return found.as_string()
    return found.value


def origin(*nodes: ir.Node | None) -> tuple[str, ...]:
    """Names of the ONNX nodes that the given nodes came from, without repetition."""
    names: dict[str, None] = {}
    for node in nodes:
        if node is not None:
            names.update(dict.fromkeys(node.meta.get(ORIGIN, (node.name or node.op_type,))))
    return tuple(names)


def inputs(node: ir.Node, count: int) -> list[ir.Value | None]:
    """The node's inputs, padded with None for optional ones left out."""
    found = list(node.inputs)
    return found + [None] * (count - len(found))


def operands(node: ir.Node, count: int) -> list[ir.Value]:
    """The node's first inputs. Raises ValueError when one is left out."""
    found = inputs(node, count)[:count]
    if any(v is None for v in found):
        raise ValueError(f"{node.op_type} lacks an operand")
    return [v for v in found if v is not None]


def present_inputs(node: ir.Node) -> list[ir.Value]:
    return [value for value in node.inputs if value is not None]


def reduction_axes(node: ir.Node) -> tuple[int, ...]:
    """Axes of an ONNX reduction, nonnegative and ascending; attribute or input, whichever the opset has."""
    assert node.inputs[0] is not None
    rank = len(shape(node.inputs[0]))
    axes = attribute(node, "axes")
    if axes is None:
        data = array(inputs(node, 2)[1])
        axes = [] if data is None else [int(a) for a in data.reshape(-1)]
        if not axes:
            axes = [] if attribute(node, "noop_with_empty_axes", 0) else range(rank)
    return tuple(sorted(int(a) % rank for a in axes))


def join(values: Iterable[ir.Value | None]) -> Visibility:
    result = Visibility.PUBLIC
    for value in values:
        result = result.joined(visibility(value))
    return result


def type_proto(value: ir.Value) -> onnx.TypeProto:
    assert value.dtype is not None
    return onnx.helper.make_tensor_type_proto(int(value.dtype), shape(value))


MAX_ELEMENTS = 1 << 27  # of a value that is computed: nothing here computes more, and shapes would overflow
MAX_MADE = 1 << 24  # elements of a constant that is made to fit a shape
# Shape inference reads small integer constants (shapes, axes, repeats); weights never matter to it.
MAX_SHAPE_DATA = 1024
# Before opset 16 onnx infers no shape for these.
_TYPED_AS = {"LessOrEqual": "Less", "GreaterOrEqual": "Greater"}


def infer_types(node: ir.Node, opset: int, *, real: bool = False) -> bool:
    """Set dtype and shape of the node's outputs by onnx's shape inference; True when all are static.

    `meta["reason"]` says what it found wrong, if anything. `real`: casts between floats are dropped already,
    so all float operands count as of the first one's type.
    """
    floats = [value for value in present_inputs(node) if is_float(value)] if real else []
    operation = _TYPED_AS.get(node.op_type, node.op_type)
    try:
        schema = onnx.defs.get_schema(operation, opset, node.domain)
    except onnx.defs.SchemaError:
        return False
    if any(a.type == ir.AttributeType.GRAPH for a in node.attributes.values()):
        node.meta[REASON] = "it loops or branches on values that are not constant"
        return False
    for index, value in enumerate(node.inputs):
        formal = schema.inputs[min(index, len(schema.inputs) - 1)]
        if value is None and formal.option is not onnx.defs.OpSchema.FormalParameterOption.Optional:
            node.meta[REASON] = f"its operand '{formal.name}' is missing"
            return False
    if attribute(node, "num_outputs", len(node.outputs)) != len(node.outputs):  # onnx trusts it
        node.meta[REASON] = "it has another number of outputs than it says"
        return False
    proto = onnx.NodeProto(op_type=operation, domain=node.domain)
    proto.attribute.extend(ir.to_proto(a) for a in node.attributes.values())
    types: dict[str, onnx.TypeProto] = {}
    data: dict[str, onnx.TensorProto] = {}
    for index, value in enumerate(node.inputs):
        proto.input.append("" if value is None else f"i{index}")
        if value is None:
            continue
        if not has_static_shape(value):
            return False
        types[f"i{index}"] = type_proto(value)
        if floats and is_float(value):
            types[f"i{index}"].tensor_type.elem_type = type_proto(floats[0]).tensor_type.elem_type
            continue
        constant = array(value)
        if constant is not None and constant.size <= MAX_SHAPE_DATA:
            data[f"i{index}"] = onnx.numpy_helper.from_array(constant)
    proto.output.extend(f"o{index}" if value.name != "" else "" for index, value in enumerate(node.outputs))
    try:
        inferred = onnx.shape_inference.infer_node_outputs(
            schema, proto, types, data, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)]
        )
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        node.meta[REASON] = str(error).strip().splitlines()[-1]
        return False
    for index, value in enumerate(node.outputs):
        found = inferred.get(f"o{index}")
        if found is not None and found.HasField("tensor_type"):
            value.dtype = ir.DataType(found.tensor_type.elem_type)
            if found.tensor_type.HasField("shape"):
                dims = [d.dim_value if d.HasField("dim_value") else None for d in found.tensor_type.shape.dim]
                value.shape = ir.Shape(dims)
    results = [value for value in node.outputs if value.name != ""]
    if not all(has_static_shape(value) for value in results):
        return False
    computed = any(value is not None and value.const_value is None for value in node.inputs)
    for found_shape in map(shape, results):
        if min(found_shape, default=0) < 0 or (computed and math.prod(found_shape) > MAX_ELEMENTS):
            node.meta[REASON] = f"its result would have the shape {list(found_shape)}"
            return False
    return True


@dataclass(frozen=True)
class PublicConstant:
    """A float constant both parties may see: the ONNX tensor, its number when it is one, and why."""

    name: str
    value: float | None
    reason: str


@dataclass
class Rewriter:
    """Adds nodes to a graph in front of an anchor node. New values get types, visibility and origin.

    `public` collects the float constants that became public because a rule read them, by name.
    """

    graph: ir.Graph
    opset: int
    public: dict[str, PublicConstant] = field(default_factory=dict)
    inserted: list[ir.Node] = field(default_factory=list)
    _constants: dict[tuple[Any, ...], ir.Value] = field(default_factory=dict)
    _count: int = 0

    def constant(self, data: np.ndarray, who: Visibility = Visibility.PUBLIC) -> ir.Value:
        """A constant value; equal small public constants are one value.

        A party's constants stay apart though they may be equal: the program's form must not depend on their
        values.
        """
        data = np.ascontiguousarray(data) if data.ndim else data
        self._count += 1
        literal = who is Visibility.PUBLIC and data.size <= MAX_SHAPE_DATA
        content = data.tobytes() if literal else self._count
        key = (content, data.dtype.str, data.shape, who)
        if key not in self._constants:
            value = ir.Value(
                name=f"constant.{self._count}",
                shape=ir.Shape(data.shape),
                type=ir.TensorType(ir.DataType.from_numpy(data.dtype)),
                const_value=ir.tensor(data),
            )
            value.meta[VISIBILITY] = who
            self._constants[key] = value
        return self._constants[key]

    def publish(self, value: ir.Value | None, reason: str) -> None:
        """Note that a constant's numbers become part of the public program."""
        if value is not None and value.const_value is not None and is_float(value) and value.name is not None:
            name = str(value.meta.get(SOURCE, value.name))
            self.public.setdefault(name, PublicConstant(name, scalar(value), reason))

    def integers(self, *values: int) -> ir.Value:
        """A public int64 vector: shapes, axes, bounds."""
        return self.constant(np.array(values, dtype=np.int64))

    def emit(
        self,
        before: ir.Node,
        operation: str,
        operands: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        came_from: tuple[str, ...] = (),
    ) -> ir.Value:
        """A plain ONNX node in front of `before`; returns its first output, a constant if all operands are.

        Raises ValueError when onnx's shape inference rejects it.
        """
        node = ir.node(operation, operands, attributes)
        if all(v is None or v.const_value is not None for v in operands):
            return self.constant(evaluate_node(node, self.opset)[0], join(operands))
        if not infer_types(node, self.opset, real=True):
            raise ValueError(
                f"{operation} does not fit shapes {[shape(v) for v in operands if v is not None]}"
            )
        return self._insert(before, node, came_from)

    def macro(
        self,
        before: ir.Node,
        operation: str,
        operands: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        *,
        result_shape: Sequence[int],
        came_from: tuple[str, ...] = (),
    ) -> ir.Value:
        """A node of the `mpcc` domain with a float result of the given shape."""
        first = next(v for v in operands if v is not None)
        node = ir.node(operation, operands, attributes, domain=MACRO)
        assert first.dtype is not None
        node.outputs[0].dtype = first.dtype
        node.outputs[0].shape = ir.Shape(result_shape)
        return self._insert(before, node, came_from)

    def _insert(self, before: ir.Node, node: ir.Node, came_from: tuple[str, ...]) -> ir.Value:
        self._count += 1
        node.outputs[0].name = f"mpcc.{self._count}"
        node.meta[ORIGIN] = came_from or origin(before)
        node.outputs[0].meta[VISIBILITY] = join(node.inputs)
        self.graph.insert_before(before, node)
        self.inserted.append(node)
        return node.outputs[0]

    def replace(self, old: ir.Value, new: ir.Value, *, equal: bool = True) -> None:
        """Use `new` wherever `old` was used. `equal`: they are the same tensor, so `new` takes over the ONNX
        name.
        """
        if equal and new.producer() is not None and new.name is not None and new.name.startswith("mpcc."):
            old.name, new.name = new.name, old.name
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)


def remove_dead(graph: ir.Graph) -> None:
    """Remove nodes whose results nobody reads."""
    for node in reversed(list(graph)):
        if not any(value.uses() or value.is_graph_output() for value in node.outputs):
            graph.remove(node, safe=True)
