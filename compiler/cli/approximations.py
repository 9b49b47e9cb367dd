"""`mpcc approximations`: what functions can be computed by."""

from __future__ import annotations

import click


@click.command(
    "approximations",
    help="List what can compute FUNCTION, or every function, and the presets. With a range, also what the "
    "compiler fits for it.",
)
@click.argument("function", required=False)
@click.option("--low", type=float, metavar="L", help="Smallest argument, for the compiler's own fits.")
@click.option("--high", type=float, metavar="H", help="Largest argument.")
def approximations_command(function: str | None, low: float | None, high: float | None) -> None:
    from mpcc.compiler.listing import approximations_table, presets_table

    if (low is None) != (high is None) or (low is not None and function is None):
        raise click.UsageError("a range needs FUNCTION, --low and --high")
    extent = None
    if low is not None and high is not None:
        if not low < high:
            raise click.BadParameter(f"the range [{low:g}, {high:g}] is empty", param_hint="'--low'")
        extent = (low, high)
    click.echo(approximations_table(function, extent))
    if function is None:
        click.echo(f"\n{presets_table()}")
