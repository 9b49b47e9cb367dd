"""PROG/report.html: one self-contained page about a program. It is for whoever compiled it, and lies in no
party's folder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpcc.codegen_templates import render
from mpcc.compiler.backend.split import ticks
from mpcc.compiler.disclosures import openings
from mpcc.compiler.summary import Row, Summary, share_stage, summarise
from mpcc.compiler.text import count_of, shape_of, short_count_of, size_of
from mpcc.ir.program import Program
from mpcc.passes.schedule_rounds import operation_levels
from mpcc.runtime.atomic_file import atomic_file
from mpcc.runtime.protocols import protocols

REPORT_NAME = "report.html"
ERROR_LINES = ("max", "simulated", "approximated", "exact")
ERRORS = (*ERROR_LINES, "relative")
MATRIX_RING = 52  # the widest ring of the fast matrix kernels, marked in the chart of widths


def write_report(
    prog: Path,
    manifest: dict[str, Any],
    dumps: Sequence[tuple[str, Program]],
    verified: dict[str, Any] | None = None,
) -> Path:
    """Write the page into `prog`, whole or not at all, and return its path. Raises OSError.

    `dumps` are the programs after each pass, `verified` is R.json of `mpcc verify`. The root manifest must
    not list the page, which is written again when errors are known.
    """
    path = prog / REPORT_NAME
    with atomic_file(path) as file:
        file.write(report_page(manifest, dumps, verified or {}).encode())
    return path


def report_page(
    manifest: dict[str, Any], dumps: Sequence[tuple[str, Program]], verified: dict[str, Any]
) -> str:
    """The page's text, from the root manifest, the programs after each pass, and R.json or nothing."""
    summary, program = summarise(dumps), share_stage(dumps)
    return render(
        "report.html.j2",
        name=summary.name,
        cost=summary.cost,
        size=size_of,
        count=count_of,
        short=short_count_of,
        shape=shape_of,
        manifest=manifest,
        passes=summary.passes,
        graph=_graph(summary),
        layers=_bars(summary.layers),
        kinds=_bars([row for row in summary.kinds if row.online or row.dealt_bytes]),
        local_kinds=[row for row in summary.kinds if not (row.online or row.dealt_bytes)],
        heaviest=[o for o in summary.heaviest if o.bytes_party0 + o.bytes_party1],
        rings=summary.rings,
        ring_heights=_ring_heights(summary),
        matrix_ring=MATRIX_RING,
        round_bars=_round_bars(program),
        openings=openings(program),
        errors=_errors(verified["error"]) if verified else None,
    )


def _graph(summary: Summary) -> list[dict[str, Any]]:
    """The layers with their chains of operations; equal neighbours are one entry."""
    groups: list[dict[str, Any]] = []
    for row in summary.layers:
        if groups and row.chain and groups[-1]["chain"] == row.chain:
            groups[-1]["last"], groups[-1]["layers"] = row.label, groups[-1]["layers"] + 1
        elif row.chain:
            groups.append({"first": row.label, "last": row.label, "layers": 1, "chain": row.chain})
    return groups


def _bars(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows with their bars' lengths in percent of the longest."""
    online = max((row.online for row in rows), default=0) or 1
    dealt = max((row.dealt_bytes for row in rows), default=0) or 1
    return [
        {
            "row": row,
            "party0": 100 * row.bytes_party0 / online,
            "party1": 100 * row.bytes_party1 / online,
            "dealt": 100 * row.dealt_bytes / dealt,
        }
        for row in rows
    ]


def _ring_heights(summary: Summary) -> list[float]:
    """For each width 1..64 the shares' elements, in percent of the most frequent width."""
    elements = {ring.bits: ring.elements for ring in summary.rings}
    most = max(elements.values(), default=1)
    return [100 * elements.get(bits, 0) / most for bits in range(1, 65)]


def _round_bars(program: Program) -> list[tuple[float, float, int]]:
    """For each tick the heights of what either party sends, and their bytes together.

    The whole height is the square root of the bytes, in percent of the fullest tick's: small ticks show.
    """
    levels = operation_levels(program, ticks)
    sent: dict[int, tuple[int, int]] = {}
    for index, operation in enumerate(program.operations):
        for offset, message in enumerate(protocols[operation.kind].messages(operation)):
            before = sent.get(levels[index] + offset, (0, 0))
            sent[levels[index] + offset] = (before[0] + message[0], before[1] + message[1])
    most = max((sum(pair) for pair in sent.values()), default=0) or 1
    return [
        (100 * p0 / math.sqrt(most * total), 100 * p1 / math.sqrt(most * total), total)
        for _, (p0, p1) in sorted(sent.items())
        if (total := p0 + p1)
    ]


def _errors(error: dict[str, Any]) -> dict[str, Any]:
    """R.json's errors, the worst of each layer, and the plot of these."""
    layers: dict[str, dict[str, float]] = {}
    for entry in error["layers"]:
        known = layers.setdefault(entry["layer"], dict.fromkeys(ERRORS, 0.0))
        layers[entry["layer"]] = {quantity: max(known[quantity], entry[quantity]) for quantity in known}
    rows = {**layers, **{f"output {name}": entry for name, entry in error["outputs"].items()}}
    return {"layers": rows, "operations": error["layers"], "plot": _error_plot(list(rows.values()))}


def _error_plot(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Polylines on a logarithmic scale, in percent of the plot's box: a point a row, a line a quantity."""
    numbers = [row[quantity] for row in rows for quantity in ERROR_LINES if row[quantity] > 0] or [1.0]
    low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
    high = max(high, low + 1)

    def height(number: float) -> float:
        return 100 * (high - math.log10(max(number, 10.0**low))) / (high - low)

    step = 100 / max(1, len(rows))
    return {
        "lines": {
            quantity: " ".join(
                f"{(i + 0.5) * step:.2f},{height(row[quantity]):.2f}" for i, row in enumerate(rows)
            )
            for quantity in ERROR_LINES
        },
        "decades": [(f"1e{d}", f"{height(10.0**d):.2f}") for d in range(low, high + 1)],
    }
