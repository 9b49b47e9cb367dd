"""Findings: the shortest input for each place where something other than an MpccError came out."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

FOLDER = Path(__file__).parent
CRASHES = FOLDER / "crashes"


def place(error: BaseException) -> str:
    """The error's type and the innermost line of this project that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/mpcc/" in f.filename] or frames
    return f"{type(error).__name__}-{Path(own[-1].filename).stem}-{own[-1].lineno}"


def record(target: str, data: bytes, error: BaseException) -> bool:
    """Keep the input and the traceback, unless a shorter input for the same place is there. True if new."""
    folder = CRASHES / target
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / re.sub(r"[^A-Za-z0-9_-]", "_", place(error))
    new = not path.exists()
    if new or path.stat().st_size > len(data):
        path.write_bytes(data)
        path.with_name(path.name + ".txt").write_text("".join(traceback.format_exception(error)))
    return new
