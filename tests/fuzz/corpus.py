"""The corpus that the repository keeps, and its minimisation by the lines that each file reaches."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.bounds import execute, limits
from tests.fuzz.target import Target

FOLDER = Path(__file__).parent / "corpus"
KEPT = ("found-", "seed-")  # begin the names of inputs that once failed, and of real ones: they stay

Arc = tuple[CodeType, int, int]


def read(name: str) -> dict[Path, bytes]:
    """The kept inputs of a target."""
    return {path: path.read_bytes() for path in sorted((FOLDER / name).glob("*")) if path.is_file()}


def write(folder: Path, inputs: Iterable[bytes]) -> None:
    """Each input in a file named by its digest."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def minimised(target: Target, inputs: Iterable[bytes], most: int) -> list[bytes]:
    """A small part of the inputs that reaches the same lines in the same order, `most` bytes in all."""
    reached: dict[bytes, set[Arc]] = {}
    with limits():
        for data in sorted(set(inputs), key=len):
            try:
                reached[data] = _arcs(target, data)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
    kept: list[bytes] = []
    covered: set[Arc] = set()
    left = most
    while reached:
        data, new = max(
            ((d, len(arcs - covered)) for d, arcs in reached.items()), key=lambda e: e[1] / (200 + len(e[0]))
        )
        if not new:
            break
        if len(data) <= left:
            kept.append(data)
            covered |= reached[data]
            left -= len(data)
        del reached[data]
    return kept


def _arcs(target: Target, data: bytes) -> set[Arc]:
    """Pairs of lines of this project that follow each other."""
    found: set[Arc] = set()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if "/mpcc/" not in code.co_filename:
            return None
        last = frame.f_lineno

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                found.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line

    sys.settrace(trace)
    try:
        execute(target, data)
    finally:
        sys.settrace(None)
    return found
