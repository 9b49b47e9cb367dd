"""The client's arrays: X.npz checked against the program's inputs, Y.npz written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.runtime.atomic_file import atomic_file
from mpcc.runtime.program_folder import TensorSpec

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
_SHOWN_VALUES = 8


def read_inputs(path: Path, specs: tuple[TensorSpec, ...]) -> Arrays:
    """The program's inputs from an .npz file. Raises MPC-R030..R036, all problems at once."""
    arrays = _read_npz(path)
    check_inputs(arrays, specs, str(path))
    return arrays


def check_inputs(arrays: Arrays, specs: tuple[TensorSpec, ...], where: str) -> None:
    """Refuse arrays that are not the program's inputs. Raises MPC-R031..R036, all problems at once.

    Messages give counts, shapes and bounds, never a value.
    """
    with Diagnostics() as diagnostics:
        for spec in specs:
            if spec.name in arrays:
                _check_array(arrays[spec.name], spec, where, diagnostics)
            else:
                diagnostics.add(
                    "MPC-R031",
                    f"input {spec.name!r} is missing",
                    where=where,
                    remedy=f"add an array of shape {list(spec.shape)} and dtype {spec.dtype}",
                )
        for name in sorted(arrays.keys() - {spec.name for spec in specs}):
            known = ", ".join(spec.name for spec in specs)
            diagnostics.add(
                "MPC-R032",
                f"the program has no input {name!r}",
                where=where,
                remedy=f"remove it; the inputs are: {known}",
            )


def check_writable(path: Path) -> None:
    """Refuse, before any correlation is spent, a result file that cannot be written. Raises MPC-R037.

    A device, such as /dev/null, is refused: the file that is written would take its place.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise _unwritable(path, "it is a folder or a device")
    if not (os.path.isdir(path.parent) and os.access(path.parent, os.W_OK)):
        raise _unwritable(path, "its folder does not exist or is not writable")


def write_outputs(path: Path, arrays: Arrays) -> None:
    """Write an .npz file, whole or not at all. Raises MPC-R037."""
    try:
        with atomic_file(path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise _unwritable(path, error.strerror or "it cannot be created") from None


def describe(name: str, array: Array) -> str:
    """An output's name, shape and first values."""
    values = " ".join(f"{x:.6g}" for x in array.reshape(-1)[:_SHOWN_VALUES])
    dots = " ..." if array.size > _SHOWN_VALUES else ""
    return f"{name} {array.dtype}{list(array.shape)}: {values}{dots}"


def _read_npz(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except Exception as error:  # what NumPy and zipfile raise depends on how a header is damaged
        reason = error.strerror if isinstance(error, OSError) else None
        raise MpccError(
            "MPC-R030",
            f"the input file cannot be read: {reason or 'it is damaged or no .npz archive of plain arrays'}",
            where=str(path),
            remedy="write it with numpy.savez(path, name=array, ...)",
        ) from None


def _check_array(array: Array, spec: TensorSpec, where: str, diagnostics: Diagnostics) -> None:
    if array.shape != spec.shape:
        diagnostics.add(
            "MPC-R033",
            f"input {spec.name!r} has shape {list(array.shape)}, the program takes {list(spec.shape)}",
            where=where,
            remedy="pad or cut the input, or compile again with --dim",
        )
    if array.dtype != np.dtype(spec.dtype):
        diagnostics.add(
            "MPC-R034",
            f"input {spec.name!r} has dtype {array.dtype}, the program takes {spec.dtype}",
            where=where,
            remedy=f"convert it: array.astype({spec.dtype!r})",
        )
    if array.dtype.kind not in "fiub":
        return
    finite = np.isfinite(array)
    not_finite = np.count_nonzero(~finite)
    if not_finite:
        diagnostics.add(
            "MPC-R035",
            f"input {spec.name!r} holds NaN or infinity at {not_finite} of {array.size} places",
            where=where,
            remedy="replace them by finite values",
        )
    low = -np.inf if spec.minimum is None else spec.minimum
    high = np.inf if spec.maximum is None else spec.maximum
    outside = np.count_nonzero(finite & ((array < low) | (array > high)))
    if outside:
        diagnostics.add(
            "MPC-R036",
            f"input {spec.name!r} is outside [{low:g}, {high:g}] at {outside} of {array.size} places",
            where=where,
            remedy="correct the input, or compile again with --calibrate on inputs like this one",
        )


def _unwritable(path: Path, reason: str) -> MpccError:
    return MpccError(
        "MPC-R037",
        f"the result cannot be written: {reason}",
        where=str(path),
        remedy="give another place, or make this one writable",
    )
