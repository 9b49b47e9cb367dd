"""Writes the program folder: both party programs, weights, correlations, dumps, manifests."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from safetensors.numpy import save_file

from mpcc.codegen_templates import render
from mpcc.compiler.backend.manifest import party_manifest, root_manifest
from mpcc.compiler.backend.split import split
from mpcc.compiler.choose.experts.record import EXPERTS_NAME
from mpcc.compiler.choose.table import APPROXIMATIONS_NAME
from mpcc.compiler.cost.model import Cost
from mpcc.compiler.cost.report import Prediction
from mpcc.compiler.frontend.imported import Imported
from mpcc.compiler.report.page import write_report
from mpcc.ir.dialects.base import integer
from mpcc.ir.printer import print_operation, print_program
from mpcc.ir.program import Program
from mpcc.passes.lower.context import ShareOf
from mpcc.runtime.correlations import plan
from mpcc.runtime.program_folder import (
    CONSTANTS_NAME,
    CORRELATIONS_NAME,
    LOCAL_MODEL_NAME,
    MANIFEST_NAME,
    PROGRAM_NAME,
    WEIGHTS_NAME,
)

RANGES_NAME = "ranges.json"
LAYERS_NAME = "layers.json"
MODEL_NAME = "model.json"


@dataclass(frozen=True)
class Compiled:
    """What the pipeline hands to the backend. `dumps` are the programs after each pass, in order.

    `shares` says where each tensor-stage value went, `model_path` where the model lay: for `mpcc verify`;
    `approximations` and `experts` what was chosen and what else there was.
    """

    imported: Imported
    program: Program
    dumps: list[tuple[str, Program]]
    ranges: str
    cost: Cost
    prediction: Prediction
    options: dict[str, Any]
    model_sha256: str
    model_path: str = ""
    shares: dict[str, ShareOf] = field(default_factory=dict)
    approximations: dict[str, Any] = field(default_factory=dict)
    experts: dict[str, Any] = field(default_factory=dict)


def emit(compiled: Compiled, folder: Path) -> None:
    """Write everything into `folder`, which exists and is empty. Raises OSError."""
    weights, constants = _arrays(compiled.program)
    local = compiled.imported.local_model
    programs = split(compiled.program)
    for party, program in enumerate(programs):
        target = folder / f"party{party}"
        target.mkdir()
        (target / PROGRAM_NAME).write_text(party_text(program, party), encoding="utf-8")
        save_file(constants, target / CONSTANTS_NAME)
        launcher = target / "run"
        launcher.write_text(render("run.py.j2", party=party, name=json.dumps(program.name)), encoding="utf-8")
        launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    save_file(weights, folder / "party0" / WEIGHTS_NAME)
    if local is not None:
        onnx.save(local, folder / "party1" / LOCAL_MODEL_NAME)
    (folder / CORRELATIONS_NAME).write_text(plan.to_json(plan.link(programs[0])), encoding="utf-8")
    (folder / RANGES_NAME).write_text(compiled.ranges, encoding="utf-8")
    live = {v.name for o in compiled.program.operations for v in o.results}
    shares = {
        name: asdict(s) for name, s in compiled.shares.items() if {s.share, s.row_factor} <= {*live, None}
    }
    _write_json(folder / LAYERS_NAME, shares)
    _write_json(folder / APPROXIMATIONS_NAME, compiled.approximations)
    if compiled.experts:
        _write_json(folder / EXPERTS_NAME, compiled.experts)
    _write_json(folder / MODEL_NAME, {"path": compiled.model_path})
    (folder / "ir").mkdir()
    for index, (name, dumped) in enumerate(compiled.dumps):
        (folder / "ir" / f"{index:02}-{name}.mpcir").write_text(print_program(dumped), encoding="utf-8")
    for party in (0, 1):
        manifest = party_manifest(compiled, folder, party)
        _write_json(folder / f"party{party}" / MANIFEST_NAME, manifest)
    manifest = root_manifest(compiled, folder)
    _write_json(folder / MANIFEST_NAME, manifest)
    write_report(
        folder, manifest, compiled.dumps
    )  # after the manifest: it may be written again, with measured errors


def party_text(program: Program, party: int) -> str:
    """The program text of one party, with its ticks and totals as comments."""
    exchanges = [o for o in program.operations if o.kind == "exchange"]
    lines: list[list[str]] = [[]]
    for operation in program.operations:
        lines[-1].append(print_operation(operation))
        if operation.kind == "exchange":
            lines.append([])
    empty = Program(program.name, program.stage, [], {}, program.attributes)
    whole = print_program(Program(program.name, program.stage, [], program.outputs, program.attributes))
    return render(
        "party_program.mpc.j2",
        party=party,
        rounds=len(exchanges),
        sent=sum(integer(o.attributes, "send") for o in exchanges),
        received=sum(integer(o.attributes, "receive") for o in exchanges),
        header=print_program(empty).splitlines()[0],
        ticks=[tick for tick in lines if tick],
        outputs=[line.strip() for line in whole.splitlines()[1:-1]],
    )


def _arrays(program: Program) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Party 0's weights (float32) and the public constants (int64) that the program reads."""
    weights: dict[str, np.ndarray] = {}
    constants: dict[str, np.ndarray] = {}
    for operation in program.operations:
        if operation.kind in ("weight", "constant"):
            name = str(operation.attributes["name"])
            target = weights if operation.kind == "weight" else constants
            target[name] = np.asarray(program.constants[name], order="C")  # a scalar stays one
    return weights, constants


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
