"""`mpcc deal`: the dealer's command line, also run as `python -m mpcc.runtime.commands.deal`."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from mpcc.runtime.commands.common import PATH, events_option, run_command
from mpcc.runtime.events import Events
from mpcc.runtime.store.sealing import StoreKey


@click.command(help="Write STORE/party0 and STORE/party1, with the correlations of N sessions of PROG.")
@click.argument("program", type=PATH, metavar="PROG")
@click.option("-o", "--output", type=PATH, required=True, metavar="STORE")
@click.option("--sessions", type=click.IntRange(min=1), required=True, metavar="N")
@click.option(
    "--store-key0",
    type=PATH,
    metavar="FILE",
    help="Encrypt STORE/party0 with this key, party 0's own: see mpcc store-key.",
)
@click.option(
    "--store-key1",
    type=PATH,
    metavar="FILE",
    help="Encrypt STORE/party1 with this key, party 1's own.",
)
@events_option
def deal_command(**options: Any) -> dict[str, Any]:
    return options


def main(arguments: list[str]) -> int:
    """Deal; returns the exit code."""
    return run_command(deal_command, arguments, "mpcc deal", _deal)


def _deal(options: dict[str, Any], events: Events) -> None:
    from mpcc.runtime.dealing.offline import deal_sessions

    sessions, store = options["sessions"], options["output"]
    keys = [StoreKey.load(path) if path else None for path in (options["store_key0"], options["store_key1"])]
    started = time.perf_counter()
    deal_sessions(
        options["program"],
        sessions,
        store,
        lambda done, total: events.progress("dealing", done, total),
        (keys[0], keys[1]),
    )
    seconds = time.perf_counter() - started
    events.tell("dealt", f"dealt {sessions} sessions to {store} in {seconds:.2f} s", seconds=seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
