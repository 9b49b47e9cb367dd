"""Reports of a run: one party's, and both merged into R.json."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.atomic_file import atomic_file
from mpcc.runtime.peak_memory import peak_memory_bytes
from mpcc.runtime.profile import Activity, Span
from mpcc.runtime.session import SessionResult

Report = dict[str, Any]
EXACT = ("rounds", "offline_rounds", "bytes")  # as predicted; the second only without a dealer
MICROSECONDS = 1e6  # in a second


def party_report(party: int, result: SessionResult, profile: bool = False) -> Report:
    """What one party can tell of a session; counts are in bytes, times in seconds. With `profile` it has the
    spans of the online phase, too. `peak_memory_bytes` is the process's up to now.
    """
    return {
        "party": party,
        "session": result.session_id.hex(),
        "two_party": result.two_party,
        "dealt_bytes": result.dealt_bytes,
        "preparation": asdict(result.preparation),
        "setup": asdict(result.setup),
        "online": asdict(result.online),
        "operations": [asdict(operation) for operation in result.operations],
        "peak_memory_bytes": peak_memory_bytes(),
        **({"spans": span_columns(result.spans)} if profile else {}),
    }


def span_columns(spans: list[Span]) -> Report:
    """Spans as one list a column, operations and activities as indices, times in whole microseconds.

    A span ends where the next one starts, the last one at `end`.
    """
    operations = {name: index for index, name in enumerate(dict.fromkeys(s.operation for s in spans))}
    activities = list(Activity)
    return {
        "operations": list(operations),
        "activities": activities,
        "operation": [operations[s.operation] for s in spans],
        "activity": [activities.index(s.activity) for s in spans],
        "start": [round(s.start * MICROSECONDS) for s in spans],
        "bytes": [s.bytes for s in spans],
        "end": round(spans[-1].end * MICROSECONDS) if spans else 0,
    }


def read_spans(columns: Report) -> list[Span]:
    """What `span_columns` made, to the microsecond."""
    starts = [start / MICROSECONDS for start in columns["start"]]
    ends = [*starts[1:], columns["end"] / MICROSECONDS][: len(starts)]
    return [
        Span(columns["operations"][operation], Activity(columns["activities"][activity]), start, end, size)
        for operation, activity, start, end, size in zip(
            columns["operation"], columns["activity"], starts, ends, columns["bytes"], strict=True
        )
    ]


def merge_reports(party0: Report, party1: Report, dealing_seconds: float, predicted: Report) -> Report:
    """R.json of the command line's contract. `predicted` comes from the manifest, in the same shape.

    Offline time is that of dealing one session and of its set-up; the dealt bytes are the corrections, seeds
    not counted. Where the parties make their correlations themselves, it is that of making one session, with
    the bytes that each sends and their rounds. An operation's rounds, bytes (both directions) and seconds are
    as party 1 saw them. Memory is the peak of each party's process, in bytes.
    """
    offline_seconds = sum(
        max(p[phase]["seconds"] for p in (party0, party1)) for phase in ("preparation", "setup")
    )
    return {
        "seconds": {
            "offline": dealing_seconds + offline_seconds,
            "online": max(party["online"]["seconds"] for party in (party0, party1)),
        },
        "rounds": party1["online"]["rounds"],
        **({"offline_rounds": party1["preparation"]["rounds"]} if party1["two_party"] else {}),
        "bytes": {
            "online": {
                "party0": party0["online"]["bytes_sent"],
                "party1": party1["online"]["bytes_sent"],
            },
            "offline": _offline_bytes(party0, party1),
        },
        "memory": {f"party{index}": p["peak_memory_bytes"] for index, p in enumerate((party0, party1))},
        "predicted": predicted,
        "operations": party1["operations"],
        "error": {},
    }


def as_predicted(report: Report) -> bool:
    """Whether a merged report's rounds and bytes are those predicted."""
    return all(report.get(name) == report["predicted"].get(name) for name in EXACT)


def _offline_bytes(party0: Report, party1: Report) -> Report:
    if party1["two_party"]:
        return {f"party{index}": p["preparation"]["bytes_sent"] for index, p in enumerate((party0, party1))}
    return {
        "dealer_to_party0": party0["dealt_bytes"],
        "dealer_to_party1": party1["dealt_bytes"],
        "setup_party0_to_party1": party0["setup"]["bytes_sent"],
    }


def write_report(path: Path, report: Report) -> None:
    """Write a report as JSON, whole or not at all. Raises MPC-R037."""
    try:
        with atomic_file(path) as file:
            file.write(json.dumps(report, indent=1).encode())
    except OSError as error:
        raise MpccError(
            "MPC-R037",
            f"the report cannot be written: {error.strerror}",
            where=str(path),
            remedy="give another place with --report",
        ) from None
