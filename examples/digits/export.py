"""Export the trained vision Transformer with another batch size.

python -m examples.digits.export --batch 36 -o digits36.onnx
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file

from examples import onnx_export
from examples.digits.vision_transformer import IMAGE_SIZE, VisionTransformer

WEIGHTS = Path(__file__).parent / "digits.safetensors"


def export(path: Path, batch: int) -> None:
    """Write the model with input `image` [batch, 1, 8, 8] and output `logits` [batch, 10], both float32."""
    model = VisionTransformer().eval()
    model.load_state_dict(load_file(WEIGHTS))
    image = torch.rand(batch, 1, IMAGE_SIZE, IMAGE_SIZE)
    difference = onnx_export.export(model, {"image": image}, "logits", path)
    print(f"wrote {path}; onnxruntime differs from torch by at most {difference:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Export the trained vision Transformer to ONNX.")
    parser.add_argument("--batch", type=int, default=1, help="images in one input (default: 1)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    arguments = parser.parse_args()
    export(arguments.output, arguments.batch)


if __name__ == "__main__":
    main()
