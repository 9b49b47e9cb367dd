"""mpcc as a backend of ONNX (`onnx.backend.base`): for conformance, not for use.

The dealer and both parties run in this one process, which sees both shares: *nothing is hidden from anybody*.
What they compute and send is what two machines would. A program is calibrated on the inputs it first runs on.
"""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.defs
import onnx.shape_inference
import onnx.version_converter
from onnx.backend.base import Backend, BackendRep, Device, DeviceType

from mpcc.compiler.backend.emit import Compiled
from mpcc.compiler.both_parties import run_both
from mpcc.compiler.calibrate import Calibration, calibrate
from mpcc.compiler.driver import Request, compile_model, widened
from mpcc.compiler.frontend.load import MAX_OPSET, MIN_OPSET
from mpcc.compiler.onnx_backend_inputs import (
    Arrays,
    Division,
    Holder,
    divide,
    graph_inputs,
    usual_holders,
)
from mpcc.ir.diagnostics import MpccError, MpccErrors
from mpcc.ir.program import Program
from mpcc.ir.types import TensorType, Visibility

DEFECT = "MPC-F050"  # the imported program is wrong
REFUSED_INPUT = "MPC-R044"
IR_VERSION = 10  # of the file format, where opsets do not need a newer one: onnxruntime lags behind
HELD = 1.2  # times the calibrated range: what every approximation holds on


class Refused(MpccErrors, unittest.SkipTest):
    """What mpcc does not compile, with its codes: ONNX's test suite skips such a test."""


