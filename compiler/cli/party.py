"""The runtime's own commands, which need nothing of the compiler: their options are read there."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

PASS_THROUGH = {"ignore_unknown_options": True, "allow_interspersed_args": False}


def _runtime_command(name: str, help_text: str, arguments: str) -> click.Command:
    """That of mpcc.runtime.commands.NAME, with `arguments` as its usage line says them."""

    def run(arguments: tuple[str, ...]) -> int:
        module = import_module(f"mpcc.runtime.commands.{name.replace('-', '_')}")
        code: int = module.main(list(arguments))
        return code

    return click.Command(
        name,
        callback=run,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED, metavar=arguments)],
        help=help_text,
        context_settings={**PASS_THROUGH, "help_option_names": []},
    )


deal_command = _runtime_command(
    "deal",
    "Write STORE/party0 and STORE/party1, with the correlations of N sessions of PROG.",
    "PROG --sessions N -o STORE",
)
certificates_command = _runtime_command(
    "certificates", "Make certificates for --tls, for a try-out.", "-o DIR [--host NAME]..."
)
store_key_command = _runtime_command(
    "store-key", "Make a key for a store that is encrypted at rest.", "-o FILE"
)
dealer_command = _runtime_command(
    "dealer",
    "Deal PROG's sessions to both parties as they ask for them, until interrupted.",
    "PROG --listen HOST:PORT --state FOLDER --tls FOLDER",
)
prepare_command = _runtime_command(
    "prepare",
    "Fill a party's store: from a dealer, or together with the other party where there is none.",
    "PROG/partyN --dealer|--listen|--connect HOST:PORT --store STORE --sessions N --tls FOLDER",
)
serve_command = _runtime_command(
    "serve",
    "Serve PROG/party0 to many clients, until SIGTERM or Ctrl-C.",
    "PROG/party0 --listen HOST:PORT --store STORE --tls FOLDER",
)
infer_command = _runtime_command(
    "infer",
    "Ask the server of a program: PROG/party1 on an input.",
    "PROG/party1 --connect HOST:PORT --store STORE --tls FOLDER --input X.npz",
)


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
