"""What the parser refuses: each message with its code, line and column."""

from __future__ import annotations

import pytest

from mpcc.ir.diagnostics import MpccError, MpccErrors
from mpcc.ir.parser import parse

RESULT = "tensor<secret, float, 2>"
INPUT = '%x = input {name = "x", visibility = "secret", dtype = "float", shape = [2]} : ' + RESULT


def body(*lines: str, stage: str = "tensor") -> str:
    return "\n".join([f'program "p" {stage} {{', *lines, "}"])


SINGLE = {
    "empty text": ("", "MPC-I001", "1:1", "found the end of the text, expected 'program'"),
    "unfinished": (
        body(INPUT)[:-1] + "\n\n",
        "MPC-I001",
        "5:1",
        "found the end of the text, expected ',' or 'from'",
    ),
    "wrong token": (
        body("%a = add %x", "  : {}"),
        "MPC-I001",
        "3:5",
        "found '{', expected 'pending' or 'tensor' or a name",
    ),
    "stray character": (body(INPUT, "%a = relu ; %x"), "MPC-I001", "3:11", "found ';', expected"),
    "two results, one comma too many": (body("%a, = relu"), "MPC-I001", "2:1", "found '%a', expected"),
    "unfinished string": ('program "p\n" tensor {}', "MPC-I001", "1:9", "found a string with a wrong escape"),
    "wrong escape": ('program "\\x" tensor {}', "MPC-I001", "1:9", "found a string with a wrong escape"),
    "control character": ('program "\x07" tensor {}', "MPC-I001", "1:9", "control character"),
    "text after the end": (body() + " }", "MPC-I001", "2:3", "found '}', expected the end of the text"),
    "surrogate": ('program "\\ud83d" tensor {}', "MPC-I002", "1:9", "half of a surrogate pair"),
    "attribute twice": (body("%a = relu {b = 1, b = 2}"), "MPC-I002", "2:19", "attribute 'b' is given twice"),
    "large integer": (
        body(f"%a = relu {{b = {2**64}}}"),
        "MPC-I002",
        "2:16",
        f"integer {2**64} does not fit 64 bits",
    ),
    "huge integer": (body(f"%a = relu {{b = {'9' * 5000}}}"), "MPC-I002", "2:16", "does not fit 64 bits"),
    "deep list": (
        body(f"%a = relu {{b = {'[' * 9}{']' * 9}}}"),
        "MPC-I002",
        "2:16",
        "nested more than 8 deep",
    ),
    "very deep list": (
        body(f"%a = relu {{b = {'[' * 9999}{']' * 9999}}}"),
        "MPC-I002",
        "",
        "nested more than 8 deep",
    ),
    "visibility": (
        body("%a = relu : tensor<hidden, float, 2>"),
        "MPC-I002",
        "2:20",
        "unknown visibility 'hidden'",
    ),
    "element type": (
        body("%a = relu : tensor<secret, half, 2>"),
        "MPC-I002",
        "2:28",
        "unknown element type 'half'",
    ),
    "sharing": (
        body("%a = relu : shared<1, 2, 2>"),
        "MPC-I002",
        "2:13",
        "unknown type 'shared', expected one of share, bits",
    ),
    "ring": (body("%a = relu : share<65, 2, 2>"), "MPC-I002", "2:19", "ring width 65 is not within 1..64"),
    "range order": (
        body("%a = relu : share<64, 2, 2, [1, 0]>"),
        "MPC-I002",
        "2:29",
        "not a finite, ordered range",
    ),
    "range infinite": (body("%a = relu : share<64, 2, 2, [0, 1e999]>"), "MPC-I002", "2:29", "not a finite"),
    "dimension": (body(f"%a = relu : share<64, 2, 2x{2**49}>"), "MPC-I002", "2:26", "is not within 0..2^48"),
    "negative dimension": (body("%a = relu : share<64, 2, -2>"), "MPC-I002", "2:26", "is not within 0..2^48"),
    "nodes": (body("%a = relu from [1]"), "MPC-I002", "2:6", "relu: the list after 'from' must hold strings"),
    "stage": (
        body(stage="tensors"),
        "MPC-I003",
        "1:13",
        "unknown stage 'tensors', expected one of tensor, share, party",
    ),
    "operation": (
        body("", f"  %a = serve : {RESULT}"),
        "MPC-I004",
        "3:8",
        "stage tensor has no operation 'serve'",
    ),
    "attributes": (
        body(INPUT, f"%a = gelu %x {{approx = 1}} : {RESULT}"),
        "MPC-I005",
        "3:6",
        "missing attribute 'approximate'",
    ),
    "undefined": (
        body(INPUT, f"%a = add %x, %y : {RESULT}"),
        "MPC-I006",
        "3:14",
        "value %y is not defined before this use",
    ),
    "own result": (
        body(f"%a = relu %a : {RESULT}"),
        "MPC-I006",
        "2:11",
        "value %a is not defined before this use",
    ),
    "undefined output": (body('output "o" = %x', INPUT), "MPC-I006", "2:14", "value %x is not defined"),
    "redefined": (
        body(INPUT, f"%a, %x = relu %x : {RESULT}, {RESULT}"),
        "MPC-I007",
        "3:5",
        "first on line 2",
    ),
    "result count": (body(INPUT, "%a = relu %x"), "MPC-I008", "3:6", "relu: 1 results but 0 types"),
    "output twice": (
        body(INPUT, 'output "o" = %x', 'output "o" = %x'),
        "MPC-I009",
        "4:8",
        "output 'o' is given twice",
    ),
}


@pytest.mark.parametrize("case", SINGLE)
def test_a_wrong_text_is_refused_with_its_place(case: str) -> None:
    text, code, where, message = SINGLE[case]
    with pytest.raises(MpccError) as caught:
        parse(text)
    errors = caught.value.errors if isinstance(caught.value, MpccErrors) else [caught.value]
    assert [error.code for error in errors] == [code]
    assert message in errors[0].message
    assert where in ("", errors[0].where)


def test_all_wrong_statements_are_listed() -> None:
    text = body(INPUT, f"%a = add %x, %y : {RESULT}", f"%b = nothing %a : {RESULT}", "%x = relu %b", "")
    with pytest.raises(MpccErrors) as caught:
        parse(text, "file.mpcir")
    found = [(error.code, error.where) for error in caught.value.errors]
    assert found == [
        ("MPC-I006", "file.mpcir:3:14"),
        ("MPC-I004", "file.mpcir:4:6"),
        ("MPC-I008", "file.mpcir:5:6"),
        ("MPC-I007", "file.mpcir:5:1"),
    ]