class MpccBackend(Backend):
    """Runs a model as a two-party computation, calibrated on the inputs of its first run."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return bool(Device(device).type == DeviceType.CPU)

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether device and opset are supported; what each operation does shows when it is compiled."""
        opsets = {o.domain: o.version for o in _in_supported_opset(model).opset_import}
        return cls.supports_device(device) and MIN_OPSET <= opsets.get("", 0) <= MAX_OPSET

    @classmethod
    def prepare(
        cls,
        model: onnx.ModelProto,
        device: str = "CPU",
        *,
        holders: Mapping[str, Holder] | None = None,
        approximations: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> PreparedModel:
        """Ready to run. `holders` says who holds an input, by name; `usual_holders` decides for the others.
        `approximations` are by function what `mpcc compile --approximate` takes.

        Nothing is compiled yet: that takes inputs. Other arguments are those of ONNX's test runner.
        """
        super().prepare(model, device)
        divided = {**usual_holders(model), **(holders or {})}
        return PreparedModel(_in_supported_opset(model), divided, approximations or {})

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[np.ndarray, ...]:
        """Run one operation, of the opset `opset_version` if that is given."""
        super().run_node(node, inputs, device, outputs_info, **kwargs)
        opset = int(kwargs.pop("opset_version", onnx.defs.onnx_opset_version()))
        return cls.run_model(_model_of(node, _listed(inputs), opset), inputs, device, **kwargs)


class PreparedModel(BackendRep):
    """A model and, after the first run, its program."""

    def __init__(
        self, model: onnx.ModelProto, holders: Mapping[str, Holder], approximations: Mapping[str, str]
    ) -> None:
        self._model, self._holders, self._approximations = model, holders, approximations
        self._program: _Program | None = None

    def run(self, inputs: Any, **kwargs: Any) -> tuple[np.ndarray, ...]:
        """The outputs on `inputs`: arrays in the model's order, or by name.

        Compiles unless the last program is for such inputs. Raises Refused with the codes of the compiler,
        MPC-F040 for inputs that do not fit, MPC-F050 for a defect, MPC-R0.. for what fails in the run.
        """
        arrays = self._by_name(inputs)
        if self._program is None or not self._program.holds_on(arrays):
            division = divide(self._model, arrays, self._holders)
            self._program = _Program.compile(division, arrays, self._approximations)
        return self._program.run(arrays)

    def _by_name(self, inputs: Any) -> Arrays:
        names = [value.name for value in graph_inputs(self._model)]
        given = inputs if isinstance(inputs, Mapping) else dict(zip(names, _listed(inputs), strict=False))
        missing = [name for name in names if name not in given]
        if missing:
            raise MpccError("MPC-F040", f"inputs are missing: {', '.join(missing)}", remedy="give all inputs")
        tensors = {v.name for v in graph_inputs(self._model) if v.type.HasField("tensor_type")}
        return {name: np.asarray(given[name] if name in tensors else ()) for name in names}


@dataclass(frozen=True)
class _Program:
    """A compiled model, in a temporary folder."""

    folder: tempfile.TemporaryDirectory[str]
    division: Division
    compiled: Compiled

    @classmethod
    def compile(cls, division: Division, arrays: Arrays, approximations: Mapping[str, str]) -> _Program:
        folder = tempfile.TemporaryDirectory(prefix="mpcc-backend-")
        model, program = cls._paths(folder)
        try:
            onnx.save(division.model, model)
            samples = [division.of_client(arrays)]
            request = Request(model, program, samples=samples, approximations=dict(approximations))
            compiled = compile_model(request, lambda line: None)
            _check_secret(compiled.imported.program)
        except MpccError as error:
            if error.code == DEFECT:
                raise
            raise Refused(error.errors if isinstance(error, MpccErrors) else [error]) from error
        return cls(folder, division, compiled)

    @staticmethod
    def _paths(folder: tempfile.TemporaryDirectory[str]) -> tuple[Path, Path]:
        return Path(folder.name) / "model.onnx", Path(folder.name) / "program"

    def holds_on(self, arrays: Arrays) -> bool:
        """Whether shapes and constants are those of the program, and no value leaves what it holds on."""
        if not self.division.is_for(arrays):
            return False
        model, _ = self._paths(self.folder)
        found = calibrate(self.compiled.imported, model, [self.division.of_client(arrays)])
        ranges, internals = widened(Calibration.from_json(self.compiled.ranges), HELD)
        near = all(
            max(-low, high) <= ranges[name].magnitude
            for name, (low, high) in found.ranges.items()
            if name in ranges
        )
        inner = {(name, q): seen for name, by_q in found.internals.items() for q, seen in by_q.items()}
        return near and all(
            internals[key].low <= low and high <= internals[key].high
            for key, (low, high) in inner.items()
            if key in internals
        )

    def run(self, arrays: Arrays) -> tuple[np.ndarray, ...]:
        """Raises Refused for inputs that the client's program refuses."""
        _, program = self._paths(self.folder)
        try:
            outputs = run_both(program, self.division.of_client(arrays), set(), _Silent()).outputs
        except MpccError as error:
            raise (Refused([error]) if error.code == REFUSED_INPUT else error) from error
        return tuple(outputs[output.name] for output in self.compiled.imported.outputs)


class _Silent:
    """Events that nobody watches."""

    def tell(self, event: str, text: str, **values: Any) -> None:
        pass

    def progress(self, phase: str, done: int, total: int) -> None:
        pass

    def failed(self, error: MpccError) -> None:
        pass


def _check_secret(program: Program) -> None:
    """A model without a secret says nothing about secure computation."""
    types = [value.type for value in program.outputs.values()]
    if not any(isinstance(t, TensorType) and t.visibility is Visibility.SECRET for t in types):
        raise MpccError(
            "MPC-F060",
            "no output depends on a secret: one party computes all of this model in the clear",
            remedy="run it in onnxruntime, or say with `holders` that an input of floats is held by both",
        )


def _in_supported_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in the nearest opset that the frontend reads, or as it is where onnx cannot convert it."""
    converted = onnx.ModelProto()
    converted.CopyFrom(model)
    if all(o.domain not in ("", "ai.onnx") for o in model.opset_import):
        converted.opset_import.append(onnx.helper.make_opsetid("", MAX_OPSET))
    opset = next(o.version for o in converted.opset_import if o.domain in ("", "ai.onnx"))
    nearest = min(max(opset, MIN_OPSET), MAX_OPSET)
    if opset != nearest:
        try:
            converted = onnx.version_converter.convert_version(model, nearest)
        except (onnx.version_converter.ConvertError, RuntimeError):
            return model
    oldest = onnx.helper.find_min_ir_version_for(converted.opset_import, ignore_unknown=True)
    converted.ir_version = max(oldest, IR_VERSION)
    return converted


def _listed(inputs: Any) -> list[Any]:
    return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]


def _model_of(node: onnx.NodeProto, inputs: Sequence[np.ndarray], opset: int) -> onnx.ModelProto:
    """A model of one node, typed for these inputs."""
    names = [name for name in node.input if name]
    tensors = {n: onnx.numpy_helper.from_array(a, n) for n, a in zip(names, inputs, strict=True)}
    types = {n: onnx.helper.make_tensor_type_proto(t.data_type, t.dims) for n, t in tensors.items()}
    opsets = [onnx.helper.make_opsetid(node.domain, opset)]
    schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    results = onnx.shape_inference.infer_node_outputs(schema, node, types, tensors, opset_imports=opsets)
    graph = onnx.helper.make_graph(
        [node],
        node.op_type,
        [onnx.helper.make_value_info(name, types[name]) for name in names],
        [onnx.helper.make_value_info(name, results[name]) for name in node.output if name],
    )
    return onnx.helper.make_model(graph, opset_imports=opsets)


is_compatible = MpccBackend.is_compatible
prepare = MpccBackend.prepare
run_model = MpccBackend.run_model
run_node = MpccBackend.run_node
supports_device = MpccBackend.supports_device
