"""Export the trained MiniLM-L6 sentence encoder, with its pooling and normalisation, to ONNX.

python -m examples.sentence_similarity.export --tokens 32 -o minilm32.onnx
"""

import argparse
import logging
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import BertModel

from examples import onnx_export
from examples.sentence_similarity.tokens import SENTENCES, model_folder, read_sentences, tokenize


class SentenceEncoder(nn.Module):
    """Token ids and mask [1, tokens] to a unit vector [1, 384], as sentence-transformers computes it."""

    def __init__(self, attention: str) -> None:
        super().__init__()
        self.bert = BertModel.from_pretrained(
            model_folder(), attn_implementation=attention, add_pooling_layer=False, local_files_only=True
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
        return normalize(mean, dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Export the MiniLM-L6 sentence encoder to ONNX.")
    parser.add_argument("--tokens", type=int, default=32, help="length of the inputs (default: 32)")
    parser.add_argument("--dynamic", action="store_true", help="leave the length open, as dimension `tokens`")
    parser.add_argument("--exporter", choices=onnx_export.EXPORTERS, default="dynamo", help="default: dynamo")
    parser.add_argument("--opset", type=int, default=20, help="default: 20")
    parser.add_argument("--attention", choices=("eager", "sdpa"), default="eager", help="default: eager")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    arguments = parser.parse_args()

    logging.getLogger("transformers").setLevel(logging.ERROR)  # the unused pooling layer is no news
    sentence = read_sentences(SENTENCES)[3]
    inputs = {
        name: torch.from_numpy(value) for name, value in tokenize([sentence], arguments.tokens)[0].items()
    }
    difference = onnx_export.export(
        SentenceEncoder(arguments.attention).eval(),
        inputs,
        "embedding",
        arguments.output,
        exporter=arguments.exporter,
        opset=arguments.opset,
        dynamic_axes={name: {1: "tokens"} for name in inputs} if arguments.dynamic else None,
    )
    print(f"wrote {arguments.output}; onnxruntime differs from torch by at most {difference:.1e}")


if __name__ == "__main__":
    main()
