"""Calibration inputs: .npz files that hold one sample, or several stacked along the first axis."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mpcc.compiler.frontend.imported import InputSpec
from mpcc.ir.diagnostics import Diagnostics

Arrays = dict[str, np.ndarray]


def read_samples(paths: Sequence[Path]) -> list[Arrays]:
    """One dictionary a file, as stored. Raises MPC-C020, all unreadable files at once."""
    samples: list[Arrays] = []
    with Diagnostics() as diagnostics:
        for path in paths:
            try:
                with np.load(path, allow_pickle=False) as archive:
                    samples.append({name: np.asarray(archive[name]) for name in archive.files})
            except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error):
                diagnostics.add(
                    "MPC-C020",
                    "the calibration file is missing, damaged or not an .npz archive of plain arrays",
                    where=str(path),
                    remedy="write it with numpy.savez(path, name=array, ...), by graph input names",
                )
    return samples


def split_samples(specs: Sequence[InputSpec], stacked: Sequence[Arrays]) -> list[Arrays]:
    """Samples of the compiled shapes: a first axis of n times the compiled one holds n samples.

    Raises MPC-C021 for inputs that are missing, unknown, or of other shapes or numbers.
    """
    samples: list[Arrays] = []
    with Diagnostics() as diagnostics:
        for arrays in stacked:
            counts = {spec.name: _count(spec, arrays, diagnostics) for spec in specs}
            for name in sorted(arrays.keys() - counts.keys()):
                diagnostics.add(
                    "MPC-C021",
                    f"the model has no input '{name}' for a calibration array",
                    remedy=f"its inputs are: {', '.join(counts)}",
                )
            numbers = {n for n in counts.values() if n is not None}
            if len(numbers) > 1:
                listed = ", ".join(f"{name} {n}" for name, n in counts.items() if n is not None)
                diagnostics.add(
                    "MPC-C021",
                    f"the inputs of one calibration file hold different numbers of samples: {listed}",
                    remedy="stack every input the same number of times along its first axis",
                )
            if diagnostics.errors:
                continue
            number = next(iter(numbers), 1)
            samples += [
                {spec.name: _part(spec, arrays[spec.name], i) for spec in specs} for i in range(number)
            ]
    return samples


def _count(spec: InputSpec, arrays: Arrays, diagnostics: Diagnostics) -> int | None:
    """How many samples an array holds; None for a scalar, which all samples share, and for an error."""
    array = arrays.get(spec.name)
    if array is None:
        found = "is missing"
    elif not spec.shape and not array.shape:
        return None
    else:
        if spec.shape and array.ndim == len(spec.shape) and array.shape[1:] == spec.shape[1:]:
            count = array.shape[0] // spec.shape[0]
            if count and count * spec.shape[0] == array.shape[0]:
                return int(count)
        found = f"has shape {list(array.shape)}"
    diagnostics.add(
        "MPC-C021",
        f"calibration input '{spec.name}' {found}, the model takes {list(spec.shape)}",
        remedy="give that shape, or several samples stacked along the first axis",
    )
    return None


def _part(spec: InputSpec, array: np.ndarray, index: int) -> np.ndarray:
    return array[index * spec.shape[0] : (index + 1) * spec.shape[0]] if spec.shape else array
