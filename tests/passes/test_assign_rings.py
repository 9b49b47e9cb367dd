# ruff: noqa: E501 (lines of IR text)
"""Ring widths follow demand; a shift becomes a truncation only where it does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_operation
from mpcc.ir.program import Program
from mpcc.passes.assign_rings import assign_rings
from tests.runtime.protocols.harness import run_program, seed_pair


def assigned(body: str) -> list[str]:
    return [print_operation(o) for o in assign_rings(program(body)).operations]


def program(body: str) -> Program:
    return parse('program "t" share {reveals = ["y=party1"]} {\n' + body + "}\n")


LINEAR = """
  %x = client_input {name = "x", fraction = 12, shape = [2, 3]} : private1<64, 12, 2x3, [-4.0, 4.0]>
  %w = weight {name = "w", fraction = 14, shape = [3, 5]} : private0<64, 14, 3x5>
  %s = serve %x {bits = 64} : served<64, 12, 2x3>
  %y = linear %s, %w : share<64, 26, 2x5, [-16.0, 16.0]>
"""


def test_the_opening_of_a_linear_layer_is_as_wide_as_its_result_is_needed() -> None:
    lines = assigned(
        LINEAR
        + """
  %z = shift %y {bits = 14} : share<64, 12, 2x5, [-16.0, 16.0]>
  %r = reveal %z {name = "y", to = "party1"} : private1<64, 12, 2x5>
  output "y" = %r
"""
    )
    # [-16, 16] at 12 fraction bits: 17 bits and sign, one more of slack; 14 more below the shift
    assert "%z = shift %y {bits = 14} : share<19, 12, 2x5, [-16.0, 16.0]>" in lines
    assert "%y = linear %s, %w : share<33, 26, 2x5, [-16.0, 16.0]>" in lines
    assert "%s = serve %x {bits = 33} : served<33, 12, 2x3>" in lines


def test_a_shift_that_does_not_fit_becomes_a_truncation() -> None:
    lines = assigned(
        LINEAR
        + """
  %z = shift %y {bits = 14} : share<64, 12, 2x5, [-16.0, 16.0]>
  %t = serve %z {bits = 64} : served<64, 12, 2x5>
  %v = weight {name = "v", fraction = 14, shape = [5, 5]} : private0<64, 14, 5x5>
  %u = linear %t, %v : share<64, 26, 2x5, [-4096.0, 4096.0]>
  %r = reveal %u {name = "y", to = "party1"} : private1<64, 26, 2x5>
  output "y" = %r
"""
    )
    assert "%z = truncate %y {bits = 14} : share<41, 12, 2x5, [-16.0, 16.0]>" in lines
    # the truncation needs the operand's own range only
    assert "%y = linear %s, %w : share<33, 26, 2x5, [-16.0, 16.0]>" in lines


def test_openings_of_a_segmented_polynomial_keep_their_own_width() -> None:
    lines = assigned(
        """
  %x = client_input {name = "x", fraction = 12, shape = [2]} : private1<64, 12, 2, [-4.0, 4.0]>
  %a = open_masked %x {bits = 20} : masked<20, 12, 2>
  %l = less_than %a {bits = 18, width = 6, thresholds = [0]} : bits<1, 0, 1x2>
  %b = open_bits %l : masked_bits<1, 0, 1x2>
  %p = segmented_polynomial %a, %b {monomials = [[0, 0], [2, 0]], rows = [[1, 2], [3, 4]], fraction = 24} : share<64, 24, 2, [-8.0, 8.0]>
  %r = reveal %p {name = "y", to = "party1"} : private1<64, 24, 2>
  output "y" = %r
"""
    )
    assert "%a = open_masked %x {bits = 20} : masked<20, 12, 2>" in lines
    assert any(
        line.startswith("%p = ") and line.endswith("share<30, 24, 2, [-8.0, 8.0]>") for line in lines
    ), lines


OPENED_TWICE = """
  %x = client_input {name = "x", fraction = 12, shape = [2]} : private1<64, 12, 2, [-4.0, 4.0]>
  %a = open_masked %x {bits = FIRST} : masked<FIRST, 12, 2>
  %c = open_masked %x {bits = SECOND} : masked<SECOND, 12, 2>
  %l = less_than %a {bits = 18, width = 6, drop = 4, thresholds = [0]} : bits<1, 0, 1x2>
  %b = open_bits %l : masked_bits<1, 0, 1x2>
  %p = product %c, %b {factors = ["value", "bits"], coefficients = [[], [1, -1]], fractions = [12, 0]} : share<64, 12, 2, [0.0, 4.0]>
  %r = reveal %p {name = "y", to = "party1"} : private1<64, 12, 2>
  output "y" = %r
