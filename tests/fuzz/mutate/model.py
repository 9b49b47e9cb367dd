"""Changes of ONNX models by what they mean: nodes, edges, attributes, constants, shapes, types, opsets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

import numpy as np
import onnx
import onnx.defs

from tests.fuzz.mutate.fields import mutate_fields

_SCHEMAS = {schema.name: schema for schema in onnx.defs.get_all_schemas() if not schema.domain}
_STANDARD = sorted(_SCHEMAS)
_CONTRIB = (
    *("SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization", "SkipLayerNormalization"),
    *("FastGelu", "BiasGelu", "QuickGelu", "Gelu", "FusedMatMul", "FusedGemm", "MoE", "MatMulNBits"),
    *("RotaryEmbedding", "EmbedLayerNormalization", "Attention", "MultiHeadAttention"),
    "GroupQueryAttention",
)
_DOMAINS = ("", "ai.onnx", "com.microsoft", "ai.onnx.ml", "mpcc", "pkg", "local")
_SIZES = (0, 1, 2, 3, 4, 8, 32, -1, -2, 1 << 20, 1 << 31, (1 << 31) - 1, 1 << 40, (1 << 63) - 1, -(1 << 63))
_NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-12, 1e30, -1e38, float("inf"), float("-inf"), float("nan"))
_LOCATIONS = ("weights.bin", "../weights.bin", "/etc/passwd", "", ".", "x\x00y", "weights.bin/x", "a" * 300)

Change = Callable[[onnx.ModelProto, Random], None]


class ModelMutator:
    """Changes models; nodes that it inserts come from `samples`, too."""

    def __init__(self, samples: Sequence[bytes]) -> None:
        self._samples = [model for model in map(parsed, samples) if model is not None]
        nodes = [node for model in self._samples for node in model.graph.node]
        self._attributes = [attribute for node in nodes for attribute in node.attribute]

    def mutate(self, data: bytes, random: Random) -> bytes | None:
        """One to four changes; None when the data is no protobuf message of a model."""
        model = parsed(data)
        if model is None:
            return None
        changes: list[Change] = [
            *(_change_operation, _change_edge, _change_edge, _remove_node, _double_node, _move_node),
            *(self._change_attribute, self._change_attribute, _change_constant, _change_constant),
            *(_change_info, _change_info, _change_outputs, _change_opset, _change_location, _make_function),
            *(_nest, _insert_node, self._splice, mutate_fields),
        ]
        for _ in range(random.choice((1, 1, 2, 4))):
            with suppress(ValueError, TypeError):  # names that earlier changes left without being text
                random.choice(changes)(model, random)
        return bytes(model.SerializeToString())

    def _change_attribute(self, model: onnx.ModelProto, random: Random) -> None:
        node = _any_node(model, random)
        if node is None:
            return
        if not node.attribute or random.random() < 0.25:
            if self._attributes:
                node.attribute.add().CopyFrom(random.choice(self._attributes))
            return
        attribute = random.choice(node.attribute)
        if random.random() < 0.1:
            node.attribute.remove(attribute)
        elif attribute.type == onnx.AttributeProto.INT:
            attribute.i = random.choice((*_SIZES, attribute.i // 2 + 1, attribute.i // 2 - 1))
        elif attribute.type == onnx.AttributeProto.INTS and attribute.ints:
            attribute.ints[random.randrange(len(attribute.ints))] = random.choice(_SIZES)
        elif attribute.type == onnx.AttributeProto.FLOAT:
            attribute.f = random.choice(_NUMBERS)
        elif attribute.type == onnx.AttributeProto.STRING:
            attribute.s = random.choice((b"", b"none", b"tanh", b"\xff\xfe", b"constant", b"bsnh,hd->bsn"))
        elif attribute.type == onnx.AttributeProto.TENSOR:
            _change_tensor(attribute.t, random)
        else:
            mutate_fields(attribute, random)

    def _splice(self, model: onnx.ModelProto, random: Random) -> None:
        """Nodes of another model behind some value of this one."""
        if not self._samples:
            return
        other = onnx.ModelProto()
        other.CopyFrom(random.choice(self._samples))
        values = _names(model)
        if not (values and other.graph.node):
            return
        start = random.randrange(len(other.graph.node))
        part = other.graph.node[start : start + random.choice((1, 2, 4, 8))]
        made = {name for node in part for name in node.output}
        constants = {t.name: t for t in other.graph.initializer}
        for node in part:
            for index, name in enumerate(node.input):
                if name in constants:
                    made.add(name)
                    model.graph.initializer.add().CopyFrom(constants[name])
                elif name not in made:
                    node.input[index] = random.choice(values)
            model.graph.node.add().CopyFrom(node)
        if model.graph.output:
            random.choice(model.graph.output).name = random.choice(sorted(made))


def parsed(data: bytes) -> onnx.ModelProto | None:
    """The message, if it is one."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # protobuf's DecodeError; its package has no types
        return None
    return model


