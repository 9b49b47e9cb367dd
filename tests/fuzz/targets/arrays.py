"""A client's X.npz, and a file of weights or constants."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import ClassVar

import numpy as np
import safetensors.numpy

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.arrays_file import read_inputs
from mpcc.runtime.program_folder import TensorSpec
from mpcc.runtime.stored_arrays import StoredArrays
from tests.fuzz.mutate.raw import mutate_bytes
from tests.fuzz.target import Target, memory_folder

SPECS = (TensorSpec("x", (2, 3), "float32", -1.0, 1.0), TensorSpec("ids", (4,), "int64", 0, 9))


class ArrayFiles(Target):
    name: ClassVar[str] = "arrays"

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="mpcc-fuzz-", dir=memory_folder())
        self._path = Path(self._scratch.name) / "arrays"

    def run(self, data: bytes) -> None:
        self._path.write_bytes(data)
        with suppress(MpccError):
            stored = StoredArrays(self._path)
            for name in stored:
                assert np.asarray(stored[name]).shape == stored[name].shape
        arrays = read_inputs(self._path, SPECS)
        assert {name: (a.shape, a.dtype.name) for name, a in arrays.items()} == {
            spec.name: (spec.shape, spec.dtype) for spec in SPECS
        }

    def mutate(self, data: bytes, random: Random, max_bytes: int) -> bytes:
        return mutate_bytes(data, random, max_bytes)

    def seeds(self) -> Iterable[bytes]:
        arrays: dict[str, np.ndarray] = {"x": np.zeros((2, 3), np.float32), "ids": np.arange(4)}
        for save in (np.savez, np.savez_compressed):
            file = io.BytesIO()
            save(file, **arrays)  # type: ignore[arg-type]
            yield file.getvalue()
        yield safetensors.numpy.save(arrays)
        file = io.BytesIO()
        np.save(file, arrays["x"])
        yield file.getvalue()
