"""Continue a prompt greedily, each byte by one run of both parties, beside onnxruntime's continuation.

python -m examples.tiny_gpt.generate tiny_gpt.onnx --prompt "To add two numbers, " --count 8
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from examples.mpcc_command import Mpcc
from examples.tiny_gpt.windows import calibration_windows, window

CALIBRATION_WINDOWS = 24


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate text between two parties.")
    parser.add_argument("model", type=Path, help="the ONNX file that export.py wrote")
    parser.add_argument("--prompt", default="To add two numbers, ", help="the text to continue")
    parser.add_argument("--count", type=int, default=8, help="bytes to generate (default: 8)")
    Mpcc.add_arguments(parser)
    arguments = parser.parse_args()
    if not arguments.prompt:
        parser.error("--prompt must not be empty")
    mpcc = Mpcc.from_arguments(arguments)
    session = onnxruntime.InferenceSession(arguments.model, providers=["CPUExecutionProvider"])

    secure = list(arguments.prompt.encode())
    same = 0
    with tempfile.TemporaryDirectory() as folder:
        calibration = ({"input_ids": tokens} for tokens in calibration_windows(CALIBRATION_WINDOWS))
        program = mpcc.prepare(arguments.model, Path(folder, "program"), calibration)
        for index in range(arguments.count):
            tokens, last = window(secure)
            result = mpcc.run(program, {"input_ids": tokens})
            secure_logits = result.outputs["logits"][0, last]
            plain_logits = np.asarray(session.run(["logits"], {"input_ids": tokens})[0])[0, last]
            chosen = int(secure_logits.argmax())
            same += chosen == int(plain_logits.argmax())
            difference = float(np.abs(secure_logits - plain_logits).max())
            secure.append(chosen)
            print(
                f"{index + 1:3d} {bytes([chosen])!r:8} logits differ by {difference:.4f}; {result.cost}",
                flush=True,
            )

    print(f"text: {bytes(secure).decode(errors='replace')}")
    print(f"same byte as onnxruntime in {same} of {arguments.count} steps")
    return 0 if same == arguments.count else 1


if __name__ == "__main__":
    raise SystemExit(main())
