"""The lowered program in the clear, on the integers that the parties would share: `mpcc simulate`.

Every share-stage operation has a plain meaning beside its protocol. A secure run differs from it by the
roundings of truncations and shifts only, at most one unit in the last place each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

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
from mpcc.runtime.ring import I64, decode
from mpcc.runtime.sources import Sources, client_arrays, load_arrays

Arrays = dict[str, np.ndarray]
Watch = Callable[[Value, I64], None]


def simulate(folder: Path, inputs: Arrays, *, watch: Watch | None = None) -> Arrays:
    """The program's outputs by name, decoded, in the dtypes of the graph.

    `inputs` are the client's, by graph input name. `watch` sees every value's integers as they are computed.
    Raises MPC-R020.. for a damaged folder, MPC-C060 for one without dumps, MPC-R044 for bad inputs,
    MPC-R045 when the program checks its ranges and a value leaves one.
    """
    manifest = load_program_folder(folder).manifest
    program = read_share_program(folder)
    local = folder / "party1" / LOCAL_MODEL_NAME
    arrays = client_arrays(local if local.exists() else None, manifest["local_outputs"], inputs)
    weights = load_arrays(folder / "party0" / WEIGHTS_NAME)
    constants = load_arrays(folder / "party1" / CONSTANTS_NAME)
    integers = evaluate(program, Sources(arrays, weights, constants), watch)
    refuse_exceeded(take_exceeded(program.attributes, integers))
    dtypes = {entry["name"]: entry["dtype"] for entry in manifest["outputs"]}
    return {
        name: np.asarray(decode(array, ring(program.outputs[name]).fraction), dtype=dtypes[name])
        for name, array in integers.items()
    }


def evaluate(program: Program, sources: Callable[[Operation], I64], watch: Watch | None) -> dict[str, I64]:
    """Integers of a share-stage program's outputs; a value is dropped after its last use."""
    last = {v: i for i, o in enumerate(program.operations) for v in (*o.operands, *o.results)}
    kept = set(program.outputs.values())
    values: dict[Value, I64] = {}
    for index, operation in enumerate(program.operations):
        protocol = protocols[operation.kind]
        if issubclass(protocol, SourceProtocol):
            result = sources(operation)
        else:
            result = protocol.plain(operation, [values[v] for v in operation.operands])
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
