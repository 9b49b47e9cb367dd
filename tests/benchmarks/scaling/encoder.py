"""BERT-shaped encoders of any size with random weights, on hidden states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.rows import Material, scale_weights

HEAD = 64  # columns of an attention head, in every BERT
DEVIATION, USUAL_WIDTH = 0.04, 768  # of trained matrices, at BERT-base's width
CALIBRATION_INPUTS = 4


@dataclass(frozen=True)
class Encoder:
    """`layers` of width d on [1, T, d]: d / 64 heads, 4 d inside."""

    tokens: int
    layers: int
    width: int

    @property
    def heads(self) -> int:
        return self.width // HEAD

    def prepare(self, folder: Path) -> Material:
        """The model, an input and calibration inputs. Values have the same scale at every width."""
        import torch
        from transformers import BertConfig
        from transformers.models.bert.modeling_bert import BertLayer

        from examples import onnx_export

        class Layers(torch.nn.Module):
            def __init__(self, count: int, config: BertConfig, deviation: float) -> None:
                super().__init__()
                torch.manual_seed(0)
                self.layers = torch.nn.ModuleList(BertLayer(config) for _ in range(count))
                scale_weights(self, deviation)

            def forward(self, states: torch.Tensor) -> torch.Tensor:
                for layer in self.layers:
                    result = layer(states)
                    states = result[0] if isinstance(result, tuple) else result
                return states

        config = BertConfig(
            hidden_size=self.width, num_attention_heads=self.heads, intermediate_size=4 * self.width
        )
        config._attn_implementation = "eager"
        model = Layers(self.layers, config, DEVIATION * (USUAL_WIDTH / self.width) ** 0.5)
        generator = np.random.default_rng(0)
        paths = [folder / f"{index}.npz" for index in range(1 + CALIBRATION_INPUTS)]
        for path in paths:
            states = generator.standard_normal((1, self.tokens, self.width)).astype(np.float32)
            np.savez(path, allow_pickle=False, states=states)
        example = {"states": torch.from_numpy(np.load(paths[0])["states"])}
        onnx_export.export(model.eval(), example, "result", folder / "model.onnx")
        return Material(folder / "model.onnx", paths[0], tuple(paths[1:]))
