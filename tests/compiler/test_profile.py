"""The profile of a run: sums by layer and kind, what bounds the run, and the page. The spans are made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpcc.compiler.backend.split import ticks
from mpcc.compiler.layers import AFTER, BEFORE
from mpcc.compiler.profile import Programs, bound, profile, profile_text, read_programs
from mpcc.compiler.profile_page import page, write_page
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Operation, Program
from mpcc.passes.schedule_rounds import schedule
from mpcc.runtime.profile import Activity, Span
from mpcc.runtime.program_folder import read_manifest
from mpcc.runtime.protocols import protocols
from mpcc.runtime.report import Report, span_columns
from tests.compiler.html_page import Page

COMPUTE, SEND, WAIT = 0.003, 0.001, 0.002  # seconds of every span
HOSTILE = '</script><script>alert("1")</script><!--'


@pytest.fixture(scope="module")
def programs(bert_program: Path) -> Programs:
    return read_programs(bert_program)


@pytest.fixture(scope="module")
def report(bert_program: Path) -> Report:
    predicted = read_manifest(bert_program)["predicted"]
    return {**predicted, "predicted": predicted, "memory": {"party0": 1 << 20, "party1": None}}


def parties(share: Program) -> tuple[Report, Report]:
    """Both parties' reports with made-up spans, in the order of the schedule."""

    def spans(party: int) -> list[Span]:
        result: list[Span] = []

        def add(operation: Operation, activity: Activity, seconds: float, size: int = 0) -> None:
            start = result[-1].end if result else 0.0
            result.append(Span(operation.result.name, activity, start, start + seconds, size))

        def send(operation: Operation, number: int) -> None:
            if size := protocols[operation.kind].messages(operation)[number][party]:
                add(operation, Activity.SEND, SEND, size)

        under_way: dict[str, tuple[Operation, int]] = {}
        for tick in schedule(share, ticks):
            for name, (operation, number) in list(under_way.items()):
                if size := protocols[operation.kind].messages(operation)[number][1 - party]:
                    add(operation, Activity.WAIT, WAIT, size)
                under_way[name] = (operation, number + 1)
                if number + 1 == ticks(operation):
                    del under_way[name]
                else:
                    send(operation, number + 1)
            for operation in tick.started:
                add(operation, Activity.COMPUTE, COMPUTE)
                if ticks(operation):
                    send(operation, 0)
                    under_way[operation.result.name] = (operation, 0)
        return result

    first, second = ({"spans": span_columns(spans(party))} for party in (0, 1))
    return first, second


def data_of(text: str) -> dict[str, Any]:
    return dict(json.loads(text.split('id="data">')[1].split("</script>")[0]))


def test_times_by_layer_and_by_kind_add_up(programs: Programs, report: Report) -> None:
    measured = profile(programs, report, parties(programs.share))
    operations = len(programs.share.operations)
    messages = [protocols[o.kind].messages(o) for o in programs.share.operations]
    sent = [sum(bool(m[party]) for entry in messages for m in entry) for party in (0, 1)]
    for party, times in enumerate(measured.times):
        assert times[Activity.COMPUTE] == pytest.approx(COMPUTE * operations)
        assert times[Activity.SEND] == pytest.approx(SEND * sent[party])
        assert times[Activity.WAIT] == pytest.approx(WAIT * sent[1 - party])
        assert sum(times.values()) == pytest.approx(measured.seconds[party])
        for rows in (measured.layers, measured.kinds):
            for activity in Activity:
                assert sum(r.times[party][activity] for r in rows) == pytest.approx(times[activity])
            assert sum(r.share for r in rows) == pytest.approx(1)
    assert [row.row.label for row in measured.layers] == [BEFORE, "layer.0", "layer.1", AFTER]
    layer = next(o.source.layer for o in measured.operations if o.cost.kind == "exponential")
    assert layer == "layer.0"


def test_the_text_has_each_layer_and_the_dearest_kind_first(programs: Programs, report: Report) -> None:
    measured = profile(programs, report, parties(programs.share))
    text = profile_text(measured)
    kinds = text.split("| operation")[1].splitlines()[2:]
    shares = [float(line.split("|")[-2].removesuffix(" % ")) for line in kinds if line.startswith("|")]
    assert len(shares) > 10
    assert shares == sorted(shares, reverse=True)
    assert "| layer.1 " in text
    assert measured.bound.text in text


