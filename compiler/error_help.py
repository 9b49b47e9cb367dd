"""`mpcc explain`: what an error code means and what to do, from docs/troubleshooting.md."""

from __future__ import annotations

import difflib
import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mpcc.ir.diagnostics import MpccError

# Beside this package's `compiler` folder, in a checkout and where it is installed.
PAGE = Path(__file__).resolve().parent.parent / "docs" / "troubleshooting.md"
WIDTH, SUGGESTED = 100, 4
_ROOM = re.compile(r"## ([A-Z]): (.+)")
_ROW = re.compile(r"\| (MPC-[A-Z]\d{3}) \| (.+?) \| (.+) \|")
_DETAIL = re.compile(r"### (MPC-[A-Z]\d{3})\b")
_ASKED = re.compile(r"(?:MPC[-_ ]?)?([A-Z])[-_ ]?(\d{1,3})", re.IGNORECASE)


@dataclass(frozen=True)
class Help:
    """One code: the title of its room, its row of the page, and the section about it, which may be empty."""

    code: str
    room: str
    cause: str
    remedy: str
    detail: str


@cache
def error_help() -> dict[str, Help]:
    """All codes, in the page's order. Raises MPC-C067 when the page is not there."""
    try:
        lines = PAGE.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise MpccError(
            "MPC-C067",
            "the page that explains the error codes is missing",
            where=str(PAGE),
            remedy="install mpcc again: pip install .",
        ) from None
    room, rows, details = "", [], dict[str, list[str]]()
    section: list[str] = []
    for line in lines:
        if line.startswith("#"):
            section = []
        if found := _ROOM.fullmatch(line):
            room = f"{found[1]}: {found[2]}"
        elif found := _ROW.fullmatch(line):
            rows.append((room, found))
        elif found := _DETAIL.match(line):
            details[found[1]] = section
        else:
            section.append(line)
    return {
        row[1]: Help(row[1], room, row[2], row[3], "\n".join(details.get(row[1], ())).strip())
        for room, row in rows
    }


def explain_code(asked: str | None) -> str:
    """What is known about a code, also written `r005`, as text; all codes by room without one, or those of a
    room for its letter. Raises MPC-C065 with the nearest codes for an unknown one.
    """
    known = error_help()
    if asked is None or (len(asked) == 1 and any(h.room.startswith(asked.upper()) for h in known.values())):
        return _listed([h for h in known.values() if asked is None or h.room[0] == asked.upper()])
    parts = _ASKED.fullmatch(asked.strip())
    code = f"MPC-{parts[1].upper()}{parts[2]:0>3}" if parts else asked.strip().upper()
    if code not in known:
        near = _nearest(code, known)
        raise MpccError(
            "MPC-C065",
            f"there is no error code {asked}",
            remedy=f"the nearest are {', '.join(near)}" if near else "mpcc explain lists all codes",
        )
    return _explained(known[code], known)


def has_detail(code: str) -> bool:
    """Whether `mpcc explain` says more about a code than its error does."""
    try:
        return code in error_help() and bool(error_help()[code].detail)
    except MpccError:
        return False


def _nearest(code: str, known: dict[str, Help]) -> list[str]:
    """Of the same room by number, if there is such a room."""
    room, number = code[:5], code[5:]
    if number.isdigit() and (codes := [c for c in known if c.startswith(room)]):
        return sorted(codes, key=lambda c: abs(int(c[5:]) - int(number)))[:SUGGESTED]
    return difflib.get_close_matches(code, known, SUGGESTED)


def _explained(entry: Help, known: dict[str, Help]) -> str:
    lines = [f"{entry.code}: {entry.cause}", "", *_wrapped("What to do: ", entry.remedy)]
    for code in dict.fromkeys(re.findall(r"MPC-[A-Z]\d{3}", entry.remedy)):
        lines += _wrapped(f"  {code}: ", f"{known[code].cause}. {known[code].remedy}")
    return "\n".join([*lines, *(["", entry.detail] if entry.detail else []), "", f"({entry.room})"])


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(label + text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _listed(entries: list[Help]) -> str:
    lines = []
    for room in dict.fromkeys(h.room for h in entries):
        lines += [room, ""]
        lines += [f"  {h.code}  {h.cause}" for h in entries if h.room == room] + [""]
    return "\n".join([*lines, "mpcc explain CODE says what to do"])
