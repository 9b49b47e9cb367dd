"""The harness's works as SPU gets them: the model's own weights, in order, and the client's own input.

SPU computes what the ONNX model does from its first parametrized or nonlinear operation to its last one:
looking up embeddings before, pooling and normalizing sentence vectors after are left out, in SPU's favour.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from tests.benchmarks.rows import ROWS, Material

KINDS = ("MatMul", "Gemm", "LayerNormalization", "Gelu", "Softmax")
EMBEDDINGS = "embedding lookup"
POOLING = "embedding lookup, mean pooling and normalization"


@dataclass(frozen=True)
class Work:
    """`model` of spu_models; `matrices` whether the server has some to multiply with; `left_out` is what mpcc
    computes and SPU does not have to.
    """

    model: str
    matrices: bool
    heads: int = 0
    left_out: str = ""


WORKS = {
    "matmul": Work("matmul", True),
    "gelu": Work("gelu", False),
    "softmax": Work("softmax", False),
    "layernorm": Work("layer_norm", False),
    "bert-layer": Work("encoder", True, 12),
    "bert-base": Work("encoder", True, 12),
    "minilm32": Work("sentence_encoder", True, 12, POOLING),
    "minilm128": Work("sentence_encoder", True, 12, POOLING),
    "gpt2-small": Work("gpt2", True, 12, EMBEDDINGS),
}


def write(name: str, folder: Path) -> Path:
    """x, mask (where the model has one), weights w000, w001, ... and the float result y, as an npz file."""
    arrays = extract(ROWS[name].prepare(folder))
    path = folder / "spu.npz"
    np.savez(path, allow_pickle=False, **arrays)
    return path


def extract(material: Material) -> dict[str, np.ndarray]:
    """As `write` writes them. The weights stand in the order of the nodes: matrix, bias; scale, bias."""
    model = onnx.load(material.model)
    nodes = model.graph.node
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in nodes:
        if node.op_type == "Transpose" and node.input[0] in constants:  # of a tied matrix
            constants[node.output[0]] = constants[node.input[0]].T
    readers = {name: node for node in nodes for name in node.input}
    weights: list[np.ndarray] = []
    found: list[tuple[str, str]] = []  # operand and result of each
    for node in nodes:
        parameters = [name for name in node.input[1:] if name in constants]
        if node.op_type not in KINDS or (node.op_type in ("MatMul", "Gemm") and not parameters):
            continue
        result = node.output[0]
        after = readers.get(result)
        if node.op_type == "MatMul" and after is not None and after.op_type == "Add":
            biases = [name for name in after.input if name in constants]
            parameters, result = parameters + biases, after.output[0] if biases else result
        values = [constants[name] for name in parameters]
        if any(attribute.name == "transB" and attribute.i for attribute in node.attribute):
            values[0] = values[0].T
        if node.op_type == "Gemm" and len(values) == 1:  # exported without its bias of zeros
            values.append(np.zeros(values[0].shape[1], np.float32))
        weights += values
        found.append((node.input[0], result))
    with np.load(material.input) as file:
        inputs = {key: file[key] for key in file.files}
    x, y = _values(model, inputs, found[0][0], found[-1][1])
    arrays = {"x": x, "y": y}
    if "attention_mask" in inputs:
        arrays["mask"] = inputs["attention_mask"].astype(np.float32)
    return arrays | {f"w{index:03d}": weight for index, weight in enumerate(weights)}


def _values(model: onnx.ModelProto, inputs: dict[str, np.ndarray], *names: str) -> list[np.ndarray]:
    """Of inner values, by onnxruntime."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    wanted = [name for name in dict.fromkeys(names) if name not in inputs]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    values = inputs | dict(zip(wanted, session.run(wanted, inputs), strict=True))
    return [np.asarray(values[name]) for name in names]