@pytest.mark.parametrize(
    ("party0", "party1", "expected", "text"),
    [
        # party 1 computes 3 s while party 0 waits, then party 0 for 1 s; party 1 ends first
        ([("wait", 3), ("compute", 1)], [("compute", 3), ("wait", 0.5)], (0.25, 0.75, 0.0), "party 1's work"),
        # both wait from 1 to 3
        (
            [("compute", 1), ("wait", 3)],
            [("send", 1), ("wait", 2), ("compute", 1)],
            (0.25, 0.5, 0.5),
            "party 1",
        ),
        ([("wait", 4)], [("compute", 1), ("wait", 3)], (0.0, 0.25, 0.75), "the network"),
        ([("compute", 2)], [], (1.0, 0.0, 0.0), "party 0's work"),
        ([], [], (0.0, 0.0, 0.0), "party 0's work"),
    ],
)
def test_what_bounds_the_run(
    party0: list[tuple[str, float]],
    party1: list[tuple[str, float]],
    expected: tuple[float, float, float],
    text: str,
) -> None:
    def spans(parts: list[tuple[str, float]]) -> list[Span]:
        ends = [sum(seconds for _, seconds in parts[: i + 1]) for i in range(len(parts))]
        return [
            Span("x", Activity(activity), end - seconds, end)
            for (activity, seconds), end in zip(parts, ends, strict=True)
        ]

    result = bound(spans(party0), spans(party1))
    assert (result.party0, result.party1, result.network) == pytest.approx(expected)
    assert f"Bound by {text}" in result.text


def test_the_page_is_whole_and_loads_nothing(programs: Programs, report: Report, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, profile(programs, report, parties(programs.share)))
    text = path.read_text(encoding="utf-8")
    parsed = Page(text)
    assert parsed.open == []
    assert parsed.loaded == []
    assert "url(" not in text
    assert "@import" not in text
    for title in ("What bounds the run", "Timeline", "By operation kind", "Predicted and measured"):
        assert f"<h2>{title}</h2>" in text
    data = data_of(text)
    assert data["layers"] == [BEFORE, "layer.0", "layer.1", AFTER]
    assert len(data["operations"]) == len(programs.share.operations)


def test_messages_lie_in_their_rounds(programs: Programs, report: Report) -> None:
    """The bytes of each tick, as the page has them, are those of the schedule on both sides."""
    data = data_of(page(profile(programs, report, parties(programs.share))))
    moved: list[dict[tuple[int, int], int]] = [{}, {}]  # by whom the span is: (sender, tick) -> bytes
    for index, party in enumerate(data["parties"]):
        for activity, tick, size in zip(party["activity"], party["tick"], party["bytes"], strict=True):
            sender = {"send": index, "wait": 1 - index}.get(data["activities"][activity])
            assert (tick >= 0) == (sender is not None)
            if sender is not None:
                moved[index][sender, tick] = moved[index].get((sender, tick), 0) + size
    assert moved[0] == moved[1]
    assert {tick for _, tick in moved[0]} == set(range(report["rounds"]))


def test_names_from_the_model_cannot_leave_their_place(programs: Programs, report: Report) -> None:
    def renamed(program: Program) -> Program:
        operations = [
            replace(o, onnx_nodes=tuple(f"{node}{HOSTILE}'" for node in o.onnx_nodes))
            for o in program.operations
        ]
        return replace(program, operations=operations, name=HOSTILE)

    hostile = Programs(renamed(programs.imported), renamed(programs.share))
    text = page(profile(hostile, report, parties(hostile.share)))
    assert "alert(" in text
    assert HOSTILE not in text
    assert text.count("<script") == text.count("</script>") == 2
    assert any(nodes.endswith(f"{HOSTILE}'") for _, nodes, _ in data_of(text)["sources"])
    assert Page(text).open == []


def test_a_folder_that_is_no_whole_program_is_refused(bert_program: Path, tmp_path: Path) -> None:
    for folder, code in ((tmp_path, "MPC-R020"), (bert_program / "party1", "MPC-C060")):
        with pytest.raises(MpccError) as caught:
            read_programs(folder)
        assert caught.value.code == code


def test_a_page_that_cannot_be_written(programs: Programs, report: Report, tmp_path: Path) -> None:
    measured = profile(programs, report, parties(programs.share))
    with pytest.raises(MpccError) as caught:
        write_page(tmp_path / "nowhere" / "page.html", measured)
    assert caught.value.code == "MPC-R037"
