"""`mpcc explain`: an error code's meaning and remedy."""

from __future__ import annotations

import click


@click.command(
    "explain", help="Say what an error CODE such as MPC-R005 means and what to do. Without it: all codes."
)
@click.argument("code", required=False)
def explain_command(code: str | None) -> None:
    from mpcc.compiler.cli.screen import show
    from mpcc.compiler.error_help import explain_code

    show(explain_code(code))
