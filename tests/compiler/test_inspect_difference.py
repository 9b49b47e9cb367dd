"""`mpcc inspect --diff`: what a pass changed, whatever the values are called."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from mpcc.compiler.cli.compile import EXPERTS_PASS, PASSES, RANGE_PASS
from mpcc.compiler.dumps import read_dumps
from mpcc.compiler.inspect import inspect_command
from mpcc.compiler.inspection.alignment import align, other_changes
from mpcc.compiler.inspection.difference import difference
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse
from mpcc.ir.program import Program
from mpcc.passes.assign_rings import assign_rings
from mpcc.passes.reasons import REASONS
from mpcc.passes.remove_dead import remove_dead
from tests.compiler.renamed import renamed

TENSOR = """program "small" tensor {
  %x = input {name = "x", visibility = "party1", dtype = "float", shape = [1, 4]} : tensor<party1, float, 1x4>
  %w0 = constant {name = "w0", visibility = "party0", dtype = "float", shape = [4, 4]}
    : tensor<party0, float, 4x4>
  %a = linear %x, %w0 : tensor<secret, float, 1x4> from ["/layer.0/MatMul"]
  %b = gelu %a {approximate = "none"} : tensor<secret, float, 1x4> from ["/layer.0/Gelu"]
  %w1 = constant {name = "w1", visibility = "party0", dtype = "float", shape = [4, 4]}
    : tensor<party0, float, 4x4>
  %c = linear %b, %w1 : tensor<secret, float, 1x4> from ["/layer.1/MatMul"]
  %d = gelu %c {approximate = "none"} : tensor<secret, float, 1x4> from ["/layer.1/Gelu"]
  output "y" = %d
}
"""
SHARE = """program "small" share {reveals = ["y=party1"]} {
  %0 = client_input {name = "x", fraction = 16, shape = [1, 4]} : private1<64, 16, 1x4, [-1.0, 1.0]>
  %1 = serve %0 {bits = 64} : served<64, 16, 1x4, [-1.0, 1.0]> from ["/layer.0/MatMul"]
  %2 = weight {name = "c0", fraction = 16, shape = [4, 4]} : private0<64, 16, 4x4> from ["/layer.0/MatMul"]
  %3 = weight {name = "c1", fraction = 16, shape = [4, 4]} : private0<64, 16, 4x4> from ["/layer.0/MatMul"]
  %4 = linear %1, %2 : share<64, 32, 1x4, [-4.0, 4.0]> from ["/layer.0/MatMul"]
  %5 = shift %4 {bits = 16} : share<64, 16, 1x4, [-4.0, 4.0]> from ["/layer.1/MatMul"]
  %6 = serve %5 {bits = 64} : served<64, 16, 1x4, [-4.0, 4.0]> from ["/layer.1/MatMul"]
  %7 = linear %6, %2 : share<64, 32, 1x4, [-16.0, 16.0]> from ["/layer.1/MatMul"]
  %8 = reveal %7 {name = "y", to = "party1"} : private1<64, 32, 1x4>
  output "y" = %8
}
"""
GOLDEN = """remove-dead: {reason}

  before    9 operations, share stage, after lower
  after     8 operations, share stage
  of these  1 removed, 0 added, 0 changed, 8 the same

| operation | before | after | removed | added | changed |
|-----------|-------:|------:|--------:|------:|--------:|
| weight    |      2 |     1 |       1 |     - |       - |

What differs in names and numbers only is shown once.

