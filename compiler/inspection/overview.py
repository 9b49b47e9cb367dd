"""`mpcc inspect` without options: what was compiled, what it costs, and what each party learns, as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpcc.codegen_templates import render
from mpcc.compiler.choose.experts.record import read_experts
from mpcc.compiler.choose.experts.text import experts_table
from mpcc.compiler.choose.table import choices_table, read_choices, runner_ups
from mpcc.compiler.disclosures import openings
from mpcc.compiler.summary import Ring, Row, Summary, share_stage, summarise
from mpcc.compiler.text import count_of, size_of, table
from mpcc.ir.program import Program

COSTS = ("operations", "rounds", "party 0 sends", "party 1 sends", "offline")
RING_STEP = 8  # ring widths in one row


def overview(prog: Path, manifest: dict[str, Any], dumps: Sequence[tuple[str, Program]]) -> str:
    """The text, without a last line break."""
    summary = summarise(dumps)
    return render(
        "summary.txt.j2",
        name=summary.name,
        cost=summary.cost,
        size=size_of,
        count=count_of,
        recognised=manifest["recognised"],
        outputs=manifest["outputs"],
        check_ranges="check_ranges" in manifest["program"]["options"],
        passes=table(
            ("pass", "stage", "operations"), [(p.name, p.stage, p.operations) for p in summary.passes]
        ),
        layers=table(("layer", *COSTS), [_cells(r) for r in summary.layers]),
        **_kinds(summary),
        rings=table(("bits", "values", "elements", "mostly from"), _rings(summary.rings)),
        openings=openings(share_stage(dumps)),
        **_choices(read_choices(prog)),
        **_experts(read_experts(prog)),
    ).rstrip("\n")


def _kinds(summary: Summary) -> dict[str, str]:
    """A table of what is sent or dealt; the operations that cost only computing in a line."""
    costly = [r for r in summary.kinds if r.online or r.offline_bytes]
    free = [f"{r.operations} {r.label}" for r in summary.kinds if not (r.online or r.offline_bytes)]
    return {"kinds": table(("operation", *COSTS), [_cells(r) for r in costly]), "free": ", ".join(free)}


def _rings(rings: Sequence[Ring]) -> list[tuple[object, ...]]:
    """Rows of RING_STEP widths each, with the kinds that produce most values first."""
    rows: list[tuple[object, ...]] = []
    for low in range(1, 64, RING_STEP):
        high = low + RING_STEP - 1
        inside = [r for r in rings if low <= r.bits <= high]
        if inside:
            kinds = dict.fromkeys(k for r in sorted(inside, key=lambda r: -r.values) for k in r.kinds)
            numbers = (sum(r.values for r in inside), sum(r.elements for r in inside))
            rows.append((f"{low} to {high}", *numbers, ", ".join(list(kinds)[:3])))
    return rows


def _choices(content: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of the choices; nothing of a folder that has none."""
    if not content or not content["nodes"]:
        return {"choices": ""}
    return {"choices": choices_table(content), "runner_ups": runner_ups(content), "choice": content}


def _experts(content: dict[str, Any]) -> dict[str, Any]:
    if not content:
        return {"experts": ""}
    return {"experts": experts_table(content), "experts_network": content["network"]}


def _cells(row: Row) -> tuple[object, ...]:
    sizes = (size_of(n) if n else "-" for n in (row.bytes_party0, row.bytes_party1, row.offline_bytes))
    return (row.label, row.operations, row.rounds, *sizes)
