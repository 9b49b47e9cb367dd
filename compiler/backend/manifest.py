"""The three manifests of a program folder. Party 1's holds nothing computed from a weight except the public
formats.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpcc.runtime.program_folder import (
    CONSTANTS_NAME,
    FORMAT,
    MANIFEST_NAME,
    PROGRAM_NAME,
    file_sha256,
    seal_manifest,
)

if TYPE_CHECKING:
    from mpcc.compiler.backend.emit import Compiled


def _files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder but its own manifest and the parties' folders' contents it does
    not own.
    """
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() != MANIFEST_NAME
    }


def _program_section(compiled: Compiled, folder: Path) -> dict[str, Any]:
    """What both parties must agree on; `folder` is PROG."""
    return {
        "name": compiled.program.name,
        "party0_sha256": file_sha256(folder / "party0" / PROGRAM_NAME),
        "party1_sha256": file_sha256(folder / "party1" / PROGRAM_NAME),
        "constants_sha256": file_sha256(folder / "party1" / CONSTANTS_NAME),
        "options": compiled.options,
    }


def party_manifest(compiled: Compiled, folder: Path, party: int) -> dict[str, Any]:
    """The manifest of PROG/party0 or PROG/party1; `folder` is PROG."""
    program = _program_section(compiled, folder)
    if party == 0:
        program["model_sha256"] = compiled.model_sha256
    return seal_manifest(
        {
            "format": FORMAT,
            "party": party,
            "program": program,
            "files": _files(folder / f"party{party}"),
            "inputs": [_spec(i) for i in compiled.imported.inputs],
            "local_outputs": _local_outputs(compiled),
            "outputs": [asdict(o) for o in compiled.imported.outputs],
            "predicted": {**compiled.cost.report(), **compiled.prediction.report()},
        }
    )


def root_manifest(compiled: Compiled, folder: Path) -> dict[str, Any]:
    """The manifest of PROG itself, which the dealer and the tools read."""
    return seal_manifest(
        {
            "format": FORMAT,
            "program": {**_program_section(compiled, folder), "model_sha256": compiled.model_sha256},
            "files": _files(folder),
            "inputs": [_spec(i) for i in compiled.imported.inputs],
            "local_outputs": _local_outputs(compiled),
            "outputs": [asdict(o) for o in compiled.imported.outputs],
            "predicted": {**compiled.cost.report(), **compiled.prediction.report()},
            "recognised": compiled.imported.recognised.counts,
            "public": [_finite(asdict(p)) for p in compiled.imported.public_scalars],
        }
    )


def _finite(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with infinities as text: JSON has none."""
    return {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in fields.items()}


def _local_outputs(compiled: Compiled) -> list[dict[str, Any]]:
    """What party 1 feeds into the program and how it is checked; `bound` is the magnitude that its ring
    holds, where it enters as it is: masks, which are 0 or 1, are scaled.
    """
    bounds: dict[str, dict[str, float]] = {}
    for operation in compiled.program.operations:
        if operation.kind != "client_input" or "scale" in operation.attributes:
            continue
        extent = operation.result.type.range  # type: ignore[union-attr]
        if extent is not None:
            bounds[str(operation.attributes["name"])] = {"bound": extent.magnitude}
    return [{**asdict(o), **bounds.get(o.name, {})} for o in compiled.imported.local_outputs]


def _spec(entry: Any) -> dict[str, Any]:
    fields = asdict(entry)
    return {**fields, "shape": list(fields["shape"])}
