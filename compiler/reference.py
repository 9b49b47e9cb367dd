"""What values should be: onnxruntime's tensors, the imported program in floating point where it has none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpcc.compiler.backend.emit import MODEL_NAME
from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend import import_model
from mpcc.compiler.frontend.check import run_local, session, with_extra_outputs
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Program
from mpcc.ir.types import TensorType, Visibility
from mpcc.runtime.program_folder import file_sha256, read_manifest

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Reference:
    """The imported program, its secret float values by name, and the model's outputs, on one input.

    `values` and `outputs` are onnxruntime's where it has them; `computed` are the imported program's own.
    """

    program: Program
    values: Arrays
    outputs: Arrays
    computed: Arrays

    def constant(self, operation: Operation, index: int) -> np.ndarray | None:
        """The array of an operation's constant operand, None when there is no such operand."""
        if index >= len(operation.operands):
            return None
        producer = self.program.producers()[operation.operands[index]]
        return self.program.constants[str(producer.attributes["name"])]


def reference(folder: Path, model: Path | None, inputs: Arrays) -> Reference:
    """Evaluate the model that a folder was compiled from on the client's inputs, by graph input name.

    `model` stands in for the path remembered in the folder. Raises MPC-C031 when there is no model, MPC-C032
    when it is another one, MPC-C033 when the folder remembers none.
    """
    manifest = read_manifest(folder)
    path = _model_path(folder, model, str(manifest["program"]["model_sha256"]))
    options = manifest["program"]["options"]
    imported = import_model(path, options["dims"], options["owners"], options["reveals"])
    computed = evaluate(imported.program, run_local(imported, inputs))
    secret = {
        v.name: array
        for v, array in computed.items()
        if isinstance(v.type, TensorType)
        and v.type.visibility is Visibility.SECRET
        and v.type.dtype == "float"
    }
    own = {**secret, **{v.name: computed[v] for v in imported.program.outputs.values()}}
    tensors = {name: tensor for name, tensor in imported.tensor_names.items() if name in secret}
    names = list(dict.fromkeys([*tensors.values(), *imported.program.outputs]))
    run = session(with_extra_outputs(path, names).SerializeToString(), path.parent).run(names, dict(inputs))
    measured = dict(zip(names, map(np.asarray, run), strict=True))
    for name, tensor in tensors.items():
        if np.all(
            np.isfinite(measured[tensor])
        ):  # onnxruntime has NaN where a guarded softmax masks a whole row
            secret[name] = measured[tensor].astype(np.float64)
    outputs = {name: measured[name] for name in imported.program.outputs}
    return Reference(imported.program, secret, outputs, own)


def side_file(folder: Path, name: str) -> str:
    """The text of a file that mpcc compile wrote for this command. Raises MPC-C033."""
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError:
        raise MpccError(
            "MPC-C033",
            f"the program folder has no {name}",
            where=str(folder),
            remedy="give the whole folder that mpcc compile wrote, or compile the model again",
        ) from None


def _model_path(folder: Path, model: Path | None, expected: str) -> Path:
    path = model or Path(json.loads(side_file(folder, MODEL_NAME))["path"])
    if not path.is_file():
        raise MpccError(
            "MPC-C031",
            "the model that the program was compiled from is not here",
            where=str(path),
            remedy="name it with --model MODEL.onnx",
        )
    if file_sha256(path) != expected:
        raise MpccError(
            "MPC-C032",
            "this is not the model that the program was compiled from",
            where=str(path),
            remedy="name that model with --model MODEL.onnx, or compile this one",
        )
    return path