layer.0

  removed (node /layer.0/MatMul): weight
    - %3 = weight {{name = "c1", fraction = 16, shape = [4, 4]}} : private0<64, 16, 4x4>"""


def dumps() -> list[tuple[str, Program]]:
    share = parse(SHARE)
    live = remove_dead(share)
    return [
        ("import", parse(TENSOR)),
        ("lower", share),
        ("remove-dead", live),
        ("assign-rings", assign_rings(live)),
    ]


def test_what_is_removed_is_shown_at_its_node() -> None:
    assert difference(dumps(), "remove-dead") == GOLDEN.format(reason=REASONS["remove-dead"])


def test_lowering_shows_which_node_became_which_operations_and_equal_ones_once() -> None:
    text = difference(dumps(), "lower")
    assert "linear (node /layer.0/MatMul) -> 5 operations: 2 weight, client_input, serve, linear" in text
    assert text.index("- %a = linear") < text.index("+ %1 = serve")
    twice = TENSOR.replace(
        "output",
        '%e = gelu %d {approximate = "none"} : tensor<secret, float, 1x4> from ["/layer.1/Second"]\n  output',
    ).replace("= %d", "= %e")
    change = difference([("import", parse(TENSOR)), ("experts", parse(twice))], "experts")
    assert "added (node /layer.1/Second): gelu" in change
    assert "output y: %d -> %e" in change


def test_what_a_layer_repeats_is_not_shown_again() -> None:
    without = parse(re.sub(r"  %[bd] = gelu.*\n", "", TENSOR).replace("%b", "%a").replace("= %d", "= %c"))
    programs = [("import", parse(TENSOR)), ("experts", without), ("lower", parse(TENSOR))]
    text = difference(programs, "lower")
    assert "added (node /layer.0/Gelu): gelu" in text
    assert "the same operations at 1 more node: layer.1" in text
    assert "%d = gelu" not in text
    assert "~ %c linear: operands %a, %w1 -> %b, %w1" in text


def test_a_changed_operation_says_what_differs() -> None:
    text = difference(dumps(), "assign-rings")
    assert re.search(r"~ %1 serve: bits 64 -> \d+; ring 64 -> \d+\n", text)
    assert re.search(r"0 removed, 0 added, \d changed", text)


@pytest.mark.parametrize("text", [TENSOR, SHARE])
def test_renumbering_is_no_change(text: str) -> None:
    program = parse(text)
    other = renamed(program)
    entries = align(program, other)
    assert all(entry.same for entry in entries)
    assert other_changes(program, other, entries) == []
    shown = difference([("import", program), ("lower", other)], "lower")
    assert shown.endswith("Nothing is changed in the program")


def test_a_change_is_found_among_renumbered_values() -> None:
    before = parse(SHARE)
    after = renamed(remove_dead(before))
    (entry,) = [e for e in align(before, after) if not e.same]
    assert entry.after is None
    assert entry.before is not None
    assert entry.before.result.name == "3"
    shifted = renamed(parse(SHARE.replace("bits = 16", "bits = 12")))
    (changed,) = [e for e in align(before, shifted) if not e.same]
    assert changed.changes == ("bits 16 -> 12",)


def test_every_operation_is_in_the_alignment_once() -> None:
    programs = dumps()
    for (_, before), (_, after) in pairwise(programs):
        entries = align(before, after)
        assert sorted(id(e.before) for e in entries if e.before) == sorted(map(id, before.operations))
        assert [e.after for e in entries if e.after] == after.operations


def test_passes_are_listed_with_reasons(bert_program: Path) -> None:
    text = inspect_command(bert_program, None, html=False, changed_by="")
    for name, _ in read_dumps(bert_program):
        assert REASONS[name] in text
    assert set(REASONS) == {*PASSES, EXPERTS_PASS, RANGE_PASS}


@pytest.mark.parametrize(("name", "said"), [("import", "no program before it"), ("optimise", "no such pass")])
def test_a_wrong_pass_is_refused_with_the_right_ones(bert_program: Path, name: str, said: str) -> None:
    with pytest.raises(MpccError, match=said) as caught:
        inspect_command(bert_program, None, html=False, changed_by=name)
    assert caught.value.code == "MPC-C001"
    assert "lower, remove-dead, assign-rings" in caught.value.remedy


def test_a_difference_can_be_of_some_nodes(bert_program: Path) -> None:
    text = inspect_command(bert_program, None, False, "lower", ["*layer.1*Softmax*"])
    (title,) = re.findall(r"^  softmax \(node (.*)\) -> \d+ operations", text, re.M)
    assert "layer.1" in title
    assert "before    1 operation," in text
    assert (
        inspect_command(bert_program, None, False, "remove-dead", ["*layer.1*Softmax*"]).count("weight") == 0
    )
