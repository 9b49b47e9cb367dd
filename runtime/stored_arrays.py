"""A safetensors file whose arrays are read one by one, when they are asked for.

A party encodes its weights one after the other: the file's numbers and their integers need not both be in
memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import safe_open

from mpcc.ir.diagnostics import MpccError


class StoredArrays(Mapping[str, np.ndarray]):
    """The arrays by name; each use reads the file again. Raises MPC-R043 for a damaged file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with safe_open(path, framework="numpy") as file:
                self._names = tuple(file.keys())
        except Exception as error:  # the library's own error types are not public
            raise self._damaged(error) from None

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        try:
            with safe_open(self._path, framework="numpy") as file:
                return np.asarray(file.get_tensor(name))
        except Exception as error:
            raise self._damaged(error) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _damaged(self, error: Exception) -> MpccError:
        return MpccError(
            "MPC-R043",
            f"the file of arrays cannot be read: {type(error).__name__}",
            where=str(self._path),
            remedy="copy the folder again and completely, or compile the model again: mpcc compile",
        )


def stored_arrays(path: Path | None) -> Mapping[str, np.ndarray]:
    """The arrays of a file that may be missing. Raises MPC-R043."""
    return StoredArrays(path) if path is not None and path.exists() else {}


def load_arrays(path: Path | None) -> dict[str, np.ndarray]:
    """All of them, in memory, read only. Raises MPC-R043."""
    arrays = dict(stored_arrays(path))
    for array in arrays.values():
        array.setflags(write=False)
    return arrays
