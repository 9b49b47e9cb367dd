"""A safetensors file whose arrays are read when they are asked for, by rows or whole.

A party encodes its weights by rows: the file's numbers and their integers need not both be in memory, and
touching new memory takes longer than the rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import safe_open

from mpcc.ir.diagnostics import MpccError


class StoredArray:
    """Of a file: `array[start:stop]` reads rows, `np.asarray(array)` all of it. Raises MPC-R043 for a damaged
    file.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        with _reading(path):
            self._file = cast(Any, safe_open(path, framework="numpy"))  # its types lack these methods
            self._rows = self._file.get_slice(name)
            self.shape: tuple[int, ...] = tuple(self._rows.get_shape())

    def __getitem__(self, rows: slice) -> np.ndarray:
        with _reading(self._path):
            start, stop, _ = rows.indices(self.shape[0])  # the library takes none beyond the end
            return np.asarray(self._rows[start:stop])

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        with _reading(self._path):
            return np.asarray(self._file.get_tensor(self._name), dtype=dtype)


class StoredArrays(Mapping[str, StoredArray]):
    """The arrays by name. Raises MPC-R043 for a damaged file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _reading(path), safe_open(path, framework="numpy") as file:
            self._names = tuple(file.keys())

    def __getitem__(self, name: str) -> StoredArray:
        if name not in self._names:
            raise KeyError(name)
        return StoredArray(self._path, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the library's own error types are not public
        raise MpccError(
            "MPC-R043",
            f"the file of arrays cannot be read: {type(error).__name__}",
            where=str(path),
            remedy="copy the folder again and completely, or compile the model again: mpcc compile",
        ) from None


def stored_arrays(path: Path | None) -> Mapping[str, StoredArray]:
    """The arrays of a file that may be missing. Raises MPC-R043."""
    return StoredArrays(path) if path is not None and path.exists() else {}


def load_arrays(path: Path | None) -> dict[str, np.ndarray]:
    """All of them, in memory, read only. Raises MPC-R043."""
    arrays = {name: np.asarray(array) for name, array in stored_arrays(path).items()}
    for array in arrays.values():
        array.setflags(write=False)
    return arrays
