"""Train the vision Transformer and write digits.safetensors, digits.onnx, digits_calibration.npz, sample.npz.

    python -m examples.digits.train

A few minutes on two CPU threads. The seed is fixed; another machine's arithmetic may still end in slightly
different weights.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from examples.digits import dataset
from examples.digits.export import WEIGHTS, export
from examples.digits.vision_transformer import VisionTransformer

HERE = Path(__file__).parent
SEED, EPOCHS, BATCH, LEARNING_RATE = 0, 150, 64, 2e-3
CALIBRATION_IMAGES = 32


def shifted(images: Tensor) -> Tensor:
    """Each image moved by -1, 0 or 1 pixels in both directions: the data set is small."""
    size = images.shape[-1]
    padded = pad(images, (1, 1, 1, 1))
    offsets = torch.randint(0, 3, (len(images), 2)).tolist()
    return torch.stack(
        [
            image[:, row : row + size, column : column + size]
            for image, (row, column) in zip(padded, offsets, strict=True)
        ]
    )


def train(images: Tensor, labels: Tensor) -> VisionTransformer:
    """AdamW with one cosine cycle; returns the model in evaluation mode."""
    torch.manual_seed(SEED)
    model = VisionTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
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
            loss = cross_entropy(model(shifted(images[rows])), labels[rows], label_smoothing=0.1)
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3d}: loss {total / len(images):.4f}", flush=True)
    return model.eval()


def main() -> None:
    torch.set_num_threads(2)
    digits = dataset.load()
    model = train(torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels))
    save_file(model.state_dict(), WEIGHTS)
    export(HERE / "digits.onnx", batch=1)
    np.savez_compressed(HERE / "digits_calibration.npz", image=digits.train_images[:CALIBRATION_IMAGES])
    np.savez_compressed(HERE / "sample.npz", image=digits.held_out_images[:1])

    with torch.no_grad():
        predicted = model(torch.from_numpy(digits.held_out_images)).argmax(dim=1).numpy()
    correct = int((predicted == digits.held_out_labels).sum())
    print(f"held out: {correct} of {len(predicted)} correct ({correct / len(predicted):.2%})")


if __name__ == "__main__":
    main()
