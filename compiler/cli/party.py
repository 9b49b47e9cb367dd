"""`mpcc deal` and `mpcc party`: the runtime's own commands, which need nothing of the compiler."""

from __future__ import annotations

from pathlib import Path

import click

PASS_THROUGH = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(
    "deal",
    help="Write STORE/party0 and STORE/party1, with the correlations of N sessions of PROG.",
    context_settings={**PASS_THROUGH, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="PROG --sessions N -o STORE")
def deal_command(arguments: tuple[str, ...]) -> int:
    from mpcc.runtime.commands.deal import main

    return main(list(arguments))


@click.command(
    "party",
    help="Run one party: the same as PROG/party0/run or PROG/party1/run.",
    context_settings=PASS_THROUGH,
)
@click.argument("folder", type=click.Path(path_type=Path), metavar="PROG/partyN")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS]...")
def party_command(folder: Path, arguments: tuple[str, ...]) -> int:
    from mpcc.runtime.commands.party import main

    return main(folder, list(arguments))
