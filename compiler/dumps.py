"""The IR dumps of a program folder, PROG/ir/NN-pass.mpcir."""

from __future__ import annotations

import re
from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import read_program
from mpcc.ir.program import Program, Stage

_HEADER = re.compile(r'program "(?:[^"\\]|\\.)*" (\w+)')


def dump_files(prog: Path) -> list[Path]:
    """The IR after each pass, in order. Raises MPC-C060 when there is none."""
    files = sorted((prog / "ir").glob("*.mpcir"))
    if not files:
        raise _missing(prog, "no IR")
    return files


def read_dumps(prog: Path) -> list[tuple[str, Program]]:
    """The programs with their passes' names, in order. Raises MPC-C060, MPC-I0.."""
    return [(path.stem.split("-", 1)[-1], read_program(path)) for path in dump_files(prog)]


def stage_file(prog: Path, stage: Stage) -> Path:
    """The last dump of a stage. Raises MPC-C060 when there is none."""
    for path in reversed(dump_files(prog)):
        with path.open(encoding="utf-8", errors="replace") as file:
            header = _HEADER.match(file.readline())
        if header and header[1] == stage:
            return path
    raise _missing(prog, f"no IR of the {stage} stage")


def read_share_program(prog: Path) -> Program:
    """The program that was split into the parties' programs: the last of the share stage. Raises MPC-I0..,
    MPC-C060.
    """
    return read_program(stage_file(prog, Stage.SHARE))


def _missing(prog: Path, what: str) -> MpccError:
    return MpccError(
        "MPC-C060",
        f"the program folder holds {what}",
        where=str(prog / "ir"),
        remedy="give the whole folder that mpcc compile wrote, not one party's",
    )
