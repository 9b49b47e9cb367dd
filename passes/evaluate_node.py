"""Evaluate one ONNX node on constants, with onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime


def evaluate_node(node: ir.Node, opset: int) -> list[np.ndarray]:
    """The node's outputs on its constant operands. Raises onnxruntime's errors when it cannot run."""
    feeds: dict[str, np.ndarray] = {}
    infos: list[onnx.ValueInfoProto] = []
    names: dict[int, str] = {}
    for value in node.inputs:
        if value is None or id(value) in names:
            continue
        names[id(value)] = name = f"i{len(names)}"
        assert value.const_value is not None
        feeds[name] = np.asarray(value.const_value.numpy())
        infos.append(
            onnx.helper.make_tensor_value_info(name, int(value.const_value.dtype), list(feeds[name].shape))
        )
    proto = onnx.NodeProto(op_type=node.op_type, domain=node.domain)
    proto.attribute.extend(ir.to_proto(a) for a in node.attributes.values())
    proto.input.extend("" if v is None else names[id(v)] for v in node.inputs)
    proto.output.extend("" if v.name == "" else f"o{i}" for i, v in enumerate(node.outputs))
    results = [onnx.ValueInfoProto(name=name) for name in proto.output if name]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([proto], "fold", infos, results),
        opset_imports=[onnx.helper.make_opsetid("", opset), onnx.helper.make_opsetid("com.microsoft", 1)],
        ir_version=10,
    )
    return [np.asarray(a) for a in run_session(model.SerializeToString(), feeds)]


def run_session(model: bytes | str, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """One run on the CPU."""
    return list(plain_session(model).run(None, feeds))


def plain_session(model: bytes | str, threads: int = 1) -> onnxruntime.InferenceSession:
    """On the CPU, without graph optimisation; 0 threads are as many as there are cores."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
