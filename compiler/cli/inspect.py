"""`mpcc inspect`: the program as text, or the report page."""

from __future__ import annotations

from pathlib import Path

import click

from mpcc.compiler.cli.common import program_argument


@click.command(
    "inspect",
    help="Show what PROG costs and what each party learns, its program at a stage, what a pass changed, or "
    "what became of an ONNX node; or write its report page. Coloured on a terminal.",
)
@program_argument
@click.option(
    "--stage",
    type=click.Choice(["tensor", "share", "party0", "party1"]),
    help="Show the program at this stage.",
)
@click.option(
    "--diff",
    "changed_by",
    is_flag=False,
    flag_value="",
    metavar="[PASS]",
    help="Show what a pass changed. Without PASS: the passes, and why each is there.",
)
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="TEXT",
    help="Show what becomes of the ONNX nodes whose names have TEXT in them, or match it where it has * or "
    "?; with --stage or --diff, these only. Repeatable.",
)
@click.option("--html", is_flag=True, help="Write the report page PROG/report.html.")
def inspect_command(
    program: Path, stage: str | None, changed_by: str | None, nodes: tuple[str, ...], html: bool
) -> None:
    if sum((stage is not None, changed_by is not None, html)) > 1 or (html and nodes):
        raise click.UsageError("give one of --stage, --diff and --html; --node goes with the first two")
    from mpcc.compiler.cli.screen import show
    from mpcc.compiler.inspect import inspect_command as inspect

    show(inspect(program, stage, html, changed_by, nodes))
