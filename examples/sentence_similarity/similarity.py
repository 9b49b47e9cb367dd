"""Forty sentences through both parties: cosine with onnxruntime's embedding, and the similarity ranking.

python -m examples.sentence_similarity.similarity minilm32.onnx
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from examples.mpcc_command import Mpcc
from examples.sentence_similarity.tokens import CALIBRATION, SENTENCES, read_sentences, tokenize

MINIMUM_COSINE = 0.99995

Embeddings = NDArray[np.float64]


def cosine(first: Embeddings, second: Embeddings) -> float:
    """Of two vectors [384]."""
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def similarities(embeddings: Embeddings) -> Embeddings:
    """[sentences, sentences - 1]: each sentence's cosine with all the others."""
    count = len(embeddings)
    return (embeddings @ embeddings.T)[~np.eye(count, dtype=bool)].reshape(count, count - 1)


@dataclass(frozen=True)
class Comparison:
    """Rankings by secure and by plain similarity: sentences that agree, and pairs that swapped places.

    `largest_swap` is the largest difference of two plain similarities whose order the secure run reversed:
    below it the ranking is a matter of rounding.
    """

    same_nearest: int
    same_order: int
    swapped: int
    largest_swap: float


def compare(secure: Embeddings, plain: Embeddings) -> Comparison:
    """Of two [sentences, others] arrays of similarities."""
    plain_gap = plain[:, :, None] - plain[:, None, :]
    secure_gap = secure[:, :, None] - secure[:, None, :]
    swapped = (plain_gap > 0) & (secure_gap < 0)
    return Comparison(
        same_nearest=int((secure.argmax(axis=1) == plain.argmax(axis=1)).sum()),
        same_order=int((~swapped.any(axis=(1, 2))).sum()),
        swapped=int(swapped.sum()),
        largest_swap=float(plain_gap[swapped].max(initial=0.0)),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare secure and plain sentence embeddings.")
    parser.add_argument("model", type=Path, help="the ONNX file that export.py wrote")
    parser.add_argument("--tokens", type=int, help="length of the inputs (default: the model's)")
    parser.add_argument("--sentences", type=Path, default=SENTENCES, help="a text file, one sentence a line")
    parser.add_argument("--count", type=int, help="only the first COUNT sentences")
    Mpcc.add_arguments(parser)
    arguments = parser.parse_args()
    mpcc = Mpcc.from_arguments(arguments)
    session = onnxruntime.InferenceSession(arguments.model, providers=["CPUExecutionProvider"])
    tokens = arguments.tokens or session.get_inputs()[0].shape[1]
    if not isinstance(tokens, int):
        parser.error("the model leaves its length open: give --tokens, and --dim in --compile-options")

    sentences = read_sentences(arguments.sentences)[: arguments.count]
    secure, plain, cosines = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        calibration = tokenize(read_sentences(CALIBRATION), tokens)
        program = mpcc.prepare(arguments.model, Path(folder, "program"), calibration)
        print(f"{'':>3} {'tokens':>6} {'1 - cosine':>10}  cost; sentence")
        for index, (sentence, inputs) in enumerate(zip(sentences, tokenize(sentences, tokens), strict=True)):
            result = mpcc.run(program, inputs)
            secure.append(result.outputs["embedding"][0].astype(np.float64))
            plain.append(np.asarray(session.run(["embedding"], inputs)[0])[0].astype(np.float64))
            cosines.append(cosine(secure[-1], plain[-1]))
            used = int(inputs["attention_mask"].sum())
            print(f"{index:3d} {used:6d} {1 - cosines[-1]:10.2e}  {result.cost}; {sentence[:40]}", flush=True)

    comparison = compare(similarities(np.array(secure)), similarities(np.array(plain)))
    print(f"smallest cosine: {min(cosines):.7f} (wanted: {MINIMUM_COSINE})")
    print(f"same most similar sentence: {comparison.same_nearest} of {len(sentences)}")
    print(f"same order of all others:   {comparison.same_order} of {len(sentences)}")
    print(
        f"swapped pairs: {comparison.swapped}, plain similarities at most {comparison.largest_swap:.1e} apart"
    )
    return 0 if min(cosines) >= MINIMUM_COSINE and comparison.same_nearest == len(sentences) else 1


if __name__ == "__main__":
    raise SystemExit(main())
