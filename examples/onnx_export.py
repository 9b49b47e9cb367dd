"""Export a torch module with either of torch's two ONNX exporters, checked against torch by onnxruntime."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir
import onnxruntime
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

EXPORTERS = ("dynamo", "legacy")


def export(
    model: nn.Module,
    inputs: dict[str, Tensor],
    output: str,
    path: Path,
    *,
    exporter: str = "dynamo",
    opset: int = 20,
    dynamic_axes: dict[str, dict[int, str]] | None = None,
) -> float:
    """Write `model` to `path`; return onnxruntime's largest absolute difference from torch on `inputs`.

    `inputs` maps the graph's input names to example values, in the order of the model's forward arguments;
    `dynamic_axes` names symbolic dimensions as {input: {axis: name}}. "dynamo" is the torch.export based
    exporter, "legacy" the TorchScript one. The exporter's notes (stack traces with local paths) are removed.
    """
    arguments = tuple(inputs.values())
    shapes = None
    if dynamic_axes is not None and exporter == "dynamo":
        shapes = tuple(
            {axis: torch.export.Dim(label) for axis, label in dynamic_axes.get(name, {}).items()}
            for name in inputs
        )
    for library in ("torch.onnx", "onnxscript"):
        logging.getLogger(library).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            arguments,
            path,
            input_names=list(inputs),
            output_names=["exported_output"],  # `output` itself may be the name of an inner value
            opset_version=opset,
            dynamo=exporter == "dynamo",
            external_data=False,
            dynamic_shapes=shapes,
            dynamic_axes=dynamic_axes if exporter == "legacy" else None,
            verbose=False,
        )
    graph = onnx_ir.load(path)
    ClearMetadataAndDocStringPass()(graph)
    for node in graph.graph:
        for value in node.outputs:
            if value.name == output:
                value.name = f"{output}_inner"
    graph.graph.outputs[0].name = output
    onnx_ir.save(graph, path)

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (actual,) = session.run([output], {name: value.numpy() for name, value in inputs.items()})
    with torch.no_grad():
        expected = model(*arguments).numpy()
    return float(np.abs(np.asarray(actual) - expected).max())


def operation_counts(path: Path) -> Sequence[tuple[str, int]]:
    """(ONNX operation, how often it stands in the graph), most frequent first."""
    counts: dict[str, int] = {}
    for node in onnx_ir.load(path).graph:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
