"""The side file of a program's text: its constants as safetensors, only those that its operations name."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.ir.program import Operation, Program

_NAMING = ("constant", "weight")


def constant_operations(program: Program) -> dict[str, Operation]:
    """The first operation that names each constant, in program order."""
    named: dict[str, Operation] = {}
    for operation in program.operations:
        if operation.kind in _NAMING:
            named.setdefault(str(operation.attributes["name"]), operation)
    return named


def save_constants(program: Program, path: Path) -> None:
    """Writes the named constants, whole or not at all; the same program gives the same bytes.

    Raises MpccError: MPC-I030 for a constant that is missing or has another shape, MPC-I031 when
    writing fails.
    """
    named = constant_operations(program)
    _check(named, program.constants, str(path))
    arrays = {
        name: np.ascontiguousarray(program.constants[name]).reshape(program.constants[name].shape)
        for name in named
    }
    temporary = path.with_name(path.name + ".partial")
    try:
        save_file(arrays, temporary)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise MpccError("MPC-I031", f"cannot write the constants: {error}", where=str(path)) from None


def load_constants(program: Program, path: Path) -> None:
    """Fills `program.constants` with the named arrays of a file; other arrays in it are not read.

    Raises MpccError: MPC-I030 for a constant that is missing or has another shape, MPC-I032 for a bad file.
    """
    named = constant_operations(program)
    try:
        with safe_open(path, framework="numpy") as file:
            present = set(file.keys())
            arrays = {name: file.get_tensor(name) for name in named if name in present}
    except (OSError, SafetensorError, ValueError) as error:
        reason = (
            (error.strerror or "it is no regular file") if isinstance(error, OSError) else "it is damaged"
        )
        raise MpccError("MPC-I032", f"cannot read the constants: {reason}", where=str(path)) from None
    _check(named, arrays, str(path))
    program.constants = arrays


def _check(named: dict[str, Operation], arrays: dict[str, np.ndarray], path: str) -> None:
    with Diagnostics() as diagnostics:
        for name, operation in named.items():
            shape = operation.attributes["shape"]
            if name not in arrays:
                diagnostics.add("MPC-I030", f"constant '{name}' is missing", where=path)
            elif arrays[name].shape != shape:
                message = f"constant '{name}' has shape {arrays[name].shape}, the program says {shape}"
                diagnostics.add("MPC-I030", message, where=path)
