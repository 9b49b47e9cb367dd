"""Mixtures of experts as people write them in torch, small; and their exports."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from examples.onnx_export import export

WIDTH, HIDDEN = 12, 20
Mix = Callable[["Mixture", Tensor, Tensor, Tensor], Tensor]


class Expert(nn.Module):
    def __init__(self, activation: Callable[[Tensor], Tensor], gated: bool, bias: bool) -> None:
        super().__init__()
        self.w_in, self.w_out = nn.Linear(WIDTH, HIDDEN, bias), nn.Linear(HIDDEN, WIDTH, bias)
        self.up = nn.Linear(WIDTH, HIDDEN, bias) if gated else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.activation(self.w_in(x))
        result: Tensor = self.w_out(hidden if self.up is None else hidden * self.up(x))
        return result


class Mixture(nn.Module):
    """x + mixture(norm(x)) for x [B, S, WIDTH]; `mix` computes it for tokens, gates and choices."""

    def __init__(
        self,
        mix: Mix,
        *,
        experts: int = 4,
        top_k: int = 2,
        activation: Callable[[Tensor], Tensor] = functional.gelu,
        gated: bool = False,
        bias: bool = True,
        router: str = "softmax, top-k",
        capacity: int = 0,
        flat: bool = True,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.LayerNorm(WIDTH)
        self.router = nn.Linear(WIDTH, experts)
        self.experts = nn.ModuleList(Expert(activation, gated, bias) for _ in range(experts))
        self.activation = activation
        self.mix, self.count, self.top_k, self.kind = mix, experts, top_k, router
        self.capacity, self.flat = capacity, flat

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x)
        tokens = tokens.reshape(-1, WIDTH) if self.flat else tokens
        logits = self.router(tokens)
        if self.kind == "top-k, softmax":
            values, chosen = logits.topk(self.top_k, dim=-1)
            gates = values.softmax(dim=-1)
        else:
            gates, chosen = logits.softmax(dim=-1).topk(self.top_k, dim=-1)
            if self.kind == "renormalised":
                gates = gates / gates.sum(dim=-1, keepdim=True)
        return x + self.mix(self, tokens, gates, chosen).reshape(x.shape)

    def stacked(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """w_in [E, d, h], b_in [E, h], w_out [E, h, d], b_out [E, d]."""
        layers = [
            torch.stack([getattr(getattr(e, name), part) for e in self.experts])
            for name in ("w_in", "w_out")
            for part in ("weight", "bias")
        ]
        return layers[0].transpose(1, 2), layers[1], layers[2].transpose(1, 2), layers[3]

    def one_hot(self, chosen: Tensor) -> Tensor:
        return functional.one_hot(chosen, self.count).to(torch.float32)


def masked_loop(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    result = torch.zeros_like(x)
    for index, expert in enumerate(m.experts):
        weight = (gates * (chosen == index)).sum(dim=-1, keepdim=True)
        result = result + weight * expert(x)
    return result


def one_hot_stack(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    weights = (m.one_hot(chosen) * gates.unsqueeze(-1)).sum(dim=-2)
    outputs = torch.stack([expert(x) for expert in m.experts], dim=-1)
    return (outputs * weights.unsqueeze(-2)).sum(dim=-1)


def scattered_gates(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    weights = torch.zeros(*x.shape[:-1], m.count).scatter(-1, chosen, gates)
    return sum((weights[..., i : i + 1] * e(x) for i, e in enumerate(m.experts)), torch.zeros(()))


def where_loop(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    result = torch.zeros_like(x)
    for index, expert in enumerate(m.experts):
        result = torch.where(chosen == index, expert(x), result)
    return result * gates


def einsum_all(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    w_in, b_in, w_out, b_out = m.stacked()
    hidden = m.activation(torch.einsum("td,edh->teh", x, w_in) + b_in)
    weights = torch.einsum("tk,tke->te", gates, m.one_hot(chosen))
    outputs = torch.einsum("teh,ehd->ted", hidden, w_out) + b_out
    return torch.einsum("te,ted->td", weights, outputs)


def einsum_of_three(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    w_in, _, w_out, _ = m.stacked()
    mask = m.one_hot(chosen)
    hidden = m.activation(torch.einsum("td,edh,tke->tkh", x, w_in, mask))
    return torch.einsum("tkh,ehd,tke->td", hidden, w_out, mask * gates.unsqueeze(-1))


def selected_weights(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    w_in, b_in, w_out, b_out = m.stacked()
    result = torch.zeros_like(x)
    for slot in range(m.top_k):
        mask = m.one_hot(chosen[:, slot])
        hidden = torch.einsum("td,tdh->th", x, torch.einsum("te,edh->tdh", mask, w_in)) + mask @ b_in
        hidden = m.activation(hidden)
        output = torch.einsum("th,thd->td", hidden, torch.einsum("te,ehd->thd", mask, w_out)) + mask @ b_out
        result = result + gates[:, slot : slot + 1] * output
    return result


def gathered_slots(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    w_in, b_in, w_out, b_out = m.stacked()
    result = torch.zeros_like(x)
    for slot in range(m.top_k):
        index = chosen[:, slot]
        hidden = m.activation((x[:, None] @ w_in[index]).squeeze(1) + b_in[index])
        result = result + gates[:, slot : slot + 1] * (
            (hidden[:, None] @ w_out[index]).squeeze(1) + b_out[index]
        )
    return result


def within_capacity(m: Mixture, gates: Tensor, chosen: Tensor) -> Tensor:
    """One-hot choices [.., T, k, E] without those that come too late: all first choices before the second."""
    mask = m.one_hot(chosen)
    before = torch.zeros(*mask.shape[:-3], 1, m.count)
    kept = []
    for slot in range(m.top_k):
        place = mask[..., slot, :].cumsum(dim=-2) + before
        kept.append(mask[..., slot, :] * (place <= m.capacity))
        before = before + mask[..., slot, :].sum(dim=-2, keepdim=True)
    return torch.stack(kept, dim=-2)


def capacity_loop(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    weights = (within_capacity(m, gates, chosen) * gates.unsqueeze(-1)).sum(dim=-2)
    return sum((weights[..., i : i + 1] * e(x) for i, e in enumerate(m.experts)), torch.zeros(()))


def highest_scored(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    """Each expert takes the `capacity` tokens that give it the highest gate among those that chose it."""
    weights = (m.one_hot(chosen) * gates.unsqueeze(-1)).sum(dim=-2)
    best, tokens = weights.transpose(-2, -1).topk(m.capacity, dim=-1)
    kept = torch.zeros_like(weights.transpose(-2, -1)).scatter(-1, tokens, best).transpose(-2, -1)
    return sum((kept[..., i : i + 1] * e(x) for i, e in enumerate(m.experts)), torch.zeros(()))


def dispatched(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    """Slots of each expert, filled and read by one-hot products (Switch Transformers, appendix F)."""
    mask = m.one_hot(chosen[:, 0])
    place = (mask.cumsum(dim=0) - 1) * mask
    kept = mask * (place < m.capacity)
    slots = kept.unsqueeze(-1) * functional.one_hot(place.sum(dim=-1).long(), len(x)).unsqueeze(1)
    slots = slots[..., : m.capacity].to(x.dtype)
    inputs = torch.einsum("tec,td->ecd", slots, x)
    outputs = torch.stack([expert(inputs[i]) for i, expert in enumerate(m.experts)])
    return torch.einsum("tec,ecd->td", slots * gates.unsqueeze(-1), outputs)


def sigmoid_gates(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    return masked_loop(m, x, torch.sigmoid(gates), chosen)


def linear_experts(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    _, _, weights, _ = m.stacked()
    weights = weights.transpose(1, 2) @ m.stacked()[0].transpose(1, 2)
    result: Tensor = (torch.einsum("td,tkod->tko", x, weights[chosen]) * gates.unsqueeze(-1)).sum(dim=1)
    return result


def hit_experts_loop(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    """The loop that the traced sample decides on, without branches in the graph."""
    result = torch.zeros_like(x)
    for index, expert in enumerate(m.experts):
        if bool((chosen == index).any()):
            result = result + (gates * (chosen == index)).sum(dim=-1, keepdim=True) * expert(x)
    return result


def token_lists(m: Mixture, x: Tensor, gates: Tensor, chosen: Tensor) -> Tensor:
    """Expert by expert, the list of its tokens: NonZero."""
    result = torch.zeros_like(x)
    for index, expert in enumerate(m.experts):
        token, slot = torch.where(chosen == index)
        result = result.index_add(0, token, expert(x[token]) * gates[token, slot, None])
    return result


def write(
    folder: Path, module: nn.Module, exporter: str, opset: int, *, batch: int = 1, tokens: int = 6
) -> Path:
    """Export with input x [batch, tokens, WIDTH] and output y."""
    path = folder / "mixture.onnx"
    torch.manual_seed(1)
    with contextlib.redirect_stdout(io.StringIO()):
        export(
            module.eval(), {"x": torch.randn(batch, tokens, WIDTH)}, "y", path, exporter=exporter, opset=opset
        )
    return path


class Residual(nn.Module):
    """x + block(norm(x)) for a model library's mixture of width WIDTH."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.norm, self.block = nn.LayerNorm(WIDTH), block
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in block.parameters():
                parameter.copy_(torch.randn_like(parameter) * WIDTH**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor | tuple[Tensor, ...] = self.block(self.norm(x))
        return x + (result[0] if isinstance(result, tuple) else result)
