"""Small ONNX graphs for tests: written as text, weights as arrays, imported and compared with onnxruntime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx.parser

from mpcc.compiler.calibrate import generate_samples
from mpcc.compiler.frontend import Imported, import_model
from mpcc.compiler.frontend.check import check_against_onnxruntime

MODELS = Path(__file__).parent.parent / "models"
DENSE = (
    "bert.legacy17",
    "bert.dynamo20",
    "distilbert.dynamo20",
    "gpt2.dynamo18",
    "t5enc.legacy17",
    "vit.legacy17",
    "llama.dynamo20",
    "llama.dynamo23",
)


def build(signature: str, body: str, opset: int = 17, /, **weights: np.ndarray) -> onnx.ModelProto:
    """A model from onnx's text form: `(float[2] x) => (float[2] y)`, statements; weights are initializers."""
    text = f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>\ng {signature} {{ {body} }}'
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(a, name) for name, a in weights.items())
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    return model


def with_secret_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same on float inputs that neither party knows: the client's input plus a weight, one `add` each."""
    for value in reversed(model.graph.input):
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            width = value.type.tensor_type.shape.dim[-1].dim_value
            hidden = onnx.numpy_helper.from_array(weight(width, seed=9), f"{value.name}_hidden")
            model.graph.initializer.append(hidden)
            names = [f"{value.name}_client", hidden.name]
            addition = onnx.helper.make_node("Add", names, [value.name], name=f"hidden_{value.name}")
            model.graph.node.insert(0, addition)
            value.name += "_client"
    return model


def save(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def weight(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def scalar(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def imported(folder: Path, model: onnx.ModelProto, tolerance: float = 1e-5, **dims: int) -> Imported:
    """Import and require that the program equals onnxruntime on generated inputs."""
    path = save(folder, with_secret_inputs(model))
    result = import_model(path, dims, {}, {})
    for sample in generate_samples(result.inputs, seed=1, count=4):
        assert check_against_onnxruntime(result, path, sample) < tolerance
    return result


def kinds(result: Imported) -> Counter[str]:
    """How many operations of each kind, without sources and the additions that made the inputs secret."""
    operations = [o for o in result.program.operations if o.kind not in ("constant", "input")]
    return Counter(o.kind for o in operations if not any(n.startswith("hidden_") for n in o.onnx_nodes))
