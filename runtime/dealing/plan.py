"""What a dealer reads of a program: its manifest and correlations.json, which hold no weight."""

from __future__ import annotations

from pathlib import Path

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation
from mpcc.runtime.correlation_source import require_dealer
from mpcc.runtime.correlations import plan
from mpcc.runtime.program_folder import ProgramFolder, load_program_folder


def dealing_plan(program: Path) -> tuple[ProgramFolder, list[Operation]]:
    """The checked folder, and what draws correlations, in order. Raises MPC-R020.., MPC-R074, MPC-S012."""
    folder = load_program_folder(program, whole=False)
    require_dealer(folder)
    try:
        return folder, plan.from_json(folder.correlations.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise MpccError(
            "MPC-S012",
            f"the correlation plan cannot be read: {error}",
            where=str(folder.correlations),
            remedy="compile the model again",
        ) from None
