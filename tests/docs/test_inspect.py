"""The commands of docs/inspect.md, in its order.

python -m tests.docs.test_inspect PROG      draws docs/images/inspect.svg from the program of that page
"""

from __future__ import annotations

import io
import re
import shlex
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from mpcc.compiler.cli import main
from mpcc.compiler.inspect import inspect_command
from mpcc.compiler.inspection.colours import LEGEND, Colours

DOCS = Path(__file__).parents[2] / "docs"
PICTURE = DOCS / "images/inspect.svg"
SHOWN = ("--diff", "lower", "--node", "node_softmax")
WIDTH = 132


def test_the_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "examples").symlink_to(DOCS.parent / "examples")
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "inspect.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    mpcc (.+?)(?:   +.*)?$", page, re.M)
    assert len(commands) == 16
    for command in commands:
        assert main(shlex.split(command)) == 0, command
        assert capsys.readouterr().out.strip(), command


def draw(program: Path) -> str:
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    colours = Colours()
    text = inspect_command(program, None, False, SHOWN[1], [SHOWN[3]])
    for line in [LEGEND, *map(colours.line, text.split("\n"))]:
        console.print(Text.assemble(*line), no_wrap=True, overflow="ellipsis", crop=True, highlight=False)
    drawing = console.export_svg(title=f"mpcc inspect digits_program {' '.join(SHOWN)}", unique_id="inspect")
    local = re.sub(r"\s*@font-face \{.*?\}", "", drawing, flags=re.DOTALL)  # fonts that it would fetch
    return re.sub(r"\s*<!-- .*? -->", "", local).replace("Fira Code, monospace", "monospace")


if __name__ == "__main__":
    PICTURE.write_text(draw(Path(sys.argv[1])), encoding="utf-8")
