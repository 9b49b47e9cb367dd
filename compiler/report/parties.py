"""What each party holds and learns, as `mpcc audit` states it."""

from __future__ import annotations

import math
from typing import Any

from mpcc.compiler.choose.experts.text import public_lines
from mpcc.compiler.disclosures import Opening
from mpcc.compiler.text import count_of, shape_of
from mpcc.ir.correlation_source import CorrelationSource, source_of
from mpcc.ir.dialects.base import integers
from mpcc.ir.program import Program
from mpcc.ir.range_checks import checked_layers

Entry = dict[str, Any]
NAMES = ("server", "client")
WEIGHTS_REASON = (
    "the weights of linear layers under a mask B that is drawn for them once and that party 1 never sees, so "
    "it is uniform and independent of the weights"
)


def parties_entry(manifest: Entry, program: Program, opened: list[Opening]) -> list[Entry]:
    """The report's `parties`: of each what it holds, the outputs that it learns, and what it sees besides."""
    dealt = source_of(program.attributes) is CorrelationSource.DEALER
    return [
        {
            "name": NAMES[party],
            "holds": _holds(party, manifest, program),
            "outputs": [o["name"] for o in manifest["outputs"] if o["reveal"] in (f"party{party}", "both")],
            "seen": [_seen(opening, party) for opening in opened if opening.sent[1 - party]]
            + ([_weights(manifest, program)] if party and dealt else []),
        }
        for party in (0, 1)
    ]


def _holds(party: int, manifest: Entry, program: Program) -> list[str]:
    owners = (f"party{party}", "public") if party else ("party0",)
    lines = [
        f"input {entry['name']} {shape_of(entry['shape'])}"
        + (", declared public" if entry["owner"] == "public" else "")
        for entry in manifest["inputs"]
        if entry["owner"] in owners
    ]
    if party == 0:
        weights = {str(o.attributes["name"]): o for o in program.operations if o.kind == "weight"}
        numbers = sum(math.prod(integers(o.attributes, "shape")) for o in weights.values())
        lines.insert(0, f"the weights: {len(weights)} arrays, {count_of(numbers)} numbers")
    return lines


def _seen(opening: Opening, party: int) -> Entry:
    return {
        "kind": opening.kind,
        "count": opening.operations,
        "bits": opening.sent[1 - party],
        "shown": opening.disclosure.shown,
        "mask": opening.disclosure.mask,
        "reason": opening.disclosure.reason,
    }


def _weights(manifest: Entry, program: Program) -> Entry:
    """What party 0 sends once for each store."""
    return {
        "kind": "masked weights",
        "count": sum(o.kind in ("linear", "gain") for o in program.operations),
        "bits": 8 * manifest["predicted"]["bytes"]["offline"]["setup_party0_to_party1"],
        "shown": "W - B, once for each store",
        "mask": "B, a uniform ring element a weight",
        "reason": WEIGHTS_REASON,
    }


def public_entry(manifest: Entry, program: Program, experts: Entry) -> Entry:
    """The report's `public`: what both parties know, and the bits that range checks reveal."""
    formats = dict(manifest["program"]["options"]["formats"])
    safety = formats.pop("safety")
    return {
        "statements": [
            "The architecture: operations, shapes, names of ONNX nodes, and the program's cost.",
            f"Fraction bits: {', '.join(f'{name} {bits}' for name, bits in sorted(formats.items()))}.",
            "Ring widths, thresholds and polynomial coefficients. They come from the calibrated ranges, "
            f"times {safety:g}, so they tell how large the values inside the model became on the calibration "
            "inputs.",
            "Which approximation computes which function; it tells as much about the weights as the errors "
            "do that decided for it.",
            *(f"Experts: {line}." for line in (public_lines(experts) if experts else ())),
        ],
        "constants": manifest.get("public", []),
        "range_checks": list(checked_layers(program.attributes)),
    }
