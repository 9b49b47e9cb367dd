"""Where a party's source operations get their integers: inputs, local model, weights, public constants."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.dialects.base import integer, integers
from mpcc.ir.dialects.share import ROW_FUNCTIONS
from mpcc.ir.program import Operation
from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.ring import F64, I32, I64, Rows, decode, encode, encode_narrow

Arrays = dict[str, np.ndarray]
_REMEDY_FOR_NUMBERS = (
    "check the inputs' unit, such as 0..1 or 0..255; if they are right, compile again with --calibrate on "
    "inputs like these"
)
_REMEDY_FOR_MASKS = "check the attention mask and the ids: every row needs a position to attend to"


class Sources:
    """Encoded arrays of source operations. `inputs` are this party's own of the secure program, by name.

    Weights and constants are shared by those that `with_inputs` makes, also between threads: nobody writes
    into them.
    """

    def __init__(self, inputs: Arrays, weights: Mapping[str, Rows], constants: Arrays) -> None:
        self.inputs = inputs
        self._weights = weights
        self._constants = constants
        self._encoded: dict[tuple[str, int], I64 | I32] = {}
        self._encoding = threading.Lock()

    def with_inputs(self, inputs: Arrays) -> Sources:
        """Those of another run of the same program."""
        other = copy.copy(self)
        other.inputs = inputs
        return other

    def __call__(self, operation: Operation) -> I64:
        """The integers that the parties share."""
        return np.asarray(self.narrow(operation), dtype=np.int64)

    def narrow(self, operation: Operation) -> I64 | I32:
        """The same; a weight's are kept for the next call, in 32 bits where all fit: nothing that is sent
        depends on whether they do.
        """
        name = str(operation.attributes["name"])
        if operation.kind == "constant":
            return self._constants[name]
        if operation.kind == "one_hot_input":
            depth = integers(operation.attributes, "shape")[-1]
            return np.asarray(self.inputs[name][..., None] == np.arange(depth), dtype=np.int64)
        fraction = integer(operation.attributes, "fraction")
        if operation.kind != "weight":
            return encode(self.real(operation), fraction)
        key = (name, fraction)
        with self._encoding:
            if key not in self._encoded:
                self._encoded[key] = encode_narrow(self._weights[name], fraction)
                self._encoded[key].setflags(write=False)
            return self._encoded[key]

    def real(self, operation: Operation) -> F64:
        """The numbers that the integers stand for, before they are rounded."""
        attributes = operation.attributes
        name = str(attributes["name"])
        if operation.kind == "constant":
            return decode(self._constants[name], integer(attributes, "fraction"))
        if operation.kind == "one_hot_input":
            return self(operation).astype(np.float64)
        if operation.kind == "weight":
            return np.asarray(self._weights[name], dtype=np.float64)
        scale, offset = float(attributes.get("scale", 1.0)), float(attributes.get("offset", 0.0))  # type: ignore[arg-type]
        function = ROW_FUNCTIONS[str(attributes.get("function", ""))]
        values = function(self.inputs[name].astype(np.float64)) * scale + offset
        return values.reshape(integers(attributes, "shape"))


def client_arrays(local_model: Path | None, local_outputs: list[dict[str, Any]], inputs: Arrays) -> Arrays:
    """Party 1's inputs of the secure program: graph inputs through its local model, checked. Raises MPC-R044.

    Values must keep to the magnitude that their ring was chosen for. Masks must be 0 or 1; where the model
    gives a row without any kept position no meaning, such a row is refused.
    """
    arrays = dict(inputs)
    if local_model is not None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(str(local_model), options, providers=["CPUExecutionProvider"])
        names = [o.name for o in session.get_outputs()]
        feeds = {i.name: inputs[i.name] for i in session.get_inputs()}
        arrays.update(zip(names, map(np.asarray, session.run(names, feeds)), strict=True))
    with Diagnostics() as diagnostics:
        for entry in local_outputs:
            array = arrays.get(entry["name"])
            problem = "is missing" if array is None else _problem(array, entry)
            if problem:
                diagnostics.add(
                    "MPC-R044",
                    f"'{entry['name']}', computed from the inputs, {problem}",
                    remedy=_REMEDY_FOR_NUMBERS if entry["check"] == "none" else _REMEDY_FOR_MASKS,
                )
    return arrays


def client_inputs(folder: PartyFolder, inputs: Arrays) -> Arrays:
    """`client_arrays` of party 1's folder."""
    return client_arrays(folder.local_model, folder.manifest.get("local_outputs", []), inputs)


def _problem(array: np.ndarray, entry: dict[str, Any]) -> str | None:
    check, high, bound = entry["check"], entry.get("max"), entry.get("bound")
    if not np.all(np.isfinite(array)):
        return "is not finite"
    if bound is not None and np.any(np.abs(np.asarray(array, dtype=np.float64)) > bound):
        return f"is beyond the magnitude of {bound:g} that the program was compiled for"
    if check == "ids" and (array.min(initial=0) < 0 or (high is not None and array.max(initial=0) > high)):
        return f"has an id outside 0..{high}"
    if check in ("keep", "keep_rows") and not np.isin(array, (0, 1)).all():
        return "is no mask of 0 and 1"
    if check == "keep_rows" and not (array != 0).any(axis=-1).all():
        return "masks a whole row"
    return None
