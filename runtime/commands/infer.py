"""`mpcc infer`: party 1 asks a server once; the same as PROG/party1/run, with the outputs on the screen."""

from __future__ import annotations

from typing import Any

import click

from mpcc.runtime.arrays_file import describe
from mpcc.runtime.commands.common import PATH, run_command
from mpcc.runtime.commands.party import client_options, infer
from mpcc.runtime.events import Events
from mpcc.runtime.prepare import Prepare, prepared_program


@click.command(help="Ask the server of a program: PROG/party1 on an input.")
@click.argument("folder", type=PATH, metavar="PROG/party1")
@client_options
@click.option("--output", type=PATH, help="Write the outputs by name (.npz), too.")
def infer_command(**options: Any) -> dict[str, Any]:
    return options


def main(arguments: list[str], prepare: Prepare = prepared_program) -> int:
    """Ask; returns the exit code. Tests give a `prepare` of their own."""

    def act(options: dict[str, Any], events: Events) -> None:
        for name, array in infer(options["folder"], prepare, options, events).items():
            click.echo(describe(name, array))

    return run_command(infer_command, arguments, "mpcc infer", act)
