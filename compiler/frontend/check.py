"""Running what was imported: party 1's local model, the original model, and the comparison of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend.imported import Imported


def session(model: bytes | str, data: Path | None = None) -> onnxruntime.InferenceSession:
    """A CPU session that logs nothing, and whose threads do not wait busily: others compute meanwhile.

    `data` is the folder of the external data that the bytes of a model refer to.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if data is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(data))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_local(imported: Imported, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The secure program's inputs from the graph's inputs: party 1's local model, and the others' inputs
    unchanged.
    """
    arrays = dict(inputs)
    if imported.local_model is not None:
        local = session(imported.local_model.SerializeToString())
        names = [output.name for output in local.get_outputs()]
        feeds = {i.name: inputs[i.name] for i in local.get_inputs()}
        arrays.update(zip(names, map(np.asarray, local.run(names, feeds)), strict=True))
    return arrays


def check_against_onnxruntime(
    imported: Imported, model_path: str | Path, inputs: dict[str, np.ndarray]
) -> float:
    """Largest absolute difference between the program in floating point and onnxruntime, over all outputs."""
    expected = session(str(model_path)).run([o.name for o in imported.outputs], inputs)
    values = evaluate(imported.program, run_local(imported, inputs), keep_all=False)
    found = [values[imported.program.outputs[o.name]] for o in imported.outputs]
    return max(float(np.max(np.abs(f - e), initial=0.0)) for f, e in zip(found, expected, strict=True))


def with_extra_outputs(model_path: str | Path, tensors: list[str]) -> onnx.ModelProto:
    """The model with the given tensors as further outputs; external data stays where it is: a message has
    2 GB at most.
    """
    model = onnx.load(str(model_path), load_external_data=False)
    present = {o.name for o in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=t) for t in tensors if t not in present)
    return model
