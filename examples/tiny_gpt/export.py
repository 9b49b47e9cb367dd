"""Train a two-layer GPT-2 on text.txt for a minute and export it to ONNX.

python -m examples.tiny_gpt.export -o tiny_gpt.onnx
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel

from examples import onnx_export
from examples.tiny_gpt.windows import CONTEXT, VOCABULARY, text_tokens

SEED, STEPS, BATCH, LEARNING_RATE = 0, 1200, 32, 3e-3


class LanguageModel(nn.Module):
    """input_ids [batch, CONTEXT] -> logits [batch, CONTEXT, VOCABULARY], without the key-value cache."""

    def __init__(self) -> None:
        super().__init__()
        config = GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=CONTEXT,
            n_embd=64,
            n_layer=2,
            n_head=4,
            bos_token_id=0,
            eos_token_id=0,
        )
        self.gpt2 = GPT2LMHeadModel(config)
        self.gpt2.set_attn_implementation("eager")

    def forward(self, input_ids: Tensor) -> Tensor:
        mask = torch.ones_like(input_ids)  # without one, the legacy exporter meets an operation it lacks
        logits: Tensor = self.gpt2(input_ids=input_ids, attention_mask=mask, use_cache=False).logits
        return logits


def train() -> LanguageModel:
    """Next-byte prediction on random windows of the text; returns the model in evaluation mode."""
    torch.manual_seed(SEED)
    tokens = torch.from_numpy(text_tokens())
    model = LanguageModel()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    for step in range(STEPS):
        starts = torch.randint(0, len(tokens) - CONTEXT, (BATCH, 1))
        rows = tokens[starts + torch.arange(CONTEXT + 1)]
        optimizer.zero_grad()
        loss = cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        if step % 200 == 199:
            print(f"step {step + 1:4d}: loss {loss.item():.3f}", flush=True)
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and export a tiny GPT-2.")
    parser.add_argument("--exporter", choices=onnx_export.EXPORTERS, default="dynamo", help="default: dynamo")
    parser.add_argument("--opset", type=int, default=20, help="default: 20")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    difference = onnx_export.export(
        train(),
        {"input_ids": torch.from_numpy(text_tokens()[None, :CONTEXT])},
        "logits",
        arguments.output,
        exporter=arguments.exporter,
        opset=arguments.opset,
    )
    print(f"wrote {arguments.output}; onnxruntime differs from torch by at most {difference:.1e}")


if __name__ == "__main__":
    main()
