"""Every node test of the installed onnx does what the record says."""

from __future__ import annotations

import onnx
import pytest

from tests.backend.node_tests import PAGE, RECORD, cases, operation, outcome, recorded, with_tables

GENERIC = "operation {} is not supported here: there is no secure form of it"


@pytest.mark.parametrize(("name", "refusal"), recorded().items(), ids=recorded())
def test_node(name: str, refusal: str | None) -> None:
    """It passes, or is refused for the recorded reason."""
    assert outcome(name) == refusal


def test_the_record_is_of_the_installed_onnx() -> None:
    assert f'"onnx": "{onnx.__version__}"' in RECORD.read_text(encoding="utf-8")
    assert recorded().keys() == cases().keys()


def test_supported_operations_are_refused_with_a_reason_of_their_own() -> None:
    whole = {name: operation(name) for name in recorded() if "_expanded" not in name}
    supported = {whole[name] for name, reason in recorded().items() if reason is None and name in whole}
    for name, reason in recorded().items():
        if reason is not None and whole.get(name) in supported:
            assert GENERIC.format(whole[name]) not in reason, name


def test_the_page_is_that_of_the_record() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page, "python -m tests.backend.node_tests writes it"
