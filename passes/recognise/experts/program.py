"""A region as an ONNX model of its own, whose inputs are logits, x and the weights; and its runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime

from mpcc.passes.evaluate_node import plain_session
from mpcc.passes.recognise.experts.region import Region
from mpcc.passes.recognise.graph import MACRO, array, attribute, shape

_FLOAT = onnx.TensorProto.FLOAT
_CONTRIB_GELU = {"none": "Gelu", "tanh": "FastGelu"}


class RegionProgram:
    """Runs a region; all floats are float32. `key` is equal for regions of equal structure.

    Raises ValueError if a node of the region has no ONNX form, and onnxruntime's errors.
    """

    def __init__(self, region: Region, weights: Sequence[ir.Value], opset: int) -> None:
        feeds = (region.logits, region.x, *weights)
        self._names = {id(value): f"v{index}" for index, value in enumerate(feeds)}
        self._feeds = list(self._names.values())
        self._constants: list[onnx.TensorProto] = []
        nodes = [self._node(node) for node in region.nodes]
        self._end = self._name(region.end)
        self.key = onnx.helper.make_model(
            onnx.helper.make_graph(
                nodes,
                "region",
                [
                    onnx.helper.make_tensor_value_info(name, _FLOAT, list(shape(value)))
                    for name, value in zip(self._feeds, feeds, strict=True)
                ],
                [onnx.ValueInfoProto(name=self._end)],
                self._constants,
            ),
            opset_imports=[
                onnx.helper.make_opsetid("", opset),
                onnx.helper.make_opsetid("com.microsoft", 1),
            ],
            ir_version=10,
        ).SerializeToString(deterministic=True)
        self._session: onnxruntime.InferenceSession | None = None

    def run(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The end for logits, x and weights."""
        if self._session is None:
            self._session = plain_session(self.key, threads=0)
        feeds = {name: a.astype(np.float32, copy=False) for name, a in zip(self._feeds, arrays, strict=True)}
        return np.asarray(self._session.run([self._end], feeds)[0])

    def _name(self, value: ir.Value) -> str:
        if id(value) not in self._names:
            self._names[id(value)] = name = f"v{len(self._names)}"
            data = array(value)
            if data is not None:
                data = data.astype(np.float32) if data.dtype.kind not in "biu" else data
                self._constants.append(onnx.numpy_helper.from_array(data, name))
        return self._names[id(value)]

    def _node(self, node: ir.Node) -> onnx.NodeProto:
        operation, domain, attributes = node.op_type, node.domain, dict(node.attributes)
        if domain == MACRO:
            if operation != "Gelu":
                raise ValueError(f"{operation} stands inside")
            operation, domain = _CONTRIB_GELU[str(attribute(node, "approximate", "none"))], "com.microsoft"
            attributes = {}
        proto = onnx.NodeProto(op_type=operation, domain=domain)
        proto.attribute.extend(ir.to_proto(a) for a in attributes.values())
        if operation == "Cast":
            for item in proto.attribute:
                if item.name == "to" and ir.DataType(item.i).is_floating_point():
                    item.i = _FLOAT
        proto.input.extend("" if v is None else self._name(v) for v in node.inputs)
        proto.output.extend(self._name(v) if v.name != "" else "" for v in node.outputs)
        return proto
