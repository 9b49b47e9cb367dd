"""`mpcc inspect`: the program as text, or the report page."""

from __future__ import annotations

from pathlib import Path

import click

from mpcc.compiler.cli.common import program_argument


@click.command("inspect", help="Show PROG's program, or write its report page.")
@program_argument
@click.option(
    "--stage",
    type=click.Choice(["tensor", "share", "party0", "party1"]),
    help="Show the program at this stage.",
)
@click.option("--html", is_flag=True, help="Write the report page PROG/report.html.")
def inspect_command(program: Path, stage: str | None, html: bool) -> None:
    from mpcc.compiler.inspect import inspect_command as inspect

    click.echo(inspect(program, stage, html))
