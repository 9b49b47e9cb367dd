"""Mixtures of experts in a form that every ONNX exporter can write: each expert computes each token.

The loop over the experts that a sample hits, which transformers runs by default, does not export: see
docs/mixture_of_experts.md. `register` gives transformers' models another one; `with_dense_switch`
replaces the mixtures of Switch Transformers.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS
from transformers.models.switch_transformers.modeling_switch_transformers import SwitchTransformersSparseMLP

DENSE = "dense"


def dense_experts(self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """The mixture of tokens [T, d] by choices [T, k] and their weights [T, k]: all experts' outputs, in sums
    with one-hot weights.
    """

    def linear(x: Tensor, name: str) -> Tensor:
        weight, bias = getattr(self, name), getattr(self, f"{name}_bias", None)
        y = x @ (weight if self.is_transposed else weight.transpose(1, 2))
        return y if bias is None else y + bias[:, None]

    chosen = top_k_index[..., None] == torch.arange(self.num_experts)
    gates = (chosen * top_k_weights[..., None]).sum(dim=1)
    hidden = linear(hidden_states[None], "gate_up_proj" if self.has_gate else "up_proj")
    outputs = linear(self._apply_gate(hidden) if self.has_gate else self.act_fn(hidden), "down_proj")
    return (outputs * gates.T[..., None]).sum(dim=0)


def register() -> None:
    """Make `experts_implementation="dense"` known to transformers."""
    ALL_EXPERTS_FUNCTIONS.register(DENSE, dense_experts)


class SwitchMixture(nn.Module):
    """A SwitchTransformersSparseMLP with each expert computed for each token: [B, S, d] to [B, S, d].

    A token beyond its expert's capacity, counted along the sequence, gets zeros.
    """

    def __init__(self, mixture: SwitchTransformersSparseMLP) -> None:
        super().__init__()
        self.classifier, self.capacity = mixture.router.classifier, mixture.router.expert_capacity
        self.experts = nn.ModuleList(mixture.experts.values())

    def forward(self, x: Tensor) -> Tensor:
        gates, chosen = self.classifier(x).softmax(dim=-1).max(dim=-1, keepdim=True)
        mask = (chosen == torch.arange(len(self.experts))).to(x.dtype)
        kept = mask * (mask.cumsum(dim=1) <= self.capacity)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)
        return gates * (outputs * kept.unsqueeze(-2)).sum(dim=-1)


def with_dense_switch(model: nn.Module) -> nn.Module:
    """A Switch Transformers model with every mixture replaced."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, SwitchTransformersSparseMLP):
                setattr(module, name, SwitchMixture(child))
    return model
