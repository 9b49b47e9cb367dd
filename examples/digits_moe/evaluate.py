"""The 360 held-out digits through both parties, compared with onnxruntime.

python -m examples.digits_moe.evaluate --top-k 2 --batch 36
"""

import argparse
from pathlib import Path

from examples.digits.evaluate import compare, parse
from examples.digits_moe.export import TOP_K, export, model


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare secure and plain accuracy on the held-out digits.")
    parser.add_argument("--top-k", type=int, choices=TOP_K, default=2, help="experts a token (default: 2)")
    arguments = parse(parser)

    def export_batch(path: Path, batch: int) -> None:
        export(path, arguments.top_k, batch)

    return compare(arguments, model(arguments.top_k), export_batch)


if __name__ == "__main__":
    raise SystemExit(main())
