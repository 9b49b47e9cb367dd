"""`mpcc audit`: who holds what, what each party learns and why that reveals nothing, read from a program's
IR.

The statement is about the IR in PROG/ir; the audit therefore also checks that the IR passes the
information-flow check and that both parties' program texts are its split.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mpcc.codegen_templates import render
from mpcc.compiler.backend.emit import party_text
from mpcc.compiler.backend.split import split
from mpcc.compiler.choose.experts.record import read_experts
from mpcc.compiler.choose.experts.text import public_lines
from mpcc.compiler.disclosures import openings
from mpcc.compiler.dumps import read_share_program
from mpcc.compiler.text import count_of, shape_of, size_of, table
from mpcc.ir.correlation_source import CorrelationSource, source_of
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.dialects.base import integers
from mpcc.ir.information_flow import known_to
from mpcc.ir.program import Operation, Program
from mpcc.ir.range_checks import OUTPUT, checked_layers
from mpcc.ir.types import Visibility
from mpcc.ir.verifier import verify
from mpcc.runtime.correlations.plan import correction_bytes
from mpcc.runtime.program_folder import PROGRAM_NAME, read_manifest
from mpcc.runtime.protocols.base import ring_type


def audit(prog: Path) -> str:
    """The statement for a program folder, as Markdown.

    Raises MpccError: MPC-R020..R024 for the folder, MPC-I0.. for the IR, MPC-C061 when a party's program is
    not that of the IR.
    """
    manifest = read_manifest(prog)
    program = read_share_program(prog)
    verify(program)
    for party, part in enumerate(split(program)):
        path = prog / f"party{party}" / PROGRAM_NAME
        if _text(path) != party_text(part, party):
            raise MpccError(
                "MPC-C061",
                f"party {party}'s program is not the one of the program folder's IR",
                where=str(path),
                remedy="compile the model again, or audit it with the version of mpcc that compiled it",
            )
    return render("audit.md.j2", **statement(prog, manifest, program)).rstrip("\n")


def statement(prog: Path, manifest: dict[str, Any], program: Program) -> dict[str, Any]:
    """What the template shows."""
    opened, experts = openings(program), read_experts(prog)
    weights = [o for o in program.operations if o.kind == "weight"]
    linear = [o for o in program.operations if o.kind in ("linear", "gain")]
    predicted = manifest["predicted"]["bytes"]["offline"]
    formats = dict(manifest["program"]["options"]["formats"])
    safety = formats.pop("safety")
    return {
        "name": program.name,
        "inputs": _inputs(manifest),
        "outputs": _outputs(manifest, program),
        "checked_layers": checked_layers(program.attributes),
        "checks_to": _checks_to(program),
        "checked": len(program.operations),
        "weights": len({o.attributes["name"] for o in weights}),
        "weight_elements": count_of(sum(_elements(o) for o in weights)),
        "local": manifest["local_outputs"],
        "has_local_model": (prog / "party1" / "local.onnx").is_file(),
        "openings": table(
            ("operation", "count", "bits from party 0", "bits from party 1", "bits of masks"),
            [
                (o.kind, o.operations, count_of(o.sent[0]), count_of(o.sent[1]), count_of(sum(o.masked)))
                for o in opened
            ],
        ),
        "disclosures": opened,
        "experts": public_lines(experts) if experts else [],
        "capacity": any(layer["slots"] for layer in experts.get("layers", ())),
        "linear": len(linear),
        "two_party": source_of(program.attributes) is CorrelationSource.TWO_PARTY,
        "setup": size_of(predicted.get("setup_party0_to_party1", 0)),
        "made": size_of(sum(n for who, n in predicted.items() if who != "setup_party0_to_party1")),
        "dealt_kinds": sorted({o.kind for o in program.operations if correction_bytes(o)}),
        "correlations": manifest["program"]["options"]["correlations"],
        "formats": formats,
        "safety": safety,
        "public": manifest.get("public", []),
        "constants": table(("name", "shape", "value", "for"), _constants(program)),
        "party1_files": table(("file", "bytes", "what it is"), _party1_files(prog)),
    }


def _inputs(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**entry, "shape": shape_of(entry["shape"])} for entry in manifest["inputs"]]


def _outputs(manifest: dict[str, Any], program: Program) -> list[dict[str, Any]]:
    reveals = {str(o.attributes["name"]): o for o in program.operations if o.kind == "reveal"}
    return [
        {
            "name": entry["name"],
            "shape": shape_of(entry["shape"]),
            "to": {"party0": "party 0", "party1": "party 1"}.get(entry["reveal"], "both parties"),
            "bits": ring_type(reveals[entry["name"]], 0).ring,
            "fraction": ring_type(reveals[entry["name"]], 0).fraction,
        }
        for entry in manifest["outputs"]
    ]


def _checks_to(program: Program) -> str:
    """Who learns the range checks; empty for a program without them."""
    value = program.outputs.get(OUTPUT)
    if value is None:
        return ""
    names = {Visibility.PARTY0: "party 0", Visibility.PARTY1: "party 1"}
    return names.get(known_to(value.type), "both parties")


def _elements(operation: Operation) -> int:
    return math.prod(integers(operation.attributes, "shape"))


def _constants(program: Program) -> list[tuple[str, str, str, str]]:
    """Public arrays that both parties hold: name, shape, value or range, the ONNX node that they serve."""
    return [
        (
            str(operation.attributes["name"]),
            shape_of(integers(operation.attributes, "shape")),
            _range_of(operation),
            "".join(operation.onnx_nodes[:1]),
        )
        for operation in program.operations
        if operation.kind == "constant"
    ]


def _range_of(operation: Operation) -> str:
    extent = ring_type(operation).range
    if extent is None:
        return ""
    return f"{extent.low:.6g}" if extent.low == extent.high else f"{extent.low:.6g} to {extent.high:.6g}"


def _party1_files(prog: Path) -> list[tuple[str, int, str]]:
    meaning = {
        PROGRAM_NAME: "the program: shapes, rings, public coefficients, names of ONNX nodes; no weight",
        "manifest.json": "inputs, outputs, options, predicted cost, checksums",
        "constants.safetensors": "the public constants below",
        "local.onnx": "what the client computes on its own input; weight-free",
        "run": "the launcher",
    }
    folder = prog / "party1"
    return [(p.name, p.stat().st_size, meaning.get(p.name, "")) for p in sorted(folder.iterdir())]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
