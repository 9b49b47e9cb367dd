"""Whatever the text, the parser and the verifier answer with a program or an MpccError, never a traceback."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse
from mpcc.ir.printer import print_program
from mpcc.ir.verifier import verify
from tests.ir.programs import STAGES

PIECES = [*'{}[]<>,=:%#-x"\\\n', "1e9", "from", "%x"]


def check_never_a_traceback(text: str) -> None:
    """Parses and verifies: only MpccError may come out. What parses prints to something that parses."""
    try:
        program = parse(text)
    except MpccError:
        return
    printed = print_program(program)
    assert print_program(parse(printed)) == printed
    with suppress(MpccError):
        verify(program)


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A valid text with up to four pieces cut out, doubled, inserted, or taken from another text."""
    text = draw(st.sampled_from(list(STAGES.values())))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        other = draw(st.sampled_from(list(STAGES.values())))
        other_start = draw(st.integers(0, len(other)))
        piece = draw(
            st.one_of(
                st.just(""),
                st.sampled_from(PIECES),
                st.just(text[start:end] * 2),
                st.just(other[other_start : other_start + 30]),
                st.integers(-(2**70), 2**70).map(str),
                st.text(max_size=3),
            )
        )
        text = text[:start] + piece + text[end:]
    return text


@settings(max_examples=400, deadline=None)
@given(mutations())
def test_mutated_programs_never_give_a_traceback(text: str) -> None:
    check_never_a_traceback(text)


@st.composite
def token_swaps(draw: st.DrawFn) -> str:
    """A valid text with some of its numbers and words replaced: it mostly parses."""
    pieces = draw(st.sampled_from(list(STAGES.values()))).split(" ")
    for _ in range(draw(st.integers(1, 3))):
        index = draw(st.integers(0, len(pieces) - 1))
        tail = pieces[index][-1] if pieces[index].endswith((",", "]", "}", ">")) else ""
        replacement = st.sampled_from(
            ["0", "-1", "7", "64", str(2**63), "1.5", "true", "[]", "[[1]]", '"value"', "%x", "%mz"]
        )
        pieces[index] = draw(replacement | st.sampled_from(pieces)).rstrip(",") + tail
    return " ".join(pieces)


@settings(max_examples=400, deadline=None)
@given(token_swaps())
def test_programs_with_other_numbers_never_give_a_traceback(text: str) -> None:
    check_never_a_traceback(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_never_gives_a_traceback(text: str) -> None:
    check_never_a_traceback(text)
    check_never_a_traceback(f'program "p" share {{ {text} }}')
