"""PROG/report.json: everything that the report page shows, as plain data. docs/report.md has the fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mpcc.compiler.disclosures import openings
from mpcc.compiler.report.chosen import chosen_entry
from mpcc.compiler.report.errors import errors_entry
from mpcc.compiler.report.graph import layers_graph, operation_graphs, parts_graph
from mpcc.compiler.report.operations import Operations
from mpcc.compiler.report.parties import parties_entry, public_entry
from mpcc.compiler.summary import share_stage, summarise
from mpcc.ir.correlation_source import CorrelationSource, source_of
from mpcc.ir.program import Program, Stage

SCHEMA = 1  # grows when a field changes its meaning or goes

Entry = dict[str, Any]
Dumps = Sequence[tuple[str, Program]]


def report_data(manifest: Entry, dumps: Dumps, choices: Entry, experts: Entry, verified: Entry) -> Entry:
    """From the root manifest, the programs after each pass, approximations.json, experts.json (empty for a
    model without) and R.json of `mpcc verify` (empty before it ran).
    """
    summary, share = summarise(dumps), share_stage(dumps)
    imported = dumps[0][1]
    computed = [program for _, program in dumps if program.stage is Stage.TENSOR][-1]
    operations = Operations(imported, share, summary.operations)
    options = manifest["program"]["options"]
    opened = openings(share)
    return {
        "schema": SCHEMA,
        "name": summary.name,
        "predicted": {
            **manifest["predicted"],
            "multiplications": summary.cost.multiplications,
        },
        "inputs": [_port(entry, "owner") for entry in manifest["inputs"]],
        "outputs": [_port(entry, "reveal") for entry in manifest["outputs"]],
        "recognised": [{"kind": kind, "count": n} for kind, n in sorted(manifest["recognised"].items()) if n],
        "layers": operations.layer_entries(),
        "operations": operations.model_entries(),
        "share_operations": operations.share_entries(),
        "kinds": operations.kind_entries(of_model=True),
        "share_kinds": operations.kind_entries(of_model=False),
        "rounds": operations.rounds,
        "graph": {"layers": layers_graph(operations), "operations": operation_graphs(operations)},
        "rings": [
            {"bits": r.bits, "values": r.values, "elements": r.elements, "kinds": list(r.kinds)}
            for r in summary.rings
        ],
        "two_party": source_of(share.attributes) is CorrelationSource.TWO_PARTY,
        "approximations": chosen_entry(choices, operations, computed, options["formats"]["safety"])
        if choices
        else None,
        "experts": _experts(experts, operations, computed) if experts else None,
        "errors": errors_entry(verified["error"], operations) if verified else None,
        "parties": parties_entry(manifest, share, opened),
        "public": public_entry(manifest, share, experts),
        "passes": [asdict(entry) for entry in summary.passes],
        "options": options,
    }


def _port(entry: Entry, who: str) -> Entry:
    return {name: entry[name] for name in ("name", "shape", "dtype", who)}


def _experts(content: Entry, operations: Operations, computed: Program) -> Entry:
    """The layouts of the mixtures of experts, and what each mixture became."""
    results = {o.result.name: index for index, o in enumerate(operations.model)}
    return {
        "network": content["network"],
        "layers": [
            {
                **layer,
                "operation": results[layer["value"]],
                "parts": parts_graph(operations.model[results[layer["value"]]], computed),
            }
            for layer in content["layers"]
        ],
    }
