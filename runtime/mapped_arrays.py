"""A safetensors file whose arrays stay on disk until they are asked for, one mapping each.

A party encodes its weights one by one: the file's numbers and their integers need not both be in memory.
The format: the header's length in 8 bytes, little endian; a JSON object of name -> dtype, shape and where the
array's bytes begin and end; the bytes (github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

_LENGTH_BYTES = 8
_KINDS = {"F": "f", "I": "i", "U": "u"}


class MappedArrays(Mapping[str, np.ndarray]):
    """The arrays by name. What is given out holds the mapping; it ends with the last reference."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, ValueError, LookupError, TypeError or AttributeError for a damaged file."""
        self._path = path
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            header = json.loads(file.read(min(length, size)))
        header.pop("__metadata__", None)
        self._entries: dict[str, tuple[np.dtype, tuple[int, ...], int]] = {}
        for name, entry in header.items():
            dtype = np.dtype(f"<{_KINDS[entry['dtype'][0]]}{int(entry['dtype'][1:]) // 8}")
            shape = tuple(int(extent) for extent in entry["shape"])
            begin, end = (_LENGTH_BYTES + length + int(offset) for offset in entry["data_offsets"])
            if end - begin != math.prod(shape) * dtype.itemsize or not _LENGTH_BYTES <= begin <= end <= size:
                raise ValueError(f"{path}: the array {name!r} is not where the header says")
            self._entries[name] = dtype, shape, begin

    def __getitem__(self, name: str) -> np.ndarray:
        dtype, shape, begin = self._entries[name]
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.asarray(np.memmap(self._path, dtype, "r", begin, shape))

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
