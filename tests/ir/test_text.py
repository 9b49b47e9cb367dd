"""Print -> parse -> print is the identity at every stage; parsing is fast; layout is free."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.parser import parse, read_program
from mpcc.ir.printer import print_attribute, print_program
from mpcc.ir.program import Attribute, Builder, Program, Stage
from mpcc.ir.types import Range, RingType, Sharing
from mpcc.ir.verifier import verify
from tests.ir.programs import PARTY, STAGES, TENSOR, attributes, names, programs_equal, tensor_programs, texts


@pytest.mark.parametrize("stage", STAGES)
def test_hand_written_programs_round_trip(stage: str) -> None:
    program = parse(STAGES[stage])
    verify(program)
    assert print_program(program) == STAGES[stage]
    assert programs_equal(parse(print_program(program)), program)


@settings(max_examples=60, deadline=None)
@given(tensor_programs())
def test_generated_programs_verify_and_round_trip(program: Program) -> None:
    verify(program)
    text = print_program(program)
    again = parse(text)
    assert print_program(again) == text
    assert programs_equal(again, program)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(names, attributes, max_size=4), texts)
def test_attributes_round_trip_exactly(values: dict[str, Attribute], name: str) -> None:
    program = Program(name, Stage.SHARE, attributes=values)
    assert programs_equal(parse(print_program(program)), program)


def test_words_of_the_grammar_are_free_where_they_cannot_be_confused() -> None:
    words = (
        "program",
        "output",
        "from",
        "true",
        "false",
        "tensor",
        "pending",
        "scalar",
        "inf",
        "nan",
        "x",
        "e1",
    )
    program = Program("output", Stage.TENSOR, attributes=dict.fromkeys(words, "from"))
    assert programs_equal(parse(print_program(program)), program)
    for word in words:
        single = Program("p", Stage.SHARE, attributes={word: 1})
        assert programs_equal(parse(print_program(single)), single)


def test_every_line_break_may_be_a_space_and_comments_are_ignored() -> None:
    for text in STAGES.values():
        wide = text.replace("\n", ' # } comment " %\r\n\t\n').replace(" {", "\n{\n").replace(", ", " , ")
        assert programs_equal(parse(wide), parse(text))
        assert programs_equal(parse(text.replace("\n", " ")), parse(text))


def test_every_operation_takes_one_line() -> None:
    program = parse(PARTY)
    lines = print_program(program).splitlines()
    assert len(lines) == 2 + len(program.operations) + len(program.outputs)
    assert all(operation.kind in lines[index + 1] for index, operation in enumerate(program.operations))


def test_numpy_scalars_are_refused_or_print_as_python_numbers() -> None:
    import numpy as np

    assert print_attribute(np.float64(0.1)) == "0.1"
    with pytest.raises(TypeError, match="not an attribute"):
        print_attribute(np.int64(3))  # type: ignore[arg-type]


def test_a_program_of_five_thousand_lines_parses_within_the_budget() -> None:
    builder = Builder("large", Stage.SHARE)
    x = builder.emit("client_input", name="x", fraction=12, shape=(8, 64))
    stated = RingType(Sharing.SHARE, 52, 12, (8, 64), Range(-1.5, 2.0))
    for index in range(2500):
        x = builder.append(
            "open_masked", [x], {"bits": 52}, [stated], (f"/encoder/layer.{index}/MatMul",)
        ).result
        x = builder.append("truncate", [x], {"bits": 12}, [stated], ("/encoder/Add", "/encoder/Mul")).result
    text = print_program(builder.program)
    parse('program "warm" share {}')
    gc.freeze()  # what other tests left in this process is not searched for garbage meanwhile
    start = time.thread_time()
    program = parse(text)
    assert time.thread_time() - start < 3.0  # 0.5 s here; the slack is for a loaded machine
    gc.unfreeze()
    assert len(program.operations) == 5001


def test_read_program_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.mpcir"
    path.write_text(TENSOR, encoding="utf-8")
    assert print_program(read_program(path)) == TENSOR
    path.write_text(TENSOR[:-2], encoding="utf-8")
    with pytest.raises(MpccError) as caught:
        read_program(path)
    assert caught.value.where == f"{path}:12:1"
    path.write_bytes(b"program \xff")
    with pytest.raises(MpccError, match=r"MPC-I010.*not UTF-8"):
        read_program(path)
    with pytest.raises(MpccError, match=r"MPC-I010.*No such file"):
        read_program(tmp_path / "missing")
