"""Coloured on a terminal, the text itself elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def run(arguments: list[str], **environment: str) -> str:
    known = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    command = [sys.executable, "-m", "mpcc.compiler.cli", *arguments]
    return subprocess.run(
        command, env={**known, "TERM": "xterm", **environment}, check=True, capture_output=True, text=True
    ).stdout


def on_a_terminal(arguments: list[str], **environment: str) -> str:
    """What the command writes to a terminal of 24 lines."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "mpcc.compiler.cli", *arguments]
    known = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "PAGER")}
    sizes = {"TERM": "xterm", "LINES": "24", "COLUMNS": "100"}
    with subprocess.Popen(
        command, env={**known, **sizes, **environment}, stdin=follower, stdout=follower, stderr=follower
    ) as process:
        os.close(follower)
        written = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # the terminal's other end is closed
                break
            written += part
        os.close(leader)
    assert process.returncode == 0
    return written.decode().replace("\r\n", "\n")


def test_piped_text_is_the_dump_itself(bert_program: Path) -> None:
    (dump,) = (bert_program / "ir").glob("*assign-rings*")
    arguments = ["inspect", str(bert_program), "--stage", "share"]
    assert run(arguments) == dump.read_text()
    assert run(arguments, FORCE_COLOR="1", NO_COLOR="1") == dump.read_text()
    coloured = run(arguments, FORCE_COLOR="1")
    assert "\x1b[1;31mopen_masked\x1b[0m" in coloured
    legend, _, rest = ESCAPES.sub("", coloured).partition("\n")
    assert rest == dump.read_text()
    assert legend.startswith("# values: public")


def test_a_terminal_gets_colours_and_a_pager_for_what_is_long(bert_program: Path) -> None:
    long = ["inspect", str(bert_program), "--stage", "share"]
    short = ["explain", "r005"]
    pager = "sed s/^/paged:/"
    paged = on_a_terminal(long, PAGER=pager)
    assert paged.count("paged:") > 100
    assert "\x1b[1;31mopen_masked\x1b[0m" in paged
    assert "paged:" not in on_a_terminal(short, PAGER=pager)
    assert "\x1b[1mMPC-R005" in on_a_terminal(short, PAGER=pager)
    assert "\x1b[" not in on_a_terminal(short, NO_COLOR="1")
