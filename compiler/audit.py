"""`mpcc audit`: who holds what, what each party learns and why that reveals nothing, read from a program's IR.

The statement is about the IR in PROG/ir; the audit therefore also checks that the IR passes the information-flow
check and that both parties' program texts are its split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any


from mpcc.codegen_templates import render
from mpcc.compiler.backend.emit import party_text
from mpcc.compiler.backend.split import split
from mpcc.compiler.cost.model import operation_cost
from mpcc.compiler.text import count_of, shape_of, size_of, table
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.dialects import definition
from mpcc.ir.dialects.base import integers
from mpcc.ir.parser import read_program
from mpcc.ir.program import Operation, Program, Stage
from mpcc.ir.verifier import verify
from mpcc.runtime.correlations.slots import Role
from mpcc.runtime.program_folder import PROGRAM_NAME, read_manifest
from mpcc.runtime.protocols import protocols


@dataclass(frozen=True)
class Disclosure:
    """What an opening shows, under which mask, and why that reveals nothing."""

    shown: str
    mask: str
    reason: str


_BEAVER = "the mask is drawn for this opening only, so the sum is uniform whatever the value is"
DISCLOSURES = {
    "open_masked": Disclosure("x - a mod 2^k", "a, k uniform bits an element, nobody knows it", _BEAVER),
    "open_bits": Disclosure("b xor r", "r, one uniform bit a bit, nobody knows it", _BEAVER),
    "truncate": Disclosure(
        "one bit of each party's own share, to the other party",
        "one uniform bit an element that only the sender knows",
        "the receiver sees a one-time pad; the shares themselves stay",
    ),
    "less_than": Disclosure(
        "x - a mod 2^j, then the carry tree's input bits xor r",
        "a, j uniform bits an element, and one fresh bit r for each bit opened",
        "both are one-time pads; the result stays shared",
    ),
    "row_reaches": Disclosure(
        "q - a mod 2^j, then the counts minus c",
        "a and c, uniform in the rings that they are opened in",
        "both are one-time pads; which levels are reached stays shared",
    ),
    "exponential": Disclosure("x - t mod 2^j", "t, j uniform bits an element, nobody knows it", _BEAVER),
    "sine_series": Disclosure(
        "x - t mod 2^j, one period",
        "t, j uniform bits an element, nobody knows it",
        "the mask is uniform over the whole period, so the difference is too",
    ),
    "one_hot": Disclosure("i - r mod 2^j", "r, j uniform bits an index, nobody knows it", _BEAVER),
    "serve": Disclosure(
        "x - a mod 2^k, to party 0 only",
        "a, k uniform bits an element that only party 1 knows",
        "party 0 does not know a, and a masks nothing else that party 0 sees",
    ),
}


@dataclass
class Opening:
    """All openings of one operation kind. `sent` and `masked` are (party 0's, party 1's) bits."""

    kind: str
    disclosure: Disclosure
    operations: int = 0
    sent: tuple[int, int] = (0, 0)
    masked: tuple[int, int] = (0, 0)


def audit(prog: Path) -> str:
    """The statement for a program folder, as Markdown.

    Raises MpccError: MPC-R020..R024 for the folder, MPC-I0.. for the IR, MPC-C021 when a party's program is not
    that of the IR.
    """
    manifest = read_manifest(prog)
    program = read_share_program(prog)
    verify(program)
    for party, part in enumerate(split(program)):
        path = prog / f"party{party}" / PROGRAM_NAME
        if _text(path) != party_text(part, party):
            raise MpccError(
                "MPC-C021",
                f"party {party}'s program is not the one of the program folder's IR",
                where=str(path),
                remedy="compile the model again, and do not edit the folder",
            )
    return render("audit.md.j2", **statement(prog, manifest, program))


def read_share_program(prog: Path) -> Program:
    """The program that was split into the parties' programs: the last share-stage dump. Raises MPC-I0.., MPC-C020."""
    for path in reversed(sorted((prog / "ir").glob("*.mpcir"))):
        program = read_program(path)
        if program.stage is Stage.SHARE:
            return program
    raise MpccError(
        "MPC-C020",
        "the program folder holds no IR of the share stage",
        where=str(prog / "ir"),
        remedy="give the whole folder that mpcc compile wrote, not one party's",
    )


