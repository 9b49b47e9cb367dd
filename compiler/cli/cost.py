"""`mpcc cost`: what a run of a program will cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mpcc.compiler.cli.common import network_option, program_argument

if TYPE_CHECKING:
    from mpcc.compiler.cost.network import Network


@click.command(
    "cost", help="Predict rounds and bytes (exactly), seconds and memory (roughly), by layer and operation."
)
@program_argument
@network_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cost_command(program: Path, network: Network, as_json: bool) -> None:
    from mpcc.compiler.cost.report import cost_json, cost_text

    click.echo(cost_json(program, network) if as_json else cost_text(program, network))
