"""Export a trained mixture of experts with another batch size.

python -m examples.digits_moe.export --top-k 2 --batch 36 -o digits_moe36.onnx
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file

from examples import onnx_export
from examples.digits.vision_transformer import IMAGE_SIZE
from examples.digits_moe.mixture_transformer import MixtureTransformer

HERE = Path(__file__).parent
TOP_K = (1, 2)


def model(top_k: int) -> Path:
    """The committed ONNX file, for one image."""
    return HERE / f"digits_moe_top{top_k}.onnx"


def weights(top_k: int) -> Path:
    """The same weights, for the export."""
    return HERE / f"digits_moe_top{top_k}.safetensors"


def export(path: Path, top_k: int, batch: int) -> None:
    """Write the model with input `image` [batch, 1, 8, 8] and output `logits` [batch, 10], both float32."""
    transformer = MixtureTransformer(top_k).eval()
    transformer.load_state_dict(load_file(weights(top_k)))
    image = torch.rand(batch, 1, IMAGE_SIZE, IMAGE_SIZE)
    difference = onnx_export.export(transformer, {"image": image}, "logits", path)
    print(f"wrote {path}; onnxruntime differs from torch by at most {difference:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Export a trained mixture of experts to ONNX.")
    parser.add_argument("--top-k", type=int, choices=TOP_K, default=2, help="experts a token (default: 2)")
    parser.add_argument("--batch", type=int, default=1, help="images in one input (default: 1)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    arguments = parser.parse_args()
    export(arguments.output, arguments.top_k, arguments.batch)


if __name__ == "__main__":
    main()
