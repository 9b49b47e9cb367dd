"""What docs/security.md says is tested names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"


def test_every_test_that_the_page_names_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/.]+)`", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_section_on_a_protection_names_its_tests() -> None:
    _, *sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)
    for section in sections:
        title = section.partition("\n")[0]
        if title not in ("Parties", "The adversary", "Outside the model"):
            assert "\nTests: `tests/" in section, title
