"""Train both mixtures of experts and write their weights and ONNX files, the calibration images and a sample.

    python -m examples.digits_moe.train

Some minutes on two CPU threads. The seed is fixed; another machine's arithmetic may still end in slightly
different weights.
"""

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from examples.digits import dataset
from examples.digits.train import shifted
from examples.digits_moe import routing
from examples.digits_moe.export import HERE, TOP_K, export, model, weights
from examples.digits_moe.mixture_transformer import MixtureTransformer

SEED, EPOCHS, BATCH, LEARNING_RATE, BALANCE = 0, 150, 64, 2e-3, 0.01
CALIBRATION_IMAGES = 64  # twice the dense example's: every expert sees its share only


def train(top_k: int, images: Tensor, labels: Tensor) -> MixtureTransformer:
    """AdamW with one cosine cycle on cross entropy and load balance; the model in evaluation mode."""
    torch.manual_seed(SEED)
    transformer = MixtureTransformer(top_k)
    optimizer = torch.optim.AdamW(transformer.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    steps_per_epoch = -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=EPOCHS * steps_per_epoch
    )
    for epoch in range(EPOCHS):
        total = 0.0
        order = torch.randperm(len(images))
        for start in range(0, len(images), BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad()
            with routing.observed(transformer) as logits:
                loss = cross_entropy(transformer(shifted(images[rows])), labels[rows], label_smoothing=0.1)
            loss = loss + BALANCE * sum(routing.balance_loss(layer, top_k) for layer in logits)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        if epoch % 10 == 9:
            print(f"top-{top_k}, epoch {epoch + 1:3d}: loss {total / len(images):.4f}", flush=True)
    return transformer.eval()


def report(transformer: MixtureTransformer, top_k: int, digits: dataset.Digits) -> None:
    """Print the held-out images' accuracy and each expert's share of their tokens."""
    with torch.no_grad(), routing.observed(transformer) as logits:
        predicted = transformer(torch.from_numpy(digits.held_out_images)).argmax(dim=1).numpy()
    correct = int((predicted == digits.held_out_labels).sum())
    print(f"top-{top_k}, held out: {correct} of {len(predicted)} correct ({correct / len(predicted):.2%})")
    for index, layer in enumerate(logits):
        shares = " ".join(f"{share:.1%}" for share in routing.shares(layer, top_k).tolist())
        print(f"top-{top_k}, layer {index}, share of each expert: {shares}")


def main() -> None:
    torch.set_num_threads(2)
    digits = dataset.load()
    images, labels = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels)
    for top_k in TOP_K:
        trained = train(top_k, images, labels)
        save_file(trained.state_dict(), weights(top_k))
        export(model(top_k), top_k, batch=1)
        report(trained, top_k, digits)
    np.savez_compressed(HERE / "digits_moe_calibration.npz", image=digits.train_images[:CALIBRATION_IMAGES])
    np.savez_compressed(HERE / "sample.npz", image=digits.held_out_images[:1])


if __name__ == "__main__":
    main()
