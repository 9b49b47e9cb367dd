"""Error codes: every code that the source can raise is registered and explained, and no other is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mpcc
from mpcc.ir.diagnostics import Diagnostics, MpccError, MpccErrors
from mpcc.ir.error_codes import ERROR_CODES

ROOMS = ("ir", "passes", "compiler", "runtime")
CODE = re.compile(r"MPC-[CFIPRSK]\d{3}")
TROUBLESHOOTING = Path(__file__).parents[1] / "docs/troubleshooting.md"


def source_codes() -> Iterator[tuple[str, str]]:
    """(code, file:line) of every string in the source that is a code."""
    for room in ROOMS:
        for path in sorted((Path(mpcc.__path__[0]) / room).rglob("*.py")):
            if path.name == "error_codes.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and CODE.fullmatch(node.value)
                ):
                    yield node.value, f"{path}:{node.lineno}"


def test_every_code_raised_is_registered_and_no_other() -> None:
    raised = dict(source_codes())
    assert {code: place for code, place in raised.items() if code not in ERROR_CODES} == {}
    assert ERROR_CODES.keys() - raised.keys() == set()


def test_troubleshooting_lists_every_code_with_its_cause() -> None:
    rows = re.findall(
        r"^\| (MPC-\S+) \| (.+?) \| (.+) \|$", TROUBLESHOOTING.read_text(encoding="utf-8"), re.M
    )
    assert {code: cause for code, cause, _ in rows} == ERROR_CODES
    assert len(rows) == len(ERROR_CODES)


def test_an_error_is_rendered_with_place_and_remedy() -> None:
    error = MpccError("MPC-F021", "no secure form", remedy="remove it", where="node 3")
    assert error.render() == "error[MPC-F021]: no secure form\n  at: node 3\n  remedy: remove it"
    assert MpccError("MPC-F021", "no secure form").render() == "error[MPC-F021]: no secure form"


def test_diagnostics_list_all_offenders() -> None:
    diagnostics = Diagnostics()
    diagnostics.raise_if_any()
    diagnostics.add("MPC-F020", "first")
    diagnostics.collect(MpccErrors([MpccError("MPC-F021", "second"), MpccError("MPC-F022", "third")]))
    with pytest.raises(MpccErrors) as caught:
        diagnostics.raise_if_any()
    assert [error.code for error in caught.value.errors] == ["MPC-F020", "MPC-F021", "MPC-F022"]
    assert caught.value.code == "MPC-F020"
    assert str(caught.value).endswith("3 errors")


def test_diagnostics_do_not_hide_another_error() -> None:
    def fail() -> None:
        with Diagnostics() as diagnostics:
            diagnostics.add("MPC-F020", "found before")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
