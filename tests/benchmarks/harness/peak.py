"""Runs a module as `python -m MODULE` does, and writes the most memory that its process had, in bytes.

    python tests/benchmarks/harness/peak.py FILE MODULE [ARGUMENT ...]

A process of its own, since the kernel's counter for children starts from their parent's peak.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from mpcc.runtime.peak_memory import peak_memory_bytes


def command(file: Path, module: str) -> list[str]:
    return [sys.executable, __file__, str(file), module]


def main(file: str, module: str, *arguments: str) -> None:
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        Path(file).write_text(str(peak_memory_bytes() or 0), encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
