"""The 360 held-out digits through both parties, compared with onnxruntime.

python -m examples.digits.evaluate --batch 36
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from examples.digits import dataset
from examples.digits.export import export
from examples.mpcc_command import Mpcc

MODEL = Path(__file__).parent / "digits.onnx"
CALIBRATION_BATCHES = 32


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The command line, with the options of `compare` added to the parser's own."""
    parser.add_argument(
        "--batch", type=int, default=36, help="images in one run, a divisor of the count (default: 36)"
    )
    parser.add_argument(
        "--count", type=int, default=dataset.HELD_OUT_IMAGES, help="the first COUNT images (default: all)"
    )
    Mpcc.add_arguments(parser)
    arguments = parser.parse_args()
    if not 0 < arguments.count <= dataset.HELD_OUT_IMAGES or arguments.count % arguments.batch:
        parser.error(f"--count must be a multiple of --batch and at most {dataset.HELD_OUT_IMAGES}")
    return arguments


def compare(arguments: argparse.Namespace, model: Path, export: Callable[[Path, int], None]) -> int:
    """Both parties on the images asked for; 0 if the numbers of correct images differ by one at most, else 1.

    `export` writes `model` for another batch size.
    """
    mpcc = Mpcc.from_arguments(arguments)
    digits = dataset.load()
    labels = digits.held_out_labels[: arguments.count]
    batches = digits.held_out_images[: arguments.count].reshape(-1, arguments.batch, 1, 8, 8)

    with tempfile.TemporaryDirectory() as folder:
        if arguments.batch != 1:
            model = Path(folder, "batch.onnx")
            export(model, arguments.batch)
        training = digits.train_images[: len(digits.train_images) // arguments.batch * arguments.batch]
        calibration = training.reshape(-1, arguments.batch, 1, 8, 8)[:CALIBRATION_BATCHES]
        program = mpcc.prepare(model, Path(folder, "program"), ({"image": images} for images in calibration))
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        secure, plain = [], []
        for index, images in enumerate(batches):
            result = mpcc.run(program, {"image": images})
            secure.append(result.outputs["logits"])
            plain.append(np.asarray(session.run(["logits"], {"image": images})[0]))
            print(f"run {index + 1} of {len(batches)}: {result.cost}", flush=True)

    secure_logits, plain_logits = np.concatenate(secure), np.concatenate(plain)
    secure_digits, plain_digits = secure_logits.argmax(axis=1), plain_logits.argmax(axis=1)
    secure_correct, plain_correct = int((secure_digits == labels).sum()), int((plain_digits == labels).sum())
    print(f"secure: {secure_correct} of {len(labels)} correct ({secure_correct / len(labels):.2%})")
    print(f"plain:  {plain_correct} of {len(labels)} correct ({plain_correct / len(labels):.2%})")
    print(f"same digit on {int((secure_digits == plain_digits).sum())} of {len(labels)} images")
    print(f"largest difference of a logit: {np.abs(secure_logits - plain_logits).max():.5f}")
    return 0 if abs(secure_correct - plain_correct) <= 1 else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare secure and plain accuracy on the held-out digits.")
    return compare(parse(parser), MODEL, export)


if __name__ == "__main__":
    raise SystemExit(main())
