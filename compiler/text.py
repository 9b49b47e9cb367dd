"""Numbers and tables as text, for reports on a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def count_of(number: int) -> str:
    """A count with thousands separated: 1,234."""
    return f"{number:,}"


def size_of(number: float) -> str:
    """Bytes in decimal units: 512 B, 1.5 kB, 22.4 MB, 3.0 GB."""
    if number < 1000:
        return f"{number:.0f} B"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.95 or unit == "GB":
            break
    return f"{number:.1f} {unit}"


def short_count_of(number: float) -> str:
    """A large count in short: 512, 1.5 k, 744.6 M, 3.1 G."""
    return size_of(number).removesuffix("B").strip()


def shape_of(shape: Sequence[int]) -> str:
    """[1, 16]."""
    return f"[{', '.join(map(str, shape))}]"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table with aligned columns; numbers to the right. No rows, no table: `none`."""
    if not rows:
        return "none"
    texts = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in (head, *texts)) for i in range(len(head))]
    right = [all(_is_number(row[i]) for row in texts) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = (
        "|" + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)) + "|"
    )
    return "\n".join([line(head), rule, *map(line, texts)])


def _cell(cell: object) -> str:
    return count_of(cell) if isinstance(cell, int) else str(cell)


def _is_number(text: str) -> bool:
    """Whether a cell starts with a number; `-` stands for none."""
    digits = text.split(" ")[0].replace(",", "").replace(".", "")
    return text == "-" or digits.isdigit()
