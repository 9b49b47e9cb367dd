"""Pages of docs/ whose tables a command writes: what stands between two marks."""

from __future__ import annotations

import re


def with_tables(page: str, tables: str) -> str:
    """The page with new tables."""
    pattern = r"(<!-- tables -->\n).*?(<!-- end of tables -->)"
    return re.sub(pattern, lambda m: f"{m[1]}\n{tables}\n\n{m[2]}", page, flags=re.S)
