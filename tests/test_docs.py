"""The documentation names what the source has: protocols, operations, and links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mpcc.compiler.frontend.lift import _RULES
from mpcc.ir.dialects import operations_of
from mpcc.ir.program import Stage
from mpcc.passes.recognise.contrib import _RULES as CONTRIB_RULES
from mpcc.runtime.protocols import protocols

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def words(path: Path) -> set[str]:
    return set(re.findall(r"[A-Za-z_0-9]+", path.read_text(encoding="utf-8")))


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text(encoding="utf-8")), target


def test_every_protocol_file_has_a_page_that_names_its_operations() -> None:
    for kind, protocol in protocols.items():
        page = DOCS / "protocols" / f"{protocol.__module__.rsplit('.', 1)[-1]}.md"
        assert page.is_file(), f"{kind}: {page.name} is missing"
        assert kind in words(page), f"{page.name} does not name {kind}"
        assert f"({page.name})" in (DOCS / "protocols" / "README.md").read_text(encoding="utf-8")


def test_every_supported_operation_is_listed() -> None:
    listed = words(DOCS / "operations.md")
    assert {*_RULES, *CONTRIB_RULES} - listed == set()
    tensor = set(operations_of(Stage.TENSOR)) - {
        "input",
        "constant",
        "reshape",
        "transpose",
        "expand",
        "slice",
    }
    assert tensor - {"concat", "embedding"} - listed == set()
