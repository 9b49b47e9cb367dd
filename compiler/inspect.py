"""`mpcc inspect`: a program's IR by stage, by pass or by ONNX node, or what it costs and what each party
learns, as text or as one HTML page.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpcc.compiler.choose.table import read_choices
from mpcc.compiler.dumps import dump_files, read_dumps, stage_file
from mpcc.compiler.inspection.difference import difference, pass_list
from mpcc.compiler.inspection.nodes import Pattern, excerpt, nodes_text
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import read_program
from mpcc.ir.program import Stage
from mpcc.runtime.program_folder import PROGRAM_NAME, read_manifest

VERIFY_NAME = "verify.json"
STAGES = ("tensor", "share", "party0", "party1")


def inspect_command(
    prog: Path, stage: str | None, html: bool, changed_by: str | None = None, nodes: Sequence[str] = ()
) -> str:
    """The text to print, without a last line break. With `html`, PROG/report.html is written and its path
    returned.

    `stage` is one of STAGES. `changed_by` is a pass, or empty for the list of passes. `nodes` are patterns of
    ONNX nodes; they narrow a stage or a difference down, and are explained by themselves. With nothing given,
    it is the summary. Errors by layer are shown where PROG/verify.json holds a report of `mpcc verify`.
    Raises MpccError: MPC-R020..R024, MPC-I0.., MPC-C001 (no such pass), MPC-C060 (no IR), MPC-C062
    (verify.json is no such report), MPC-C063 (the page cannot be written), MPC-C064 (no such ONNX node),
    MPC-C066 (approximations.json is damaged).
    """
    manifest = read_manifest(prog)
    pattern = Pattern(nodes) if nodes else None
    if stage is not None:
        path = _stage_path(prog, stage)
        return excerpt(read_program(path), pattern) if pattern else _read(path)
    if changed_by is not None:
        dumps = read_dumps(prog)
        if pattern and changed_by:
            pattern.check(program for _, program in dumps)
        return difference(dumps, changed_by, pattern) if changed_by else pass_list(dumps)
    if pattern:
        tensor, share = read_program(dump_files(prog)[0]), read_program(stage_file(prog, Stage.SHARE))
        return nodes_text(tensor, share, pattern, read_choices(prog), _verify_report(prog / VERIFY_NAME))
    dumps = read_dumps(prog)
    if not html:
        from mpcc.compiler.inspection.overview import overview

        return overview(prog, manifest, dumps)
    from mpcc.compiler.report.page import write_report  # slow to import, as much of the compiler

    try:
        return str(write_report(prog, manifest, dumps, _verify_report(prog / VERIFY_NAME)))
    except OSError as error:
        raise MpccError(
            "MPC-C063",
            f"the report page cannot be written: {error.strerror}",
            where=str(prog),
            remedy="check the folder's permissions and the free space",
        ) from None


def _stage_path(prog: Path, stage: str) -> Path:
    return prog / stage / PROGRAM_NAME if stage.startswith("party") else stage_file(prog, Stage(stage))


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
