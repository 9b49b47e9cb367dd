"""Single nonlinear operations in the sizes of a BERT-base layer, as ONNX models with inputs.

The operand is the client's input plus a weight (of 0), so that neither party knows it; the client gets the
result: one of a row's rounds reveals it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Make = Callable[[np.random.Generator], np.ndarray]


def gelu(generator: np.random.Generator) -> np.ndarray:
    """128 x 3072 arguments that cover [-14, 14] evenly, both ends among them."""
    return generator.permutation(np.linspace(-14, 14, 128 * 3072)).reshape(1, 128, 3072)


def softmax(generator: np.random.Generator) -> np.ndarray:
    """12 heads of 128 x 128 attention scores, as wide as a trained model's."""
    return np.asarray(4 * generator.standard_normal((12, 128, 128)))


def layer_norm(generator: np.random.Generator) -> np.ndarray:
    """128 rows of 768 with standard deviations from 0.1 to 20 and means of their own."""
    deviations = np.geomspace(0.1, 20, 128)[:, None]
    rows = generator.standard_normal((128, 768)) + generator.standard_normal((128, 1))
    return np.asarray(deviations * rows)


NODES: dict[str, tuple[Make, str, dict[str, Any], int]] = {
    "gelu": (gelu, "Gelu", {}, 0),
    "softmax": (softmax, "Softmax", {"axis": -1}, 0),
    "layernorm": (layer_norm, "LayerNormalization", {"axis": -1}, 2),
}


def write(name: str, folder: Path) -> tuple[Path, Path, tuple[Path, ...]]:
    """model.onnx, an input and a calibration input of one operation in an empty folder."""
    make, operation, attributes, parameters = NODES[name]
    generator = np.random.default_rng(0)
    paths = [folder / f"{i}.npz" for i in range(2)]
    arrays = [np.asarray(make(generator), dtype=np.float32) for _ in paths]
    for path, array in zip(paths, arrays, strict=True):
        np.savez(path, allow_pickle=False, x=array)
    shape = arrays[0].shape
    weights = {
        f"w{i}": generator.normal(1 - i, 0.1, (shape[-1],)).astype(np.float32) for i in range(parameters)
    }
    nodes = [
        helper.make_node("Add", ["x", "zero"], ["operand"]),
        helper.make_node(operation, ["operand", *weights], ["y"], **attributes),
    ]
    weights["zero"] = np.zeros(shape[-1], np.float32)
    zero = np.zeros(shape[-1], np.float32)
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(array, key) for key, array in {**weights, "zero": zero}.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx", paths[0], tuple(paths[1:])
