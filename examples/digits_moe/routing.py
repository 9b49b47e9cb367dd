"""What the routers of a model choose, seen from outside: for the training's loss and the experts' shares."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from examples.digits_moe.mixture_transformer import EXPERTS, MixtralLayer, MixtureTransformer, SwitchLayer


@contextmanager
def observed(model: MixtureTransformer) -> Iterator[list[Tensor]]:
    """A list that receives the routers' logits [rows, EXPERTS], layer after layer, as the model runs."""
    logits: list[Tensor] = []
    handles = [
        layer.router.register_forward_hook(lambda module, inputs, output: logits.append(output))
        for layer in model.modules()
        if isinstance(layer, SwitchLayer | MixtralLayer)
    ]
    try:
        yield logits
    finally:
        for handle in handles:
            handle.remove()


def shares(logits: Tensor, top_k: int) -> Tensor:
    """The share of all choices that falls on each expert, [EXPERTS], from logits [rows, EXPERTS]."""
    chosen = logits.topk(top_k, dim=-1).indices
    return one_hot(chosen, EXPERTS).to(logits.dtype).mean(dim=(0, 1))


def balance_loss(logits: Tensor, top_k: int) -> Tensor:
    """EXPERTS times the sum of share times mean probability: 1 for an even load, EXPERTS if one has it all.

    Switch Transformers (Fedus et al., JMLR 2022), section 2.2, after GShard (Lepikhin et al., ICLR 2021),
    section 2.2; for two choices a token the share counts both.
    """
    probabilities = torch.softmax(logits, dim=-1).mean(dim=0)
    return EXPERTS * (shares(logits, top_k) * probabilities).sum()
