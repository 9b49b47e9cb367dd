# ruff: noqa: E501 (lines of IR text)
"""Openings merge into the fewest ticks: the longest path."""

from __future__ import annotations

from mpcc.compiler.backend.split import ticks
from mpcc.ir.parser import parse
from mpcc.passes.schedule_rounds import schedule

TEXT = """program "t" share {
  %x = client_input {name = "x", fraction = 0, shape = [4]} : private1<64, 0, 4>
  %a = open_masked %x {bits = 20} : masked<20, 0, 4>
  %l = less_than %a {bits = 20, width = 4, thresholds = [0]} : bits<1, 0, 1x4>
  %b = open_bits %l : masked_bits<1, 0, 1x4>
  %p = product %a, %b {factors = ["value", "bits"], coefficients = [[], [0, 1]], fractions = [0, 0]} : share<30, 0, 4>
  %q = product %a {factors = ["polynomial"], coefficients = [[0, 0, 1]], fractions = [0]} : share<30, 0, 4>
  %o = open_masked %q {bits = 30} : masked<30, 0, 4>
  %n = product %o, %b {factors = ["value", "bits"], coefficients = [[], [0, 1]], fractions = [0, 0]} : share<30, 0, 4>
  %s = add %p, %n : share<30, 0, 4>
}
"""


def test_independent_openings_share_ticks() -> None:
    plan = schedule(parse(TEXT), ticks)
    started = [[o.kind for o in tick.started] for tick in plan]
    assert started[0] == ["client_input", "open_masked"]
    assert started[1] == ["less_than", "product", "open_masked"]
    assert started[2] == ["open_bits"]
    assert len(plan) - 1 == 3  # one tick to open the value, one of the comparison, one to open its bits
    assert [o.result.name for o in plan[3].started] == ["p", "n", "s"]


def test_what_starts_finishes_after_its_ticks() -> None:
    plan = schedule(parse(TEXT), ticks)
    for index, tick in enumerate(plan):
        for operation in tick.started:
            if ticks(operation):
                assert operation in plan[index + ticks(operation)].finished


def test_an_empty_program_needs_no_exchange() -> None:
    assert len(schedule(parse('program "t" share {\n}\n'), ticks)) == 1


def test_messages_come_before_what_they_do_not_need() -> None:
    text = TEXT.replace("%s = add", "%r = open_masked %s {bits = 30} : masked<30, 0, 4>\n  %s = add")
    lines = text.splitlines()
    last = next(i for i, line in enumerate(lines) if "%r =" in line)
    lines[last], lines[last + 1] = lines[last + 1], lines[last]  # %r opens the sum
    lines.insert(last, "  %z = add %q, %q : share<30, 0, 4>")
    plan = schedule(parse("\n".join(lines)), ticks)
    assert [o.result.name for o in plan[1].started] == ["l", "q", "o", "z"]
    assert [o.result.name for o in plan[3].started] == ["p", "n", "s", "r"]
