"""Text for whoever reads it: coloured and by pages on a terminal, plain where it is piped."""

from __future__ import annotations

import sys
from functools import cache
from itertools import groupby
from operator import itemgetter

import click
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

from mpcc.compiler.inspection.colours import LEGEND, Colours, Pieces

_SYSTEMS = {
    "standard": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
    "windows": ColorSystem.WINDOWS,
}


def show(text: str) -> None:
    """Print a program or a report. Piped, or with NO_COLOR, it is the text itself; FORCE_COLOR colours also
    what is piped.
    """
    console = Console()
    system = _SYSTEMS.get(console.color_system or "")
    if system is None or console.no_color:
        click.echo(text)
        return
    colours = Colours()
    lines = [colours.line(line) for line in text.split("\n")]
    if colours.used:
        lines.insert(0, LEGEND)
    coloured = "\n".join(_escaped(line, system) for line in lines)
    if sys.stdout.isatty() and len(lines) >= console.height:
        click.echo_via_pager(f"{coloured}\n", color=True)
    else:
        click.echo(coloured, color=True)


def _escaped(pieces: Pieces, system: ColorSystem) -> str:
    texts = []
    for words, run in groupby(pieces, key=itemgetter(1)):
        text = "".join(part for part, _ in run)
        texts.append(_style(words).render(text, color_system=system) if words else text)
    return "".join(texts)


@cache
def _style(words: str) -> Style:
    return Style.parse(words)
