"""The lowered program in the clear, on the integers that the parties would share: `mpcc simulate`.

Every share-stage operation has a plain meaning beside its protocol. A secure run differs from it by the
roundings of truncations and shifts only, at most one unit in the last place each. `in_reals` is the same
program without any rounding: what remains is the error of its approximations.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mpcc.compiler.dumps import read_share_program
from mpcc.ir.program import Operation, Program, Value
from mpcc.ir.range_checks import refuse_exceeded, take_exceeded
from mpcc.ir.types import RingType
from mpcc.runtime.program_folder import (
    CONSTANTS_NAME,
    LOCAL_MODEL_NAME,
    WEIGHTS_NAME,
    load_program_folder,
)
from mpcc.runtime.protocols import protocols
from mpcc.runtime.protocols.local import SourceProtocol
from mpcc.runtime.ring import F64, I64, decode
from mpcc.runtime.sources import Sources, client_arrays
from mpcc.runtime.stored_arrays import load_arrays

Arrays = dict[str, np.ndarray]
Watch = Callable[[Value, I64], None]
WatchReals = Callable[[Value, F64], None]
Element = TypeVar("Element", bound=np.generic)


def simulate(folder: Path, inputs: Arrays, *, watch: Watch | None = None) -> Arrays:
    """The program's outputs by name, decoded, in the dtypes of the graph.

    `inputs` are the client's, by graph input name. `watch` sees every value's integers as they are computed.
    Raises MPC-R020.. for a damaged folder, MPC-C060 for one without dumps, MPC-R044 for bad inputs,
    MPC-R045 when the program checks its ranges and a value leaves one.
    """
    program, sources, dtypes = _loaded(folder, inputs)
    integers = evaluate(program, sources, _plain, watch)
    refuse_exceeded(take_exceeded(program.attributes, integers))
    return {
        name: np.asarray(decode(array, ring(program.outputs[name]).fraction), dtype=dtypes[name])
        for name, array in integers.items()
    }


def in_reals(folder: Path, inputs: Arrays, *, watch: WatchReals | None = None) -> Arrays:
    """The program's outputs computed in floating point: with its approximations, without its rounding."""
    program, sources, dtypes = _loaded(folder, inputs)
    reals = evaluate(program, sources.real, _real, watch)
    take_exceeded(program.attributes, reals)
    return {name: np.asarray(array, dtype=dtypes[name]) for name, array in reals.items()}


def _plain(operation: Operation, operands: list[I64]) -> I64:
    return protocols[operation.kind].plain(operation, operands)


def _real(operation: Operation, operands: list[F64]) -> F64:
    return protocols[operation.kind].real(operation, operands)


def _loaded(folder: Path, inputs: Arrays) -> tuple[Program, Sources, dict[str, str]]:
    """The share-stage program, its sources and its outputs' dtypes."""
    manifest = load_program_folder(folder).manifest
    program = read_share_program(folder)
    local = folder / "party1" / LOCAL_MODEL_NAME
    arrays = client_arrays(local if local.exists() else None, manifest["local_outputs"], inputs)
    weights = load_arrays(folder / "party0" / WEIGHTS_NAME)
    constants = load_arrays(folder / "party1" / CONSTANTS_NAME)
    dtypes = {entry["name"]: entry["dtype"] for entry in manifest["outputs"]}
    return program, Sources(arrays, weights, constants), dtypes


def evaluate(
    program: Program,
    source: Callable[[Operation], NDArray[Element]],
    meaning: Callable[[Operation, list[NDArray[Element]]], NDArray[Element]],
    watch: Callable[[Value, NDArray[Element]], None] | None = None,
) -> dict[str, NDArray[Element]]:
    """A share-stage program's outputs, on integers or on reals; a value is dropped after its last use."""
    last = {v: i for i, o in enumerate(program.operations) for v in (*o.operands, *o.results)}
    kept = set(program.outputs.values())
    values: dict[Value, NDArray[Element]] = {}
    for index, operation in enumerate(program.operations):
        if issubclass(protocols[operation.kind], SourceProtocol):
            result = source(operation)
        else:
            result = meaning(operation, [values[v] for v in operation.operands])
        values[operation.result] = result
        if watch is not None:
            watch(operation.result, result)
        for value in (*operation.operands, *operation.results):
            if last[value] == index and value not in kept:
                values.pop(value, None)
    return {name: values[value] for name, value in program.outputs.items()}


def ring(value: Value) -> RingType:
    """The ring type of a share-stage value."""
    if not isinstance(value.type, RingType):
        raise TypeError(f"%{value.name} is no share-stage value")
    return value.type
