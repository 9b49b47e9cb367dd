# ruff: noqa: E501 (lines of IR text)
"""Ring widths follow demand; a shift becomes a truncation only where it does not fit."""

from __future__ import annotations

import pytest

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_operation
from mpcc.ir.program import Program
from mpcc.passes.assign_rings import assign_rings


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
  %l = less_than %x {bits = 18, width = 6, thresholds = [0]} : bits<1, 0, 1x2>
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
