"""scikit-learn's handwritten digits, split once and for all into training and held-out images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HELD_OUT_IMAGES = 360


@dataclass(frozen=True)
class Digits:
    """Images are float32 [count, 1, 8, 8] in 0..1, labels int64 [count]."""

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    held_out_images: NDArray[np.float32]
    held_out_labels: NDArray[np.int64]


def load() -> Digits:
    """The 1797 images, 360 of them held out (stratified by digit, always the same ones)."""
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 1, 8, 8) / 16.0).astype(np.float32)  # the pixels are integers 0..16
    train_images, held_out_images, train_labels, held_out_labels = train_test_split(
        images, labels.astype(np.int64), test_size=HELD_OUT_IMAGES, stratify=labels, random_state=0
    )
    return Digits(train_images, train_labels, held_out_images, held_out_labels)
