"""An operation is a class, a lowering, a protocol, a page of documentation and a test: lists those with a piece missing."""

from __future__ import annotations

from pathlib import Path

from mpcc.ir.dialects import operations_of
from mpcc.ir.legality import RECOGNISED
from mpcc.ir.program import Stage
from mpcc.passes.lower.context import rules
from mpcc.runtime.protocols import protocols
from tests.runtime.protocols import cases_local, cases_protocols  # noqa: F401 (they register their cases)
from tests.runtime.protocols.cases import CASES

PAGES = Path(__file__).parents[2] / "docs/protocols"
SHARE_OPERATIONS = operations_of(Stage.SHARE)


def test_every_tensor_operation_that_reaches_lowering_has_a_rule() -> None:
    assert rules.keys() == RECOGNISED.operations


def test_every_share_operation_has_a_protocol() -> None:
    assert protocols.keys() == SHARE_OPERATIONS.keys()


def test_every_share_operation_has_a_conformance_case() -> None:
    assert CASES.keys() == SHARE_OPERATIONS.keys()


def test_every_protocol_has_a_page_that_names_its_operation() -> None:
    missing = []
    for kind, protocol in protocols.items():
        page = PAGES / f"{protocol.__module__.rsplit('.', 1)[1]}.md"
        if not page.exists() or f"`{kind}`" not in page.read_text(encoding="utf-8"):
            missing.append(f"{page.name}: `{kind}`")
    assert missing == []


def test_every_page_has_a_protocol() -> None:
    files = {protocol.__module__.rsplit(".", 1)[1] for protocol in protocols.values()}
    assert {page.stem for page in PAGES.glob("*.md")} - {"README"} == files
