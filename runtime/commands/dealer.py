"""`mpcc dealer`: a process that deals to both parties as they ask, over TLS."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from mpcc.runtime.commands.common import (
    PATH,
    AddressType,
    events_option,
    run_command,
    security,
    security_options,
    timeout_option,
)
from mpcc.runtime.events import Events
from mpcc.runtime.transport.tls import Role


@click.command(help="Deal PROG's sessions to both parties as they ask for them, until interrupted.")
@click.argument("program", type=PATH, metavar="PROG")
@click.option("--listen", type=AddressType(), required=True, help="Where the parties ask.")
@click.option(
    "--state", type=PATH, required=True, metavar="FOLDER", help="What must outlive the process; secret."
)
@click.option("--store-key", type=PATH, metavar="FILE", help="Encrypt the seeds in --state with this key.")
@click.option(
    "--sessions",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Deal to so many clients at once; others wait.",
)
@timeout_option
@security_options
@events_option
def dealer_command(**options: Any) -> dict[str, Any]:
    return options


def main(arguments: list[str]) -> int:
    """Deal until SIGTERM or Ctrl-C; returns the exit code."""
    return run_command(dealer_command, arguments, "mpcc dealer", _serve)


def _serve(options: dict[str, Any], events: Events) -> None:
    from mpcc.runtime.dealing.plan import dealing_plan
    from mpcc.runtime.dealing.server import DealerServer
    from mpcc.runtime.dealing.state import DealerState
    from mpcc.runtime.store.sealing import StoreKey
    from mpcc.runtime.transport.tcp import Listener

    folder, operations = dealing_plan(options["program"])
    key = StoreKey.load(options["store_key"]) if options["store_key"] else None
    state = DealerState(options["state"], folder.program_hash, folder.weights_sha256, key)
    with Listener(options["listen"], security(options, Role.DEALER, events)) as listener:
        events.tell("listening", f"listening on port {listener.port}", port=listener.port)
        server = DealerServer(folder, operations, state, options["timeout"], options["sessions"], events)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve(listener)