def _any_node(model: onnx.ModelProto, random: Random) -> onnx.NodeProto | None:
    return random.choice(model.graph.node) if model.graph.node else None


def _names(model: onnx.ModelProto) -> list[str]:
    graph = model.graph
    made = [name for node in graph.node for name in node.output]
    return [*(v.name for v in graph.input), *(t.name for t in graph.initializer), *made]


def _change_operation(model: onnx.ModelProto, random: Random) -> None:
    node = _any_node(model, random)
    if node is None:
        return
    if random.random() < 0.15:
        node.domain = random.choice(_DOMAINS)
    elif random.random() < 0.1:
        node.op_type, node.domain = random.choice(_CONTRIB), "com.microsoft"
    else:
        node.op_type = random.choice(_STANDARD)


def _change_edge(model: onnx.ModelProto, random: Random) -> None:
    node = _any_node(model, random)
    if node is None:
        return
    names = [*_names(model), "", "nowhere"]
    choice = random.randrange(6)
    if choice <= 2 and node.input:
        node.input[random.randrange(len(node.input))] = random.choice(names)
    elif choice == 3:
        node.input.append(random.choice(names))
    elif choice == 4 and node.input:
        del node.input[random.randrange(len(node.input)) :]
    elif node.output:
        node.output[random.randrange(len(node.output))] = random.choice((*names, "new"))


def _remove_node(model: onnx.ModelProto, random: Random) -> None:
    if model.graph.node:
        del model.graph.node[random.randrange(len(model.graph.node))]


def _double_node(model: onnx.ModelProto, random: Random) -> None:
    node = _any_node(model, random)
    if node is not None:
        model.graph.node.add().CopyFrom(node)


def _move_node(model: onnx.ModelProto, random: Random) -> None:
    nodes = list(model.graph.node)
    if nodes:
        nodes.insert(random.randrange(len(nodes)), nodes.pop(random.randrange(len(nodes))))
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def _insert_node(model: onnx.ModelProto, random: Random) -> None:
    """An operation of the standard on values that are there; its result replaces one of them further on."""
    names, node = _names(model), _any_node(model, random)
    if not names or node is None or not node.input:
        return
    schema = _SCHEMAS[random.choice(_STANDARD)] if random.random() < 0.9 else None
    new = onnx.NodeProto(op_type=schema.name if schema else random.choice(_CONTRIB), name="inserted")
    new.domain = "" if schema else "com.microsoft"
    least = max(1, schema.min_input) if schema else 2
    count = random.randint(least, max(least, min(schema.max_input, 4)) if schema else 5)
    place = random.randrange(len(node.input))
    new.input.extend([node.input[place], *(random.choice(names) for _ in range(count - 1))])
    new.output.append("inserted")
    node.input[place] = "inserted"
    position = list(model.graph.node).index(node)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:position], new, *nodes[position:]])


def _change_constant(model: onnx.ModelProto, random: Random) -> None:
    if not model.graph.initializer:
        return
    tensor = random.choice(model.graph.initializer)
    if random.random() < 0.05:
        model.graph.initializer.remove(tensor)
    elif random.random() < 0.1:
        tensor.name = random.choice(_names(model))
    else:
        _change_tensor(tensor, random)


def _change_tensor(tensor: onnx.TensorProto, random: Random) -> None:
    choice = random.randrange(7)
    if choice == 0 and tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice(_SIZES)
    elif choice == 1:
        tensor.data_type = random.randrange(30)
    elif choice == 2:
        tensor.raw_data = tensor.raw_data[: random.randrange(len(tensor.raw_data) + 1)]
    elif choice == 3:
        values = np.array([random.choice(_SIZES) for _ in range(random.randint(0, 4))], np.int64)
        _replace(tensor, values, random)
    elif choice == 4:
        values = np.array([random.choice(_NUMBERS) for _ in range(random.randint(0, 3))], np.float32)
        _replace(tensor, values, random)
    elif choice == 5 and len(tensor.raw_data) >= 8:
        width = random.choice((4, 8))
        start = random.randrange(len(tensor.raw_data) // width) * width
        odd = (random.choice(_SIZES) % (1 << 8 * width)).to_bytes(width, "little")
        tensor.raw_data = tensor.raw_data[:start] + odd + tensor.raw_data[start + width :]
    else:
        mutate_fields(tensor, random)


def _replace(tensor: onnx.TensorProto, values: np.ndarray, random: Random) -> None:
    if values.size == 1 and random.random() < 0.5:
        values = values.reshape(())
    name = tensor.name
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, name))


