"""Program texts and reports in colour: who knows a value, what is opened, where it came from.

The text itself is not changed: joined, the pieces are the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mpcc.compiler.inspection.lines import SOURCES
from mpcc.ir.dialects import operations_of
from mpcc.ir.dialects.base import VIEW_ATTRIBUTES
from mpcc.ir.dialects.party import START
from mpcc.ir.program import Stage

Pieces = list[tuple[str, str]]  # text and its style, in the words of the library rich

SERVER, CLIENT, PUBLIC = "bright_blue", "cyan", "green"
SHARED, BOOLEAN, OPENED = "magenta", "yellow", "red"
OPENS, REVEALS = "bold red", "bold white on red"
NODE, TITLE, COMMENT = "dim", "bold", "dim"
SIGNS = {"+": "bold green", "-": "bold red", "~": "bold yellow"}
KNOWN_TO = {
    "public": PUBLIC,
    "party0": SERVER,
    "private0": SERVER,
    "party1": CLIENT,
    "private1": CLIENT,
    "secret": SHARED,
    "share": SHARED,
    "bits": BOOLEAN,
    "masked": OPENED,
    "masked_bits": OPENED,
    "served": OPENED,
}
LEGEND: Pieces = [
    ("# values: ", COMMENT),
    ("public", PUBLIC),
    ("  ", ""),
    ("party 0's", SERVER),
    ("  ", ""),
    ("party 1's", CLIENT),
    ("  ", ""),
    ("shared", SHARED),
    ("  ", ""),
    ("shared bits", BOOLEAN),
    ("  ", ""),
    ("opened under a mask", OPENED),
    ("   operations: ", COMMENT),
    ("opens", OPENS),
    ("  ", ""),
    ("reveals", REVEALS),
    ("   ", ""),
    ("from ONNX node", NODE),
]

_TOKEN = re.compile(
    r"""(?P<comment>\#.*)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<value>%[A-Za-z0-9_.]+)
    |(?P<type>(?:tensor<(?P<visibility>\w+)|(?P<sharing>[a-z]\w*)<)[^>]*>)
    |(?P<word>[A-Za-z_][A-Za-z0-9_.]*)
    |(?P<brace>[{}])
    |(?P<other>.)""",
    re.VERBOSE,
)
_PROGRAM_LINE = re.compile(r'(?:  )?(?:%|program "|output "|exchange \{|# |\}$)')
_LABELLED_LINE = re.compile(r"  tensor +(?=%)")
_NEIGHBOUR_LINE = re.compile(r"  # (?=%)")
_SIGNED_LINE = re.compile(r"    ([-+~]) (?=%)")
_TITLE_LINE = re.compile(r"[^ |-]|  \S.*\(node ")
_OPENING = {kind: getattr(c, "opens", None) for kind, c in operations_of(Stage.SHARE).items()}
_QUIET = (*VIEW_ATTRIBUTES, "concat", *SOURCES)


class Colours:
    """Styles for the lines of one text, in order; it remembers who knows the values that were defined."""

    def __init__(self) -> None:
        self._styles: dict[str, str] = {}
        self._removed: dict[str, str] = {}  # the earlier program's values can have the same names

    @property
    def used(self) -> bool:
        """Whether a line said who knows a value: then the text needs the legend."""
        return bool(self._styles or self._removed)

    def line(self, text: str) -> Pieces:
        """A line of a program, of a difference or of a report, in pieces."""
        if signed := _SIGNED_LINE.match(text):
            styles = self._removed if signed[1] == "-" else self._styles
            return [(signed[0], SIGNS[signed[1]]), *_program(text[signed.end() :], styles)]
        if labelled := _LABELLED_LINE.match(text):
            return [(labelled[0], ""), *_program(text[labelled.end() :], self._styles)]
        if neighbour := _NEIGHBOUR_LINE.match(text):
            list(_program(text[neighbour.end() :], self._styles))  # for the styles of what it defines
            return [(text, COMMENT)]
        if _PROGRAM_LINE.match(text):
            return list(_program(text, self._styles))
        return [(text, TITLE if _TITLE_LINE.match(text) else "")]


def _program(text: str, styles: dict[str, str]) -> Iterator[tuple[str, str]]:
    """One operation, header, output or comment. `styles` are those of values, and get this line's."""
    tokens = list(_TOKEN.finditer(text))
    equals = next((i for i, t in enumerate(tokens) if t[0] == "="), 0)
    results = [t["value"] for t in tokens[:equals] if t["value"]]
    types = [_type_style(t) for t in tokens if t["type"]]
    styles.update(zip(results, types, strict=False))
    depth, kind_seen, nodes = 0, False, False
    for token in tokens:
        part = token[0]
        if token["brace"]:
            depth += 1 if part == "{" else -1
        if nodes or token["comment"]:
            yield part, NODE
        elif token["value"]:
            yield part, styles.get(part, "")
        elif token["type"]:
            yield part, _type_style(token)
        elif token["word"] and depth == 0:
            nodes = part == "from"
            yield part, NODE if nodes else "" if kind_seen else _kind_style(part)
            kind_seen = True
        else:
            yield part, ""


def _type_style(token: re.Match[str]) -> str:
    return KNOWN_TO.get(token["visibility"] or token["sharing"], "")


def _kind_style(kind: str) -> str:
    opens = _OPENING.get(kind.removeprefix(START))
    return REVEALS if opens == "reveal" else OPENS if opens else "" if kind in _QUIET else "bold"
