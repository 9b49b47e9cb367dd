"""Where a run's time went, by layer, operation kind and operation, for each party; and what bounds it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpcc.compiler.backend.split import ticks
from mpcc.compiler.cost.model import OperationCost
from mpcc.compiler.dumps import dump_files, read_share_program
from mpcc.compiler.layers import layer_of, layers_by_node
from mpcc.compiler.summary import Row, Summary, summarise
from mpcc.compiler.text import size_of, table
from mpcc.ir.parser import read_program
from mpcc.ir.program import Operation, Program
from mpcc.passes.schedule_rounds import operation_levels
from mpcc.runtime.profile import Activity, Span
from mpcc.runtime.program_folder import read_manifest
from mpcc.runtime.protocols import protocols
from mpcc.runtime.report import Report, read_spans

Times = dict[Activity, float]  # seconds, of every activity
WORK = (Activity.COMPUTE, Activity.SEND)
STANDSTILL = (Activity.WAIT, Activity.CORRELATIONS)


@dataclass(frozen=True)
class Source:
    """An operation of the model that share-stage operations were made of."""

    kind: str
    onnx_nodes: tuple[str, ...]
    layer: str


@dataclass(frozen=True)
class OperationProfile:
    """A share-stage operation with each party's times. Rounds and bytes are those of `cost`."""

    cost: OperationCost
    source: Source
    times: tuple[Times, Times]


@dataclass(frozen=True)
class RowProfile:
    """The operations of one layer or kind; `share` is their part of both parties' online time, 0 to 1."""

    row: Row
    times: tuple[Times, Times]
    share: float


@dataclass(frozen=True)
class Bound:
    """Fractions of the online time in which party 0 works, party 1 works, and both wait for messages."""

    party0: float
    party1: float
    network: float

    @property
    def text(self) -> str:
        """The largest of the three, in words."""
        shares = {"party 0's work": self.party0, "party 1's work": self.party1, "the network": self.network}
        party0, party1, network = (f"{100 * share:.0f} %" for share in shares.values())
        return (
            f"Bound by {max(shares, key=lambda name: shares[name])}: party 0 works {party0} of the online "
            f"time, party 1 {party1}; for {network} both wait for messages"
        )


@dataclass(frozen=True)
class Profile:
    """`spans` are both parties', `seconds` their online phases'; `operations` are in the program's order.

    `message_ticks` has for each operation, by name, the ticks of the messages that party 0 and 1 send.
    """

    summary: Summary
    share: Program
    report: Report
    spans: tuple[list[Span], list[Span]]
    seconds: tuple[float, float]
    operations: tuple[OperationProfile, ...]
    layers: tuple[RowProfile, ...]
    kinds: tuple[RowProfile, ...]
    bound: Bound
    message_ticks: dict[str, tuple[list[int], list[int]]]

    @property
    def times(self) -> tuple[Times, Times]:
        """Each party's seconds by activity."""
        return _sum([o.times for o in self.operations])


@dataclass(frozen=True)
class Programs:
    """What a profile needs of a program folder: the imported program and the share stage."""

    imported: Program
    share: Program


def read_programs(folder: Path) -> Programs:
    """From PROG/ir. Raises MPC-R020..R024, MPC-C060, MPC-I0.."""
    read_manifest(folder)  # says what is wrong with a folder that is none of mpcc's
    return Programs(read_program(dump_files(folder)[0]), read_share_program(folder))


def profile(programs: Programs, report: Report, parties: tuple[Report, Report]) -> Profile:
    """From R.json and both parties' reports with spans of one session."""
    summary = summarise([("import", programs.imported), ("share", programs.share)])
    first, second = (read_spans(party["spans"]) for party in parties)
    by_name = [_times_by_operation(spans) for spans in (first, second)]
    sources = _sources(programs.imported)
    operations = tuple(
        OperationProfile(cost, sources(operation), (by_name[0][cost.name], by_name[1][cost.name]))
        for operation, cost in zip(programs.share.operations, summary.operations, strict=True)
    )
    seconds = tuple(spans[-1].end if spans else 0.0 for spans in (first, second))
    return Profile(
        summary=summary,
        share=programs.share,
        report=report,
        spans=(first, second),
        seconds=(seconds[0], seconds[1]),
        operations=operations,
        layers=_rows(summary.layers, operations, lambda o: o.source.layer),
        kinds=_rows(summary.kinds, operations, lambda o: o.cost.kind),
        bound=bound(first, second),
        message_ticks=_message_ticks(programs.share),
    )


