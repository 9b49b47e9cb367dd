"""The digits example's vision Transformer with a mixture of experts for every feed-forward network."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from examples.digits.vision_transformer import WIDTH, VisionTransformer

EXPERTS = 8


def initial(count: int, inputs: int, outputs: int) -> nn.Parameter:
    """Weights [count, outputs, inputs] of `count` linear layers, drawn as torch's nn.Linear draws its own."""
    return nn.Parameter((torch.rand(count, outputs, inputs) * 2 - 1) * inputs**-0.5)


def one_hot_sum(gates: Tensor, chosen: Tensor, outputs: Tensor) -> Tensor:
    """Of every expert's outputs [EXPERTS, rows, WIDTH] those of the `chosen` [rows, k], times their gates."""
    mask = (gates.unsqueeze(-1) * (chosen.unsqueeze(-1) == torch.arange(EXPERTS)).to(gates.dtype)).sum(dim=1)
    return (mask.transpose(0, 1).unsqueeze(-1) * outputs).sum(dim=0)


class SwitchLayer(nn.Module):
    """One expert a token, times its softmax probability, and no capacity (Switch Transformers, Fedus et al.,
    JMLR 2022, section 2.1); an expert is a two-layer GELU network.

    Every expert computes every token, and a one-hot mask keeps the chosen one's output.
    """

    HIDDEN = 96

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.w_in = initial(EXPERTS, WIDTH, self.HIDDEN)
        self.b_in = nn.Parameter(torch.zeros(EXPERTS, 1, self.HIDDEN))
        self.w_out = initial(EXPERTS, self.HIDDEN, WIDTH)
        self.b_out = nn.Parameter(torch.zeros(EXPERTS, 1, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        rows = tokens.reshape(-1, WIDTH)
        gates, chosen = self.router(rows).softmax(dim=-1).topk(1, dim=-1)
        hidden = gelu(rows @ self.w_in.transpose(1, 2) + self.b_in)
        outputs = hidden @ self.w_out.transpose(1, 2) + self.b_out
        return one_hot_sum(gates, chosen, outputs).reshape(tokens.shape)


class MixtralLayer(nn.Module):
    """Two experts a token, their probabilities divided by their sum; an expert is a SwiGLU network without
    biases (Mixtral of Experts, Jiang et al., 2024, section 2.1).

    The chosen experts' weights are gathered for each token, as transformers' `batched_mm` does; in training
    every expert computes every token instead, which is the same sum with a quicker gradient.
    """

    TOP_K, HIDDEN = 2, 64

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.w_in = initial(EXPERTS, WIDTH, 2 * self.HIDDEN)  # the gate's rows first
        self.w_out = initial(EXPERTS, self.HIDDEN, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        rows = tokens.reshape(-1, WIDTH)
        gates, chosen = self.router(rows).softmax(dim=-1).topk(self.TOP_K, dim=-1)
        gates = gates / gates.sum(dim=-1, keepdim=True)
        mix = self.every_expert if self.training else self.gathered
        return mix(rows, gates, chosen).reshape(tokens.shape)

    def every_expert(self, rows: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
        """The weighted sum [rows, WIDTH] out of all outputs; `gates` and `chosen` are [rows, TOP_K]."""
        gate, up = (rows @ self.w_in.transpose(1, 2)).chunk(2, dim=-1)
        return one_hot_sum(gates, chosen, (silu(gate) * up) @ self.w_out.transpose(1, 2))

    def gathered(self, rows: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
        """The same from the weights of the chosen experts."""
        experts = chosen.reshape(-1)
        copies = rows.repeat_interleave(self.TOP_K, dim=0)
        gate, up = torch.bmm(self.w_in[experts], copies.unsqueeze(-1)).squeeze(-1).chunk(2, dim=-1)
        outputs = torch.bmm(self.w_out[experts], (silu(gate) * up).unsqueeze(-1)).squeeze(-1)
        weighted = outputs * gates.reshape(-1, 1)
        return weighted.reshape(-1, self.TOP_K, WIDTH).sum(dim=1)


class MixtureTransformer(VisionTransformer):
    """image [batch, 1, 8, 8] in 0..1 -> logits [batch, 10], with `top_k` (1 or 2) experts a token."""

    def __init__(self, top_k: int) -> None:
        super().__init__()
        for block in self.blocks:
            block.mlp = SwitchLayer() if top_k == 1 else MixtralLayer()
