"""docs/faults.md: its tables, written from what a run of everything has seen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.faults.matrix import PLAIN, TLS, Case, cases
from tests.faults.relay import Kind

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
_UNNOTICED = "not noticed"
Seen = Mapping[Case, tuple[str, str]]
"""What the server and the client ended with: `done` or a code."""


def write(seen: Seen, kills: Counter[tuple[str, ...]]) -> None:
    """Put the tables in their places."""
    text = PAGE.read_text(encoding="utf-8")
    for tls in (False, True):
        for to in (0, 1):
            text = _replaced(text, _place(tls, to), _cells(seen, tls, to))
    PAGE.write_text(_replaced(text, "kills", _kills(kills)), encoding="utf-8")


def stated() -> Iterator[tuple[Case, str, str]]:
    """Every case with what the page says of it. Raises KeyError where it says nothing."""
    text = PAGE.read_text(encoding="utf-8")
    for tls in (False, True):
        for case in cases(tls):
            found = re.search(_pattern(_place(tls, case.fault.to)), text, re.DOTALL)
            assert found, "the page lacks a table"
            lines = found[2].strip().splitlines()
            header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            table = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}
            server, client = table[case.fault.kind][case.where].split(", ")
            yield case, _long(server), _long(client)


def _place(tls: bool, to: int) -> str:
    return f"{'tls' if tls else 'plain'} to the {'client' if to else 'server'}"


def _cells(seen: Seen, tls: bool, to: int) -> str:
    by_place = {
        (c.fault.kind, c.where): outcome for c, outcome in seen.items() if (c.tls, c.fault.to) == (tls, to)
    }
    messages = [message for message in (TLS if tls else PLAIN)[to] if message]
    lines = ["| fault | " + " | ".join(messages) + " |", "|---|" + "---|" * len(messages)]
    for kind in Kind:
        outcomes = [by_place.get((kind, message)) for message in messages]
        row = [", ".join(map(_short, outcome)) if outcome else _UNNOTICED for outcome in outcomes]
        lines.append(f"| {kind} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _kills(kills: Counter[tuple[str, ...]]) -> str:
    lines = ["| work | killed | party 0 | party 1 | runs |", "|---|---|---|---|--:|"]
    lines += [f"| {' | '.join(map(_short, key))} | {count} |" for key, count in sorted(kills.items())]
    return "\n".join(lines)


def _replaced(text: str, place: str, table: str) -> str:
    changed, count = re.subn(
        _pattern(place), lambda found: f"{found[1]}\n{table}\n{found[3]}", text, flags=re.DOTALL
    )
    assert count == 1, place
    return changed


def _pattern(place: str) -> str:
    return rf"(<!-- {place} -->\n)(.*?)(\n<!-- end of {place} -->)"


def _short(outcome: str) -> str:
    return outcome.removeprefix("MPC-")


def _long(outcome: str) -> str:
    return outcome if outcome == "done" else f"MPC-{outcome}"
