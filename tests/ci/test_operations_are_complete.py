"""An operation is a class, a lowering or a protocol, a test and a page: lists the ones with a piece missing.

The pages are checked by tests/test_docs.py.
"""

from __future__ import annotations

from mpcc.ir.dialects import operations_of
from mpcc.ir.legality import RECOGNISED
from mpcc.ir.program import Stage
from mpcc.passes.lower.context import rules
from mpcc.runtime.protocols import protocols
from tests.runtime.protocols import cases_local, cases_protocols  # noqa: F401 (they register their cases)
from tests.runtime.protocols.cases import CASES

SHARE_OPERATIONS = operations_of(Stage.SHARE)


def test_every_tensor_operation_that_reaches_lowering_has_a_rule() -> None:
    assert rules.keys() == RECOGNISED.operations


def test_every_share_operation_has_a_protocol() -> None:
    assert protocols.keys() == SHARE_OPERATIONS.keys()


def test_every_share_operation_has_a_conformance_case() -> None:
    assert CASES.keys() == SHARE_OPERATIONS.keys()