def bound(party0: list[Span], party1: list[Span]) -> Bound:
    """Who works when, on clocks that both start at 0. A party whose online phase is over no longer works."""
    waiting = [[(s.start, s.end) for s in spans if s.activity is Activity.WAIT] for spans in (party0, party1)]
    ends = [spans[-1].end if spans else 0.0 for spans in (party0, party1)]
    total = max(ends)
    if not total:
        return Bound(0.0, 0.0, 0.0)
    for party in (0, 1):
        waiting[party].append((ends[party], total))
    idle = [sum(end - start for start, end in intervals) for intervals in waiting]
    both = _overlap(waiting[0], waiting[1])
    return Bound(1 - idle[0] / total, 1 - idle[1] / total, both / total)


def profile_text(profile: Profile) -> str:
    """`mpcc run --profile` on the terminal: tables by layer and kind, and what bounds the run."""
    head = ("compute ms", "wait ms", "sent", "rounds", "of the time")
    kinds = sorted((row for row in profile.kinds if row.share), key=lambda row: -row.share)
    return "\n".join(
        (
            "party 0 / party 1; compute includes sending, wait is for messages and correlations",
            "",
            table(("layer", *head), [_cells(row) for row in profile.layers]),
            "",
            table(("operation", *head), [_cells(row) for row in kinds]),
            "",
            profile.bound.text,
        )
    )


def seconds_of(times: Times, activities: Sequence[Activity] = tuple(Activity)) -> float:
    return sum(times[activity] for activity in activities)


def _cells(entry: RowProfile) -> tuple[object, ...]:
    work, standstill = (
        " / ".join(f"{1e3 * seconds_of(times, activities):.1f}" for times in entry.times)
        for activities in (WORK, STANDSTILL)
    )
    sent = f"{size_of(entry.row.bytes_party0)} / {size_of(entry.row.bytes_party1)}"
    share = f"{100 * entry.share:.1f} %"
    return entry.row.label, work, standstill, sent if entry.row.online else "-", entry.row.rounds, share


def _times_by_operation(spans: list[Span]) -> defaultdict[str, Times]:
    """By its result's name; an operation without a span takes no time."""
    result: defaultdict[str, Times] = defaultdict(_no_time)
    for span in spans:
        result[span.operation][span.activity] += span.seconds
    return result


def _sources(imported: Program) -> Callable[[Operation], Source]:
    """The model's operation of a share-stage operation, by the first ONNX node that the model has."""
    layers = layers_by_node(imported)
    known: dict[str, Source] = {}
    for operation in imported.operations:
        source = Source(operation.kind, operation.onnx_nodes, layer_of(operation, layers))
        for node in operation.onnx_nodes:
            known.setdefault(node, source)

    def source_of(operation: Operation) -> Source:
        unknown = Source(operation.kind, operation.onnx_nodes, layer_of(operation, layers))
        return next((known[node] for node in operation.onnx_nodes if node in known), unknown)

    return source_of


def _rows(
    rows: tuple[Row, ...],
    operations: tuple[OperationProfile, ...],
    label: Callable[[OperationProfile], str],
) -> tuple[RowProfile, ...]:
    grouped: defaultdict[str, list[tuple[Times, Times]]] = defaultdict(list)
    for operation in operations:
        grouped[label(operation)].append(operation.times)
    total = sum(seconds_of(t) for o in operations for t in o.times) or 1
    times = {row.label: _sum(grouped[row.label]) for row in rows}
    return tuple(
        RowProfile(row, times[row.label], sum(map(seconds_of, times[row.label])) / total) for row in rows
    )


def _sum(entries: list[tuple[Times, Times]]) -> tuple[Times, Times]:
    first, second = _no_time(), _no_time()
    for pair in entries:
        for activity in Activity:
            first[activity] += pair[0][activity]
            second[activity] += pair[1][activity]
    return first, second


def _no_time() -> Times:
    return dict.fromkeys(Activity, 0.0)


def _overlap(first: list[tuple[float, float]], second: list[tuple[float, float]]) -> float:
    """Seconds that lie in an interval of either list; each list is in order and without overlaps."""
    total, i, j = 0.0, 0, 0
    while i < len(first) and j < len(second):
        total += max(0.0, min(first[i][1], second[j][1]) - max(first[i][0], second[j][0]))
        if first[i][1] < second[j][1]:
            i += 1
        else:
            j += 1
    return total


def _message_ticks(share: Program) -> dict[str, tuple[list[int], list[int]]]:
    levels = operation_levels(share, ticks)
    result = {}
    for index, operation in enumerate(share.operations):
        messages = list(enumerate(protocols[operation.kind].messages(operation), levels[index]))
        sent = ([tick for tick, m in messages if m[0]], [tick for tick, m in messages if m[1]])
        result[operation.result.name] = sent
    return result