"""


@pytest.mark.parametrize(
    ("first", "second", "bits"), [(64, 17, 22), (64, 30, 30), (22, 30, 30), (40, 17, 40)]
)
def test_a_share_is_opened_once_for_all_that_read_it(first: int, second: int, bits: int) -> None:
    """As wide as the comparison with its dropped bits needs (64: undecided), and as the product's opening."""
    lines = assigned(OPENED_TWICE.replace("FIRST", str(first)).replace("SECOND", str(second)))
    assert [line for line in lines if " = open_masked " in line] == [
        f"%a = open_masked %x {{bits = {bits}}} : masked<{bits}, 12, 2>"
    ]
    assert any(line.startswith("%p = product %a, %b") for line in lines)


def test_both_sides_of_a_masked_difference_are_opened_for_its_comparison() -> None:
    lines = assigned(
        """
  %x = client_input {name = "x", fraction = 12, shape = [3]} : private1<64, 12, 3, [-4.0, 4.0]>
  %z = client_input {name = "z", fraction = 12, shape = [3]} : private1<64, 12, 3, [-4.0, 4.0]>
  %a = open_masked %x {bits = 64} : masked<64, 12, 3>
  %c = open_masked %z {bits = 25} : masked<25, 12, 3>
  %v = take %a {axis = 0, indices = [2, 0]} : masked<64, 12, 2>
  %w = take %c {axis = 0, indices = [1, 1]} : masked<25, 12, 2>
  %d = sub %v, %w : masked<25, 12, 2>
  %l = less_than %d {bits = 17, width = 4, thresholds = [0]} : bits<1, 0, 1x2>
  %b = open_bits %l : masked_bits<1, 0, 1x2>
  %p = product %b {factors = ["bits"], coefficients = [[0, 1]], fractions = [0]} : share<64, 0, 2, [0.0, 1.0]>
  %r = reveal %p {name = "y", to = "party1"} : private1<64, 0, 2>
  output "y" = %r
"""
    )
    assert "%a = open_masked %x {bits = 17} : masked<17, 12, 3>" in lines
    assert "%d = sub %v, %w : masked<17, 12, 2>" in lines


SELECTED = """
  %h = client_input {name = "h", fraction = 0, shape = [3, 4]} : private1<64, 0, 3x4, [0.0, 1.0]>
  %x = client_input {name = "x", fraction = 12, shape = [4, 2]} : private1<64, 12, 4x2, [-4.0, 4.0]>
  %a = open_masked %h {bits = 64} : masked<64, 0, 3x4>
  %c = open_masked %x {bits = 64} : masked<64, 12, 4x2>
  %m = matmul %a, %c : share<64, 12, 3x2, [-4.0, 4.0]>
  %s = widen %m : share<64, 12, 3x2, [-4.0, 4.0]>
"""
REVEALED = """
  %r = reveal %s {name = "y", to = "party1"} : private1<64, 12, 3x2>
  output "y" = %r
"""
MULTIPLIED = """
  %t = serve %s {bits = 64} : served<64, 12, 3x2>
  %v = weight {name = "v", fraction = 14, shape = [2, 2]} : private0<64, 14, 2x2>
  %u = linear %t, %v : share<64, 26, 3x2, [-512.0, 512.0]>
  %r = reveal %u {name = "y", to = "party1"} : private1<64, 26, 3x2>
  output "y" = %r
"""


def test_a_value_is_not_widened_where_its_own_bits_do() -> None:
    lines = assigned(SELECTED + REVEALED)
    assert "%s = widen %m : share<17, 12, 3x2, [-4.0, 4.0]>" in lines
    assert "%a = open_masked %h {bits = 17} : masked<17, 0, 3x4>" in lines


def test_a_value_is_widened_by_a_truncation_of_no_bits() -> None:
    lines = assigned(SELECTED + MULTIPLIED)
    assert "%s = truncate %m {bits = 0} : share<38, 12, 3x2, [-4.0, 4.0]>" in lines
    assert "%c = open_masked %x {bits = 17} : masked<17, 12, 4x2>" in lines


def test_widened_values_are_right_at_the_ends_of_their_range() -> None:
    ends = np.array([[4 << 12, -4 << 12], [-4 << 12, 4 << 12], [0, -1], [(4 << 12) - 1, 1 - (4 << 12)]])
    arrays = {"h": np.eye(4, dtype=np.int64)[[1, 0, 3]], "x": ends, "v": np.array([[1 << 20, 3], [-5, 7]])}
    for session in range(200):
        run = run_program(assign_rings(program(SELECTED + MULTIPLIED)), arrays, seed_pair(session))
        assert np.array_equal(run.outputs[1]["y"], ends[[1, 0, 3]] @ arrays["v"])


def test_a_value_that_needs_more_than_64_bits_is_refused() -> None:
    with pytest.raises(MpccError) as caught:
        assigned(
            """
  %x = client_input {name = "x", fraction = 12, shape = [2]} : private1<64, 12, 2, [-4.0, 4.0]>
  %a = open_masked %x {bits = 20} : masked<20, 12, 2>
  %p = product %a {factors = ["polynomial"], coefficients = [[0, 0, 1]], fractions = [24]} : share<64, 24, 2, [0.0, 1e+18]>
  %r = reveal %p {name = "y", to = "party1"} : private1<64, 24, 2>
  output "y" = %r
"""
        )
    assert caught.value.code == "MPC-P020"
