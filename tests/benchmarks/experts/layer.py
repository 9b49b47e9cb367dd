"""A Switch-style layer with random weights as an ONNX model, small in memory whatever its size.

    y = gate * (act(x W_in[e] + b_in[e]) W_out[e] + b_out[e]),   e, gate = arg max and max of softmax(x W_r)

The operand is the client's input plus a weight (of 0), so that neither party knows it, as inside a model; the
client gets the result: one of a run's rounds reveals it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.benchmarks.rows import Material

CALIBRATION_TOKENS = 32  # at least


@dataclass(frozen=True)
class Layer:
    """`experts` of `width` to 4 `width` to `width`; one is chosen for a token."""

    experts: int
    width: int
    activation: str

    @property
    def hidden(self) -> int:
        return 4 * self.width

    @property
    def weights(self) -> int:
        """Numbers in the experts' two matrices."""
        return 2 * self.experts * self.width * self.hidden

    @property
    def tensors(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """Shape and deviation of every weight: layers keep the scale of their inputs, and the router decides
        about as clearly as a trained one.
        """
        experts, width, hidden = self.experts, self.width, self.hidden
        return {
            "zero": ((width,), 0.0),
            "router": ((width, experts), 2 / width**0.5),
            "w_in": ((experts, hidden, width), 1 / width**0.5),
            "b_in": ((experts, hidden), 0.1),
            "w_out": ((experts, width, hidden), 1 / hidden**0.5),
            "b_out": ((experts, width), 0.1),
        }

    def write_weights(self, folder: Path) -> None:
        """A file for each tensor, which the models of `write` refer to."""
        generator = np.random.default_rng(0)
        for name, (shape, deviation) in self.tensors.items():
            with (folder / f"{name}.bin").open("wb") as file:
                for _ in range(shape[0]):
                    part = generator.standard_normal(shape[1:], dtype=np.float32)
                    file.write((np.float32(deviation) * part).tobytes())

    def write(self, tokens: int, folder: Path) -> Material:
        """The model for a number of tokens, an input and calibration inputs, beside its weights."""
        shape = (tokens, self.width)
        nodes = [
            helper.make_node("Add", ["x", "zero"], ["tokens"]),
            helper.make_node("MatMul", ["tokens", "router"], ["logits"]),
            helper.make_node(
                "MoE",
                ["tokens", "logits", "w_in", "b_in", "w_out", "b_out"],
                ["y"],
                domain="com.microsoft",
                k=1,
                activation_type=self.activation,
                normalize_routing_weights=0,
            ),
        ]
        graph = helper.make_graph(
            nodes,
            "switch",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
            [_external(name, shape) for name, (shape, _) in self.tensors.items()],
        )
        versions = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        path = folder / f"{tokens}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=versions, ir_version=10), path)
        return Material(path, *_inputs(shape, folder))

    def kept(self, tokens: np.ndarray, slots: int, folder: Path) -> np.ndarray:
        """Which of tokens [T, d] get one of their expert's slots, first come, first served: bool [T]."""
        router = np.fromfile(folder / "router.bin", np.float32).reshape(self.width, self.experts)
        chosen = np.argmax(tokens @ router, axis=-1)[:, None] == np.arange(self.experts)
        places = np.where(chosen, np.cumsum(chosen, axis=0), 0).max(axis=1)
        return np.asarray(places <= slots)


def _external(name: str, shape: tuple[int, ...]) -> TensorProto:
    """A tensor whose numbers are in NAME.bin beside the model."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=f"{name}.bin")
    return tensor


def _inputs(shape: tuple[int, int], folder: Path) -> tuple[Path, tuple[Path, ...]]:
    """One to run, others to calibrate with."""
    generator, (tokens, _) = np.random.default_rng(1), shape
    paths = [folder / f"{tokens}.{i}.npz" for i in range(1 + max(1, CALIBRATION_TOKENS // tokens))]
    for path in paths:
        np.savez(path, allow_pickle=False, x=generator.standard_normal(shape, dtype=np.float32))
    return paths[0], tuple(paths[1:])
