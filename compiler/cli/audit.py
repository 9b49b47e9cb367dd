"""`mpcc audit`: who learns what."""

from __future__ import annotations

from pathlib import Path

import click

from mpcc.compiler.cli.common import program_argument


@click.command("audit", help="List what each party learns: every opened value, and why.")
@program_argument
def audit_command(program: Path) -> None:
    from mpcc.compiler.audit import audit

    click.echo(audit(program))
