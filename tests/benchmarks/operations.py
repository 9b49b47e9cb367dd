"""Single operations in the sizes of a BERT-base layer, as ONNX models with inputs.

The operand of a nonlinear one is the client's input plus a weight (of 0), so that neither party knows it;
that of the matrix product is the client's, the other factor the server's. The client gets the result: the
last round of a row reveals it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


def rows(generator: np.random.Generator) -> np.ndarray:
    """128 rows of 768, as after a LayerNorm."""
    return np.asarray(generator.standard_normal((128, 768)))


@dataclass(frozen=True)
class Operation:
    """`weights` are mean, deviation and shape; `plain` operands are the client's input itself."""

    make: Make
    kind: str
    attributes: dict[str, Any]
    weights: tuple[tuple[float, float, tuple[int, ...]], ...] = ()
    plain: bool = False


OPERATIONS = {
    "matmul": Operation(rows, "MatMul", {}, ((0, 0.04, (768, 3072)),), plain=True),
    "gelu": Operation(gelu, "Gelu", {}),
    "softmax": Operation(softmax, "Softmax", {"axis": -1}),
    "layernorm": Operation(
        layer_norm, "LayerNormalization", {"axis": -1}, ((1, 0.1, (768,)), (0, 0.1, (768,)))
    ),
}


def write(name: str, folder: Path) -> tuple[Path, Path, tuple[Path, ...]]:
    """model.onnx, an input and a calibration input of one operation in an empty folder."""
    operation, generator = OPERATIONS[name], np.random.default_rng(0)
    paths = [folder / f"{i}.npz" for i in range(2)]
    arrays = [np.asarray(operation.make(generator), dtype=np.float32) for _ in paths]
    for path, array in zip(paths, arrays, strict=True):
        np.savez(path, allow_pickle=False, x=array)
    shape = arrays[0].shape
    weights = {
        f"w{i}": generator.normal(mean, deviation, size).astype(np.float32)
        for i, (mean, deviation, size) in enumerate(operation.weights)
    }
    operand = "x" if operation.plain else "operand"
    nodes = [helper.make_node(operation.kind, [operand, *weights], ["y"], **operation.attributes)]
    if not operation.plain:
        nodes.insert(0, helper.make_node("Add", ["x", "zero"], ["operand"]))
        weights["zero"] = np.zeros(shape[-1], np.float32)
    result = (*shape[:-1], weights["w0"].shape[-1]) if operation.kind == "MatMul" else shape
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, result)],
        [numpy_helper.from_array(array, key) for key, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx", paths[0], tuple(paths[1:])
