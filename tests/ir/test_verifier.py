"""One negative case for every rule of the verifier: change one thing in a valid program, expect its error."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mpcc.ir.diagnostics import MpccErrors
from mpcc.ir.parser import parse
from mpcc.ir.program import Attributes, Operation, Program, Stage, Value
from mpcc.ir.types import PendingType, TensorType, Visibility
from mpcc.ir.verifier import verify
from tests.ir.programs import PARTY, SHARE, STAGES, TENSOR, problems


def changed(stage: str, old: str, new: str) -> Program:
    assert STAGES[stage].count(old) >= 1
    return parse(STAGES[stage].replace(old, new))


@dataclass(frozen=True)
class Case:
    """`old` becomes `new` in the stage's program; the first `code` error is at `place` and says `message`."""

    stage: str
    old: str
    new: str
    code: str
    place: str
    message: str


CASES = {
    "operand count": Case(
        "tensor",
        "layer_norm %1 ",
        "layer_norm %1, %1, %1, %1 ",
        "MPC-I023",
        "line 7: layer_norm",
        "got 4 operands",
    ),
    "operand shape": Case(
        "share",
        "linear %s, %w",
        "linear %s, %x",
        "MPC-I023",
        "line 5: linear, from ONNX node MatMul_0",
        "operand 1",
    ),
    "no operands": Case("tensor", "layer_norm %1 ", "layer_norm ", "MPC-I023", "line 7: layer_norm", ""),
    "large shape": Case(
        "tensor", "slice %2 {starts", "slice %ids {starts", "MPC-I023", "line 9: slice", "one start, stop"
    ),
    "shape": Case(
        "tensor",
        "secret, float, 1x8x4, [",
        "secret, float, 1x8x5, [",
        "MPC-I024",
        "line 5: embedding, from ONNX node /emb/Gather",
        "inferred is",
    ),
    "element type": Case(
        "tensor", "secret, float, 1x0x4", "secret, int, 1x0x4", "MPC-I024", "line 9: slice", "%4 is stated as"
    ),
    "source visibility": Case(
        "tensor",
        "tensor<party1, int",
        "tensor<secret, int",
        "MPC-I024",
        "line 2: input",
        "inferred is tensor<party1",
    ),
    "fraction": Case(
        "share",
        "share<50, 12, 2x3>",
        "share<50, 13, 2x3>",
        "MPC-I024",
        "line 6: truncate",
        "share<64, 12, 2x3>",
    ),
    "wider ring": Case(
        "share",
        "share<52, 26, 2x3>",
        "share<53, 26, 2x3>",
        "MPC-I024",
        "line 5: linear, from ONNX node MatMul_0",
        "%y is stated as share<53",
    ),
    "narrow private": Case(
        "share", "private0<64, 14", "private0<63, 14", "MPC-I024", "line 3: weight", "inferred is private0<64"
    ),
    "source as a share": Case(
        "share",
        '%w = weight {name = "w", fraction = 14, shape = [4, 3]} : private0<64',
        '%w = weight {name = "w", fraction = 14, shape = [4, 3]} : share<64',
        "MPC-I024",
        "line 3: weight",
        "inferred is private0<64",
    ),
    "sharing": Case(
        "share",
        "masked_bits<1, 0, 2x2x3>",
        "bits<1, 0, 2x2x3>",
        "MPC-I024",
        "line 9: open_bits",
        "masked_bits",
    ),
    "result count": Case(
        "share",
        "%z = truncate %y {bits = 14} : share<50, 12, 2x3>",
        "%z, %zz = truncate %y {bits = 14} : share<50, 12, 2x3>, share<50, 12, 2x3>",
        "MPC-I024",
        "line 6: truncate",
        "2 results are stated, 1",
    ),
    "pending protocol": Case(
        "party",
        "pending<open_bits>",
        "pending<less_than>",
        "MPC-I024",
        "line 9: start.open_bits",
        "pending<open_bits>",
    ),
    "finished type": Case(
        "party",
        "masked_bits<1, 0, 1x1x32>",
        "masked_bits<1, 0, 1x1x31>",
        "MPC-I024",
        "line 11: finish",
        "inferred is masked_bits",
    ),
    "type of another stage": Case(
        "share",
        "private0<64, 14, 4x3>",
        "tensor<party0, float, 4x3>",
        "MPC-I020",
        "line 3: weight",
        "no type of the share stage",
    ),
    "pending in the share stage": Case(
        "share",
        "share<24, 24, 2x2>",
        "pending<matmul>",
        "MPC-I020",
        "line 12: matmul",
        "no type of the share stage",
    ),
    "finish of a finished one": Case(
        "party",
        "%mb = finish %0",
        "%mb = finish %b",
        "MPC-I021",
        "line 11: finish",
        "finish needs one protocol",
    ),
    "finish of a value": Case(
        "party",
        "%mb = finish %0",
        "%mb = finish %x",
        "MPC-I021",
        "line 11: finish",
        "finish needs one protocol",
    ),
    "never finished": Case(
        "party",
        "%0 = start.open_bits",
        "%9 = start.open_bits %c : pending<open_bits> %0 = start.open_bits",
        "MPC-I021",
        "line 9: start.open_bits",
        "%9 is started and never finished",
    ),
    "public result": Case(
        "tensor",
        "%2 = layer_norm %1 {epsilon = 1e-12} : tensor<secret",
        "%2 = layer_norm %1 {epsilon = 1e-12} : tensor<public",
        "MPC-I025",
        "line 7: layer_norm",
        "turns a secret value into tensor<public",
    ),
    "the other party's result": Case(
        "tensor",
        "%0 = embedding %ids, %t : tensor<secret",
        "%0 = embedding %ids, %t : tensor<party0",
        "MPC-I025",
        "line 5: embedding, from ONNX node /emb/Gather",
        "into tensor<party0",
    ),
    "reveal not asked for": Case(
        "share",
        '["y=party1", "ok=public"]',
        '["ok=public"]',
        "MPC-I026",
        "line 13: reveal",
        "the program reveals 'y=party1'",
    ),
    "reveal to another party": Case(
        "share",
        '["y=party1", "ok=public"]',
        '["y=party0", "ok=public"]',
        "MPC-I026",
        "line 13: reveal",
        "the program reveals 'y=party1'",
    ),
    "reveal to both": Case(
        "share",
        '["y=party1", "ok=public"]',
        '["y=party1", "ok=party1"]',
        "MPC-I026",
        "line 14: reveal",
        "the program reveals 'ok=public'",
    ),
    "reveals of a wrong type": Case(
        "party",
        ', reveals = ["y=party1"]',
        ', reveals = "y=party1"',
        "MPC-I026",
        "line 15: finish",
        "the program reveals 'y=party1'",
    ),
    "reveal in a party program": Case(
        "party",
        ', reveals = ["y=party1"]',
        "",
        "MPC-I026",
        "line 15: finish",
        "the program reveals 'y=party1'",
    ),
    "reveal of another value": Case(
        "share",
        "%o = reveal %m {",
        '%q = reveal %p {name = "y", to = "party1"} : private1<64, 12, 2x3> %o = reveal %m {',
        "MPC-I026",
        "line 14: reveal",
        "the revealed value %q is not the output 'y'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_wrong_thing_is_found_where_it_is(case: str) -> None:
    wrong = CASES[case]
    program = changed(wrong.stage, wrong.old, wrong.new)
    _, place, message = next(p for p in problems(program) if p[0] == wrong.code)
    assert place == wrong.place
    assert wrong.message in message


def test_narrower_shared_rings_and_any_range_are_fine() -> None:
    text = SHARE.replace("share<50, 12, 2x3>", "share<24, 12, 2x3, [-1.0, 1.0]>")
    text = text.replace("masked<24, 12, 3x2>", "masked<22, 12, 3x2>").replace(
        "share<24, 24, 2x2>", "share<20, 24, 2x2>"
    )
    assert problems(parse(text)) == []
    assert problems(changed("tensor", "<party1, int, 1x8>", "<party1, int, 1x8, [0.0, 29.0]>")) == []


def test_a_known_value_may_be_stated_as_a_share() -> None:
    line = "%a = add %x, %x : private1<64, 12, 2x4>"
    text = SHARE.replace("  %s = serve", f"  {line}\n  %s = serve")
    assert problems(parse(text)) == []
    assert problems(parse(text.replace(line, line.replace("private1<64", "share<40")))) == []
    for other in ("bits<40", "masked<40", "private0<64"):
        found = problems(parse(text.replace(line, line.replace("private1<64", other))))
        assert found[0][:2] == ("MPC-I024", "line 4: add")


def test_before_rings_are_assigned_shares_may_be_wider() -> None:
    program = changed("share", "share<52, 26, 2x3>", "share<64, 26, 2x3>")
    verify(program, rings_assigned=False)
    with pytest.raises(MpccErrors, match="MPC-I024"):
        verify(program)
    with pytest.raises(MpccErrors, match="MPC-I024"):
        verify(changed("share", "private0<64, 14", "private0<63, 14"), rings_assigned=False)


def test_all_offenders_are_listed_with_lines_and_nodes() -> None:
    text = TENSOR.replace("1x8x4, [-1.5, 2.25]>", "8x4>").replace("float, 1x0x4>", "int, 4>")
    assert [(code, place) for code, place, _ in problems(parse(text))] == [
        ("MPC-I024", "line 5: embedding, from ONNX node /emb/Gather"),
        ("MPC-I024", 'line 6: linear, from ONNX node /q/MatMul, /q/Add "bias"'),
        ("MPC-I024", "line 9: slice"),
    ]


SCALAR = TensorType(Visibility.SECRET, "float", ())
ATTRIBUTES: Attributes = {"name": "x", "visibility": "secret", "dtype": "float", "shape": ()}


def tensor_program(*operations: Operation) -> Program:
    return Program("p", Stage.TENSOR, list(operations))


def source(name: str) -> Operation:
    return Operation("input", (), (Value(name, SCALAR),), ATTRIBUTES, ("node",))


def relu(operand: Value, name: str) -> Operation:
    return Operation("relu", (operand,), (Value(name, SCALAR),), {})


def test_use_before_definition() -> None:
    x = source("x")
    program = tensor_program(relu(x.result, "y"), x)
    assert problems(program) == [("MPC-I021", "line 2: relu", "%x is used before it is defined")]


def test_a_value_of_another_program_with_the_same_name() -> None:
    program = tensor_program(source("x"), relu(source("x").result, "y"))
    assert problems(program) == [("MPC-I021", "line 3: relu", "%x is used before it is defined")]


def test_redefinition() -> None:
    program = tensor_program(source("x"), source("x"))
    message = "%x is defined a second time"
    assert problems(program) == [("MPC-I021", "line 3: input, from ONNX node node", message)]


def test_a_name_that_cannot_be_printed() -> None:
    program = tensor_program(source("/layer 0/x"))
    assert [(code, message) for code, _, message in problems(program)] == [
        ("MPC-I021", "'/layer 0/x' is no name of a value")
    ]


def test_undefined_output() -> None:
    program = tensor_program(source("x"))
    program.outputs = {"a": program.operations[0].result, "b": source("x").result}
    assert problems(program) == [("MPC-I021", "line 4: output", "output 'b': %x is not defined")]


def test_unknown_operation() -> None:
    x = source("x")
    program = tensor_program(x, Operation("serve", (x.result,), (), {}))
    assert problems(program) == [("MPC-I020", "line 3: serve", "the tensor stage has no operation 'serve'")]


def test_attributes() -> None:
    x = source("x")
    program = tensor_program(x, Operation("relu", (x.result,), (Value("y", SCALAR),), {"slope": 0.1}))
    assert problems(program) == [("MPC-I022", "line 3: relu", "relu: unknown attribute 'slope'")]


def test_attributes_that_make_inference_fail_in_any_way() -> None:
    attributes: Attributes = {**ATTRIBUTES, "visibility": "hidden"}
    program = tensor_program(Operation("input", (), (Value("x", SCALAR),), attributes))
    (problem,) = problems(program)
    assert problem[:2] == ("MPC-I023", "line 2: input")
    (problem,) = problems(tensor_program(Operation("concat", (), (Value("x", SCALAR),), {"axis": 0})))
    assert problem[:2] == ("MPC-I023", "line 2: concat")


def test_a_reveal_that_is_only_started_is_refused() -> None:
    text = PARTY[: PARTY.index("  exchange {index = 3")] + "}"
    assert [code for code, _, _ in problems(parse(text))] == ["MPC-I021"]


def test_pending_values_have_no_part_in_local_operations() -> None:
    program = changed("party", "start.open_bits %c ", "start.open_bits %b ")
    assert "MPC-I023" in [code for code, _, _ in problems(program)]
    assert isinstance(program.operations[1].result.type, PendingType)


def test_the_other_partys_program_has_no_output_for_the_reveal() -> None:
    assert problems(changed("party", '  output "y" = %2\n', "")) == []
