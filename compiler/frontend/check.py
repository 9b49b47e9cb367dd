"""Running what was imported: party 1's local model, the original model, and the comparison of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend.imported import Imported
from mpcc.ir.diagnostics import MpccError

Arrays = dict[str, np.ndarray]


def session(model: bytes | str, data: Path | None = None) -> onnxruntime.InferenceSession:
    """A CPU session that logs nothing, and whose threads do not wait busily: others compute meanwhile.

    `data` is the folder of the external data that the bytes of a model refer to. Raises MPC-F051.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if data is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(data))
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own classes
        raise _cannot_run(error) from error


def run(session: onnxruntime.InferenceSession, names: list[str], feeds: Arrays) -> list[np.ndarray]:
    """The named outputs. Raises MPC-F051."""
    try:
        return [np.asarray(array) for array in session.run(names, feeds)]
    except Exception as error:  # onnxruntime raises its own classes
        raise _cannot_run(error) from error


def _cannot_run(error: Exception) -> MpccError:
    return MpccError(
        "MPC-F051",
        f"onnxruntime cannot run the model: {str(error).strip().splitlines()[0]}",
        remedy="export it in float32, with an opset that onnxruntime knows",
    )


def run_local(imported: Imported, inputs: Arrays) -> Arrays:
    """The secure program's inputs from the graph's inputs: party 1's local model, and the others' inputs
    unchanged.
    """
    arrays = dict(inputs)
    if imported.local_model is not None:
        local = session(imported.local_model.SerializeToString())
        names = [output.name for output in local.get_outputs()]
        feeds = {i.name: inputs[i.name] for i in local.get_inputs()}
        arrays.update(zip(names, run(local, names, feeds), strict=True))
    return arrays


def check_against_onnxruntime(imported: Imported, model_path: str | Path, inputs: Arrays) -> float:
    """Largest absolute difference between the program in floating point and onnxruntime, over all outputs."""
    expected = run(session(str(model_path)), [o.name for o in imported.outputs], inputs)
    values = evaluate(imported.program, run_local(imported, inputs), keep_all=False)
    found = [values[imported.program.outputs[o.name]] for o in imported.outputs]
    differences = (np.subtract(f, e, dtype=np.float64) for f, e in zip(found, expected, strict=True))
    return max(float(np.max(np.abs(d), initial=0.0)) for d in differences)


def with_extra_outputs(model_path: str | Path, tensors: list[str]) -> onnx.ModelProto:
    """The model with the given tensors as further outputs; external data stays where it is: a message has
    2 GB at most.
    """
    model = onnx.load(str(model_path), load_external_data=False)
    present = {o.name for o in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=t) for t in tensors if t not in present)
    return model
