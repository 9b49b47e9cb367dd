"""Text as bytes, in windows of a fixed number of tokens."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 256
CONTEXT = 32
TEXT = Path(__file__).parent / "text.txt"


def text_tokens() -> NDArray[np.int64]:
    """The bytes of text.txt, int64 [length]."""
    return np.frombuffer(TEXT.read_bytes(), dtype=np.uint8).astype(np.int64)


def window(tokens: list[int]) -> tuple[NDArray[np.int64], int]:
    """The last CONTEXT tokens as input_ids [1, CONTEXT], padded behind, and the position of the last one.

    The model is causal, so what stands behind a position does not change its logits.
    """
    kept = tokens[-CONTEXT:]
    padded = kept + [0] * (CONTEXT - len(kept))
    return np.array([padded], dtype=np.int64), len(kept) - 1


def calibration_windows(count: int) -> list[NDArray[np.int64]]:
    """`count` windows spread over the text, each cut at another length and padded like a prompt."""
    tokens = text_tokens().tolist()
    starts = np.linspace(0, len(tokens) - CONTEXT, count).astype(int)
    return [window(tokens[start : start + 1 + index * 7 % CONTEXT])[0] for index, start in enumerate(starts)]
