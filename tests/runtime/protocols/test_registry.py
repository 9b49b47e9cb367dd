"""Every operation of the share stage has its protocol, its cases and its page in docs."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from mpcc.ir.dialects.base import operations_of
from mpcc.ir.dialects.share import ShareOperation
from mpcc.ir.program import Stage
from mpcc.runtime.protocols import protocols
from tests.runtime.protocols import cases_local, cases_protocols  # noqa: F401
from tests.runtime.protocols.cases import CASES
from tests.runtime.protocols.choices import seeded
from tests.runtime.protocols.fixed import FIXED

DOCUMENTS = Path(__file__).parents[3] / "docs" / "protocols"
OPERATIONS = operations_of(Stage.SHARE)
COMMUNICATING = sorted(
    name for name, cls in OPERATIONS.items() if issubclass(cls, ShareOperation) and cls.opens is not None
)


def test_every_operation_has_a_protocol_and_cases() -> None:
    assert set(protocols) == set(OPERATIONS)
    assert set(CASES) == set(OPERATIONS)


def test_operations_that_open_something_are_those_that_communicate() -> None:
    sending = set()
    for kind in CASES:
        for number in range(5):
            for operation in CASES[kind](seeded(number, 0)).program.operations:
                if protocols[operation.kind].messages(operation):
                    sending.add(operation.kind)
    assert sending == set(COMMUNICATING)


def test_every_opening_has_a_fixed_program() -> None:
    assert {fixed.kind for fixed in FIXED} == set(COMMUNICATING)


@pytest.mark.parametrize("kind", sorted(protocols))
def test_every_protocol_is_documented(kind: str) -> None:
    """The page is named like the protocol's file and names the operation."""
    file = Path(inspect.getfile(protocols[kind].run)).stem
    text = (DOCUMENTS / f"{file}.md").read_text(encoding="utf-8")
    assert f"`{kind}`" in text
