"""The page of `mpcc run --profile`: one self-contained file with charts and tables of where the time went.

Its numbers are public: names, kinds, sizes and times of operations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpcc.codegen_templates import render
from mpcc.compiler.cost.network import NETWORKS
from mpcc.compiler.cost.report import predict
from mpcc.compiler.profile import STANDSTILL, WORK, Profile, RowProfile, Source, Times, seconds_of
from mpcc.compiler.text import count_of, size_of
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.atomic_file import atomic_file
from mpcc.runtime.profile import Activity, Span
from mpcc.runtime.report import span_columns

NO_TICK = -1  # in the columns, of a span without a message


def write_page(path: Path, profile: Profile) -> None:
    """Write the page, whole or not at all. Raises MPC-R037."""
    try:
        with atomic_file(path) as file:
            file.write(page(profile).encode())
    except OSError as error:
        raise MpccError(
            "MPC-R037",
            f"the profile cannot be written: {error.strerror}",
            where=str(path),
            remedy="give another place with --profile",
        ) from None


def page(profile: Profile) -> str:
    """The page's text."""
    total = max(profile.seconds)
    return render(
        "profile.html.j2",
        name=profile.summary.name,
        report=profile.report,
        bound=profile.bound,
        activities=[(activity, _shares(profile, activity)) for activity in Activity],
        estimates=_estimates(profile),
        total=total,
        size=size_of,
        count=count_of,
        data=_data(profile),
    )


def _shares(profile: Profile, activity: Activity) -> list[tuple[float, float]]:
    """For each party the seconds of an activity, and their fraction of its online phase."""
    return [
        (times[activity], times[activity] / (seconds or 1))
        for times, seconds in zip(profile.times, profile.seconds, strict=True)
    ]


def _estimates(profile: Profile) -> list[tuple[str, str, str]]:
    """What was predicted beside what was measured, as (what, predicted, measured)."""
    predicted, report = profile.report["predicted"], profile.report
    estimate = predict(profile.share, profile.summary.cost, NETWORKS["lan"])
    worked = [seconds_of(times, WORK) for times in profile.times]
    online, measured = predicted["bytes"]["online"], report["bytes"]["online"]
    memory = [size_of(peak) for peak in report["memory"].values() if peak]
    return [
        (
            f"seconds online; predicted over {predicted['network']}",
            f"{predicted['seconds']['online']:.3f}",
            f"{report['seconds']['online']:.3f}",
        ),
        ("seconds computing", f"{estimate.compute_seconds:.3f}", " and ".join(f"{s:.3f}" for s in worked)),
        ("rounds", count_of(predicted["rounds"]), count_of(report["rounds"])),
        ("bytes from party 0", count_of(online["party0"]), count_of(measured["party0"])),
        ("bytes from party 1", count_of(online["party1"]), count_of(measured["party1"])),
        ("memory", f"{size_of(estimate.memory_bytes)} a party", " and ".join(memory)),
    ]


def _data(profile: Profile) -> dict[str, Any]:
    """What the page's script draws. Times are in microseconds; places in lists stand for names.

    `sources` are the model's operations as [kind, ONNX nodes, layer], `operations` the share stage's as
    [name, kind, source, rounds, bytes of party 0, of party 1, and `_times`].
    """
    layers = {row.row.label: index for index, row in enumerate(profile.layers)}
    sources: dict[Source, int] = {}
    operations = [
        [
            o.cost.name,
            o.cost.kind,
            sources.setdefault(o.source, len(sources)),
            o.cost.ticks,
            o.cost.bytes_party0,
            o.cost.bytes_party1,
            *_times(o.times),
        ]
        for o in profile.operations
    ]
    places = {o.cost.name: index for index, o in enumerate(profile.operations)}
    return {
        "activities": list(Activity),
        "layers": list(layers),
        "sources": [[s.kind, " ".join(s.onnx_nodes), layers[s.layer]] for s in sources],
        "operations": operations,
        "rows": {"layers": _rows(profile.layers), "kinds": _rows(profile.kinds)},
        "parties": [_spans(profile, party, places) for party in (0, 1)],
    }


def _rows(rows: tuple[RowProfile, ...]) -> list[list[Any]]:
    return [
        [r.label, r.operations, *_times(entry.times), r.bytes_party0, r.bytes_party1, r.rounds]
        for entry in rows
        for r in (entry.row,)
    ]


def _times(times: tuple[Times, Times]) -> list[int]:
    """Microseconds of work of party 0 and 1, then of standstill."""
    return [round(1e6 * seconds_of(party, kind)) for kind in (WORK, STANDSTILL) for party in times]


def _spans(profile: Profile, party: int, places: dict[str, int]) -> dict[str, Any]:
    """One party's spans as columns, with the tick of the message that each sends or waits for."""
    spans = profile.spans[party]
    columns = span_columns(spans)
    names = columns.pop("operations")
    operation = [places[names[index]] for index in columns["operation"]]
    return {**columns, "operation": operation, "tick": _ticks(spans, party, profile.message_ticks)}


def _ticks(spans: list[Span], party: int, message_ticks: dict[str, tuple[list[int], list[int]]]) -> list[int]:
    """An operation's messages are sent and taken in the order of their ticks."""
    seen: dict[tuple[str, int], int] = {}
    ticks = []
    for span in spans:
        sender = {Activity.SEND: party, Activity.WAIT: 1 - party}.get(span.activity)
        if sender is None:
            ticks.append(NO_TICK)
            continue
        number = seen.get((span.operation, sender), 0)
        seen[span.operation, sender] = number + 1
        ticks.append(message_ticks[span.operation][sender][number])
    return ticks