def _change_info(model: onnx.ModelProto, random: Random) -> None:
    graph = model.graph
    infos = [*graph.input, *graph.input, *graph.output, *graph.value_info]
    if not infos:
        return
    info = random.choice(infos)
    tensor = info.type.tensor_type
    choice = random.randrange(7)
    if choice <= 2 and tensor.shape.dim:
        dimension = random.choice(tensor.shape.dim)
        if random.random() < 0.25:
            dimension.dim_param = random.choice(("n", "batch", "", "1"))
        else:
            dimension.dim_value = random.choice(_SIZES)
    elif choice == 3:
        tensor.shape.dim.add().dim_value = random.choice(_SIZES)
    elif choice == 4 and tensor.shape.dim:
        del tensor.shape.dim[random.randrange(len(tensor.shape.dim))]
    elif choice == 5:
        tensor.elem_type = random.randrange(30)
    else:
        mutate_fields(info, random)


def _change_outputs(model: onnx.ModelProto, random: Random) -> None:
    names = _names(model)
    outputs = model.graph.output
    choice = random.randrange(4)
    if choice == 0 and outputs:
        outputs.remove(random.choice(outputs))
    elif choice == 1 and outputs:
        outputs.add().CopyFrom(random.choice(outputs))
    elif names:
        output = random.choice(outputs) if outputs and choice == 2 else outputs.add()
        output.name = random.choice(names)
        if random.random() < 0.5:
            output.ClearField("type")


def _change_opset(model: onnx.ModelProto, random: Random) -> None:
    if model.opset_import and random.random() < 0.7:
        random.choice(model.opset_import).version = random.randint(0, 30)
    elif random.random() < 0.5:
        model.ir_version = random.randint(0, 20)
    else:
        new = model.opset_import.add()
        new.domain, new.version = random.choice(_DOMAINS), random.randint(0, 30)


def _change_location(model: onnx.ModelProto, random: Random) -> None:
    """A constant's data in another file."""
    if not model.graph.initializer:
        return
    tensor = random.choice(model.graph.initializer)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    del tensor.external_data[:]
    entries = {"location": random.choice(_LOCATIONS), "offset": "0", "length": "16", "checksum": "x"}
    for key in random.sample(sorted(entries), random.randint(1, 4)):
        value = (
            entries[key] if key == "location" else random.choice(("0", "16", "-1", "1e3", "", str(1 << 63)))
        )
        tensor.external_data.add(key=key, value=value)


def _make_function(model: onnx.ModelProto, random: Random) -> None:
    """A node's operation becomes a function of the model's own, which may call itself."""
    node = _any_node(model, random)
    if node is None:
        return
    body = onnx.NodeProto()
    body.CopyFrom(node)
    function = model.functions.add(name="F", domain="local")
    function.input.extend(node.input)
    function.output.extend(node.output)
    function.opset_import.extend(model.opset_import)
    node.op_type, node.domain = "F", "local"
    function.node.add().CopyFrom(node if random.random() < 0.2 else body)
    if random.random() < 0.8:
        model.opset_import.add(domain="local", version=1)


def _nest(model: onnx.ModelProto, random: Random) -> None:
    """A node with the graph itself as its body, some levels deep."""
    node = _any_node(model, random)
    if node is None:
        return
    body = onnx.GraphProto()
    body.CopyFrom(model.graph)
    for _ in range(random.choice((1, 1, 2, 5))):
        outer = onnx.GraphProto()
        outer.node.add(op_type="If", input=["c"], output=["o"]).attribute.add(
            name="then_branch", type=onnx.AttributeProto.GRAPH, g=body
        )
        body = outer
    node.op_type = random.choice(("If", "Loop", "Scan", "SequenceMap", node.op_type))
    for name in random.sample(("then_branch", "else_branch", "body"), 2):
        node.attribute.add(name=name, type=onnx.AttributeProto.GRAPH, g=body)
