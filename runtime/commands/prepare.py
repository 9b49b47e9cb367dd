"""`mpcc prepare`: fills a party's store from a dealer, ahead of time."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from mpcc.runtime.commands.common import (
    PATH,
    AddressType,
    events_option,
    open_or_create_store,
    run_command,
    security,
    security_options,
    store_options,
    timeout_option,
)
from mpcc.runtime.events import Events
from mpcc.runtime.transport.tls import Role


@click.command(help="Fill a party's store from a dealer: ahead of time, or (--keep) as long as this runs.")
@click.argument("folder", type=PATH, metavar="PROG/partyN")
@click.option("--dealer", type=AddressType(), required=True, help="Where `mpcc dealer` listens.")
@click.option(
    "--sessions",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Party 1: until the store has so many unused. Party 0 takes its part of what party 1 was given.",
)
@click.option("--keep", is_flag=True, help="Go on: fill the store again when it runs low.")
@click.option(
    "--low-water",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="With --keep, party 1: fill the store when it has no more than so many unused.",
)
@store_options
@click.option(
    "--bulk", metavar="URL", help="A new store's sessions' files lie there (fsspec); its index stays local."
)
@timeout_option
@security_options
@events_option
def prepare_command(**options: Any) -> dict[str, Any]:
    return options


def main(arguments: list[str]) -> int:
    """Prepare; returns the exit code."""
    return run_command(prepare_command, arguments, "mpcc prepare", _prepare)


def _prepare(options: dict[str, Any], events: Events) -> None:
    from mpcc.runtime.dealing.keeper import Keeper, Water
    from mpcc.runtime.dealing.supply import Dealer, collect, fill
    from mpcc.runtime.program_folder import load_party_folder

    folder = load_party_folder(options["folder"])
    secured = security(options, Role.of_party(folder.party), events)
    water = Water(options["low_water"], options["sessions"]) if options["keep"] else None
    store = open_or_create_store(options, folder)
    dealer = Dealer(options["dealer"], secured, options["timeout"])
    if water:
        with (
            contextlib.suppress(KeyboardInterrupt),
            Keeper(folder, store, dealer, water, events.failed) as keeper,
        ):
            events.tell("keeping", f"keeping the store of party {folder.party} supplied; Ctrl-C ends it")
            keeper.join()
    elif folder.party == 0:
        collect(folder, store, dealer)
    else:
        fill(
            folder,
            store,
            dealer,
            options["sessions"],
            lambda done, total: events.progress("dealing", done, total),
        )
    unused = store.count_unused()
    events.tell("prepared", f"{unused} unused sessions in {options['store']}", unused=unused)
