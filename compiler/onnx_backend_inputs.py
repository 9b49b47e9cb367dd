"""Who holds which input of a model that mpcc.backend runs, and the model in which they do.

A program's inputs are the client's. A model of one operation on them has no secret: the client computes it
alone. Here a float input is the sum of two parts, the client's and the server's, so neither party knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import onnx

Arrays = dict[str, np.ndarray]


class Holder(StrEnum):
    """CLIENT: the client's own. SERVER: known when compiling, floats as weights, integers as architecture.
    BOTH: a part each, known to neither.
    """

    CLIENT = "client"
    SERVER = "server"
    BOTH = "both"


# Operands that the server holds: what decides shapes and positions, and the weights of layers.
_SERVER: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("CumSum", "Expand", "OneHot", "Reshape", "Split", "Squeeze", "Tile", "TopK"), (1,)),
    **dict.fromkeys(("Gather", "GatherElements", "GatherND", "Pow", "RMSNormalization"), (1,)),
    **dict.fromkeys(("Trilu", "Unsqueeze"), (1,)),
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin"), (1,)),
    **dict.fromkeys(("ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "ReduceSum", "ReduceSumSquare"), (1,)),
    **dict.fromkeys(("Clip", "Conv", "ConvTranspose", "Dropout", "Gemm"), (1, 2)),
    **dict.fromkeys(("GroupNormalization", "InstanceNormalization", "LayerNormalization"), (1, 2)),
    **dict.fromkeys(("Pad", "Resize", "RotaryEmbedding"), (1, 2, 3)),
    "BatchNormalization": (1, 2, 3, 4),
    "ConstantOfShape": (0,),
    "Range": (0, 1, 2),
    "Slice": (1, 2, 3, 4),
}
_CLIENT: dict[str, tuple[int, ...]] = {"Attention": (3,), "Where": (0,)}  # masks and conditions
_STATIC = ("Shape", "Size")  # known whatever the values of their operand
_FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)


def graph_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs that have no default."""
    defaults = {i.name for i in model.graph.initializer}
    return [v for v in model.graph.input if v.name not in defaults]


def usual_holders(model: onnx.ModelProto) -> dict[str, Holder]:
    """Who holds each input, by what reads it: the server weights and shapes, the client masks and whatever is
    no float, both the rest.
    """
    server, client = _behind(model, _SERVER), _behind(model, _CLIENT)
    holders = {}
    for value in graph_inputs(model):
        if value.name in server:
            holders[value.name] = Holder.SERVER
        elif value.name in client or value.type.tensor_type.elem_type not in _FLOATS:
            holders[value.name] = Holder.CLIENT
        else:
            holders[value.name] = Holder.BOTH
    return holders


def _behind(model: onnx.ModelProto, operands: Mapping[str, tuple[int, ...]]) -> set[str]:
    """Names of the values that the given operands are computed from, these included."""
    producers = {name: node for node in model.graph.node for name in node.output}
    pending = [
        node.input[index]
        for node in model.graph.node
        for index in operands.get(node.op_type, ())
        if index < len(node.input)
    ]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            node = producers.get(name)
            pending.extend(node.input if node is not None and node.op_type not in _STATIC else ())
    return seen


@dataclass(frozen=True)
class Division:
    """A model whose inputs are all the client's. `server` are the arrays that became constants, by name."""

    model: onnx.ModelProto
    holders: Mapping[str, Holder]
    shapes: Mapping[str, tuple[int, ...]]
    server: Arrays

    def of_client(self, arrays: Arrays) -> Arrays:
        """The client's inputs, from those of the undivided model."""
        given = {name: arrays[name] for name, who in self.holders.items() if who is Holder.CLIENT}
        for name, who in self.holders.items():
            if who is Holder.BOTH:
                with np.errstate(invalid="ignore"):  # infinite values are refused later, by name
                    part = arrays[name] - self.server[_server_part(name)]
                given[_client_part(name)] = np.asarray(part, dtype=arrays[name].dtype)
        return given

    def is_for(self, arrays: Arrays) -> bool:
        """Whether shapes and the server's constants are those of these inputs."""
        for name, who in self.holders.items():
            if arrays[name].shape != self.shapes[name]:
                return False
            if who is Holder.SERVER and not np.array_equal(arrays[name], self.server[name]):
                return False
        return True


def divide(model: onnx.ModelProto, arrays: Arrays, holders: Mapping[str, Holder]) -> Division:
    """Give everybody what is theirs, and every input the shape of its array.

    The server's part of an input is half of it, so that the sum of both is exact.
    """
    divided = onnx.ModelProto()
    divided.CopyFrom(model)
    graph = divided.graph
    kept, sums, server = [], [], Arrays()
    for value in graph_inputs(divided):
        name = value.name
        if not value.type.HasField("tensor_type"):  # the frontend says so
            kept.append(value)
            continue
        dims = [onnx.TensorShapeProto.Dimension(dim_value=d) for d in arrays[name].shape]
        value.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto(dim=dims))
        if holders[name] is Holder.SERVER:
            server[name] = arrays[name]
            continue
        if holders[name] is Holder.BOTH:
            value.name, part = _client_part(name), _server_part(name)
            server[part] = np.asarray(arrays[name] / 2, dtype=arrays[name].dtype)
            sums.append(onnx.helper.make_node("Add", [value.name, part], [name], name=f"whole {name}"))
        kept.append(value)
    nodes = [*sums, *graph.node]
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in server.items()]
    del graph.input[:], graph.node[:]
    graph.input.extend(kept)
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    return Division(divided, holders, {name: arrays[name].shape for name in holders}, server)


def _client_part(name: str) -> str:
    return f"{name}.client"


def _server_part(name: str) -> str:
    return f"{name}.server"
