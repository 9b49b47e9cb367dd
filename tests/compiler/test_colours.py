"""Colours of program texts: they mean who knows a value and what is opened, and change no character."""

from __future__ import annotations

import pytest

from mpcc.compiler.inspection.colours import (
    BOOLEAN,
    CLIENT,
    NODE,
    OPENED,
    OPENS,
    PUBLIC,
    REVEALS,
    SERVER,
    SHARED,
    Colours,
)


@pytest.mark.parametrize(
    ("line", "part", "style"),
    [
        ('  %1 = reveal %0 {name = "y", to = "party1"} : private1<64, 0, 4>', "reveal", REVEALS),
        ("  %1 = open_masked %0 {bits = 5} : masked<5, 0, 4>", "open_masked", OPENS),
        ("  %1 = start.less_than %0 {bits = 5} : pending<less_than>", "start.less_than", OPENS),
        ("  %1 = serve %0 : served<5, 0, 4, [-1.0, 1.0]>", "served<5, 0, 4, [-1.0, 1.0]>", OPENED),
        ("  %1 = less_than %0 {bits = 5} : bits<1, 0, 4>", "%1", BOOLEAN),
        ('  %1 = weight {name = "a % b", fraction = 1} : private0<64, 1, 4>', "%1", SERVER),
        ('  %1 = constant {name = "c"} : public<64, 1, 4> from ["/a"]', "private", None),
        ('  %1 = constant {name = "c"} : public<64, 1, 4> from ["/a"]', "public<64, 1, 4>", PUBLIC),
        ('  %1 = constant {name = "c"} : public<64, 1, 4> from ["/a"]', '"/a"', NODE),
        ("  %1 = gelu %0 : tensor<secret, float, 4>", "tensor<secret, float, 4>", SHARED),
        ("  %1 = gelu %0 : tensor<party1, float, 4>", "%1", CLIENT),
        ("    + %1 = gelu %0 : tensor<party1, float, 4>", "    + ", "bold green"),
    ],
)
def test_colours_mean_who_knows_and_what_is_opened(line: str, part: str, style: str | None) -> None:
    pieces = Colours().line(line)
    assert "".join(text for text, _ in pieces) == line
    assert {s for text, s in pieces if text == part} == ({style} if style else set())


def test_a_value_keeps_its_colour_where_it_is_read() -> None:
    colours = Colours()
    colours.line("  %1 = gelu %0 : tensor<party1, float, 4>")
    assert ("%1", CLIENT) in colours.line("  %2 = negate %1 : tensor<party1, float, 4>")
    assert ("%1", CLIENT) in colours.line('  output "y" = %1')


@pytest.mark.parametrize(
    "text", ["", "%", '  %1 = "', "  # }{", "%1 = = : share< from", "}" * 9, "    - %", "\x1b[1m"]
)
def test_any_text_keeps_its_characters(text: str) -> None:
    assert "".join(part for part, _ in Colours().line(text)) == text