def statement(prog: Path, manifest: dict[str, Any], program: Program) -> dict[str, Any]:
    """What the template shows."""
    opened = openings(program)
    weights = [o for o in program.operations if o.kind == "weight"]
    linear = [o for o in program.operations if o.kind in ("linear", "gain")]
    predicted = manifest["predicted"]["bytes"]["offline"]
    return {
        "name": program.name,
        "inputs": _inputs(manifest),
        "outputs": _outputs(manifest, program),
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
        "linear": len(linear),
        "setup": size_of(predicted["setup_party0_to_party1"]),
        "dealt": size_of(predicted["dealer_to_party1"]),
        "dealt_kinds": sorted({o.kind for o in program.operations if operation_cost(o).dealt_bytes}),
        "correlations": manifest["program"]["options"].get("correlations", "dealer"),
        "formats": manifest["program"]["options"].get("formats", {}),
        "public": manifest.get("public", []),
        "constants": table(("name", "shape", "read by"), _constants(program)),
        "party1_files": table(("file", "bytes", "what it is"), _party1_files(prog)),
    }


def openings(program: Program) -> list[Opening]:
    """Every opening under a mask, by kind. Bits are those of the messages, and of the masks as they are drawn."""
    found: dict[str, Opening] = {}
    for operation in program.operations:
        if getattr(definition(program.stage, operation.kind), "opens", None) in (None, "reveal"):
            continue
        entry = found.setdefault(operation.kind, Opening(operation.kind, DISCLOSURES[operation.kind]))
        sent, masked = mask_balance(operation)
        entry.operations += 1
        entry.sent = (entry.sent[0] + sent[0], entry.sent[1] + sent[1])
        entry.masked = (entry.masked[0] + masked[0], entry.masked[1] + masked[1])
    return list(found.values())


def mask_balance(operation: Operation) -> tuple[tuple[int, int], tuple[int, int]]:
    """Bits that party 0 and party 1 send in an opening, and bits of the masks over them, padding to bytes included.

    A mask that neither party knows (`uniform`) covers both parties' messages, one that a party knows covers its own.
    """
    protocol = protocols[operation.kind]
    messages = protocol.messages(operation)
    masked = [0, 0]
    for slot in protocol.slots(operation):
        bits = 8 * math.ceil(slot.count * slot.bits / 8)
        masked[0] += bits if slot.role in (Role.UNIFORM, Role.PARTY0) else 0
        masked[1] += bits if slot.role in (Role.UNIFORM, Role.PARTY1) else 0
    return (8 * sum(m[0] for m in messages), 8 * sum(m[1] for m in messages)), (masked[0], masked[1])


def _inputs(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**entry, "shape": shape_of(entry["shape"])} for entry in manifest["inputs"]]


def _outputs(manifest: dict[str, Any], program: Program) -> list[dict[str, Any]]:
    reveals = {str(o.attributes["name"]): o for o in program.operations if o.kind == "reveal"}
    return [
        {
            "name": entry["name"],
            "shape": shape_of(entry["shape"]),
            "to": {"party0": "party 0", "party1": "party 1"}.get(entry["reveal"], "both parties"),
            "bits": reveals[entry["name"]].operands[0].type.ring,  # type: ignore[union-attr]
            "fraction": reveals[entry["name"]].operands[0].type.fraction,  # type: ignore[union-attr]
        }
        for entry in manifest["outputs"]
    ]


def _elements(operation: Operation) -> int:
    return math.prod(integers(operation.attributes, "shape"))


def _constants(program: Program) -> list[tuple[str, str, str]]:
    """Public arrays that both parties hold: name, shape, ONNX nodes that read them."""
    return [
        (
            str(operation.attributes["name"]),
            shape_of(integers(operation.attributes, "shape")),
            ", ".join(operation.onnx_nodes[:2]),
        )
        for operation in program.operations
        if operation.kind == "constant"
    ]


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


