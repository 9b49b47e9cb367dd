"""`mpcc inspect`: a program's IR by stage, or what it costs and what each party learns, as text or as one
HTML page.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mpcc.codegen_templates import render
from mpcc.compiler.choose.experts.record import read_experts
from mpcc.compiler.choose.experts.text import experts_table
from mpcc.compiler.choose.table import choices_table, read_choices
from mpcc.compiler.disclosures import openings
from mpcc.compiler.dumps import read_dumps, stage_file
from mpcc.compiler.report import write_report
from mpcc.compiler.summary import Row, Summary, share_stage, summarise
from mpcc.compiler.text import count_of, size_of, table
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Program, Stage
from mpcc.runtime.program_folder import PROGRAM_NAME, read_manifest

VERIFY_NAME = "verify.json"
STAGES = ("tensor", "share", "party0", "party1")


def inspect_command(prog: Path, stage: str | None, html: bool) -> str:
    """The text to print, without a last line break. With `html`, PROG/report.html is written and its path
    returned.

    `stage` is one of STAGES, or None for the summary. The page shows errors by layer where PROG/verify.json
    holds a report of `mpcc verify`. Raises MpccError: MPC-R020..R024, MPC-I0.., MPC-C060 (no IR), MPC-C062
    (verify.json is no such report), MPC-C063 (the page cannot be written).
    """
    manifest = read_manifest(prog)
    if stage is not None:
        party = stage in ("party0", "party1")
        path = prog / stage / PROGRAM_NAME if party else stage_file(prog, Stage(stage))
        return _read(path)
    dumps = read_dumps(prog)
    if not html:
        return render(
            "summary.txt.j2",
            **_text_values(manifest, summarise(dumps), share_stage(dumps)),
            **_choices(read_choices(prog)),
            **_experts(read_experts(prog)),
        ).rstrip("\n")
    try:
        return str(write_report(prog, manifest, dumps, _verify_report(prog / VERIFY_NAME)))
    except OSError as error:
        raise MpccError(
            "MPC-C063",
            f"the report page cannot be written: {error.strerror}",
            where=str(prog),
            remedy="check the folder's permissions and the free space",
        ) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError):
        raise MpccError(
            "MPC-C060",
            "a program text is missing or unreadable",
            where=str(path),
            remedy="give the whole folder that mpcc compile wrote, not one party's",
        ) from None


def _verify_report(path: Path) -> dict[str, Any]:
    """R.json of `mpcc verify`; empty when there is none."""
    if not path.exists():
        return {}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(report["error"]["layers"], list) and isinstance(report["error"]["outputs"], dict):
            return dict(report)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise MpccError(
        "MPC-C062",
        "this is no report of mpcc verify",
        where=str(path),
        remedy=f"write one with: mpcc verify PROG --input X.npz --report PROG/{VERIFY_NAME}",
    )


def _text_values(manifest: dict[str, Any], summary: Summary, program: Program) -> dict[str, Any]:
    head = ("operations", "rounds", "party 0 sends", "party 1 sends", "dealt")
    return {
        "name": summary.name,
        "cost": summary.cost,
        "size": size_of,
        "count": count_of,
        "recognised": manifest["recognised"],
        "outputs": manifest["outputs"],
        "check_ranges": "check_ranges" in manifest["program"]["options"],
        "passes": table(
            ("pass", "stage", "operations"), [(p.name, p.stage, p.operations) for p in summary.passes]
        ),
        "layers": table(("layer", *head), [_cells(r) for r in summary.layers]),
        "kinds": table(("operation", *head), [_cells(r) for r in summary.kinds]),
        "rings": table(
            ("ring", "values", "elements", "mostly from"),
            [(r.bits, r.values, r.elements, ", ".join(r.kinds)) for r in summary.rings],
        ),
        "openings": openings(program),
    }


def _choices(content: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of the choices; nothing of a folder that has none."""
    if not content or not content["nodes"]:
        return {"choices": ""}
    return {"choices": choices_table(content), "choice": content}


def _experts(content: dict[str, Any]) -> dict[str, Any]:
    if not content:
        return {"experts": ""}
    return {"experts": experts_table(content), "experts_network": content["network"]}


def _cells(row: Row) -> tuple[object, ...]:
    sizes = (size_of(n) if n else "-" for n in (row.bytes_party0, row.bytes_party1, row.dealt_bytes))
    return (row.label, row.operations, row.rounds, *sizes)
