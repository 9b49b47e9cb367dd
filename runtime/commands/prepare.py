"""`mpcc prepare`: fills a party's store ahead of time, from a dealer or together with the other party."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from mpcc.runtime.commands.common import (
    PATH,
    AddressType,
    events_option,
    moved,
    open_or_create_store,
    progress_of,
    run_command,
    security,
    security_options,
    store_options,
    timeout_option,
)
from mpcc.runtime.correlation_source import require_dealer, require_two_party
from mpcc.runtime.dealing.keeper import Keeper, Water
from mpcc.runtime.dealing.supply import Dealer, collect, fill
from mpcc.runtime.events import Events
from mpcc.runtime.handshake import Limits, Purpose, greet
from mpcc.runtime.peak_memory import peak_memory_bytes
from mpcc.runtime.prepare import Prepare, prepared_program, workshop_of
from mpcc.runtime.program_folder import PartyFolder, load_party_folder
from mpcc.runtime.session import telling
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.tcp import Listener, connect
from mpcc.runtime.transport.tls import Role, Security
from mpcc.runtime.two_party.preparation import prepare_sessions

_SOURCES = ("dealer", "listen", "connect")


@click.command(
    help="Fill a party's store: from a dealer, ahead of time or (--keep) as long as this runs; or, where a "
    "program has no dealer, together with the other party."
)
@click.argument("folder", type=PATH, metavar="PROG/partyN")
@click.option("--dealer", type=AddressType(), help="Where `mpcc dealer` listens.")
@click.option("--listen", type=AddressType(), help="Party 0, without a dealer: where to wait for party 1.")
@click.option(
    "--connect",
    type=AddressType(),
    help="Party 1, without a dealer: where party 0 listens, with mpcc prepare or mpcc serve.",
)
@click.option(
    "--sessions",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Party 1: until the store has so many unused, in common with party 0's. Party 0 makes no more than "
    "so many; from a dealer it takes its part of what party 1 was given.",
)
@click.option("--keep", is_flag=True, help="With --dealer, go on: fill the store again when it runs low.")
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
@click.option("--weights", type=PATH, help="Party 0: the weights file, if it is not in the folder.")
@timeout_option
@security_options
@events_option
def prepare_command(**options: Any) -> dict[str, Any]:
    return options


def main(arguments: list[str], prepare: Prepare = prepared_program) -> int:
    """Prepare; returns the exit code. Tests give a `prepare` of their own."""
    return run_command(
        prepare_command, arguments, "mpcc prepare", lambda options, events: _prepare(prepare, options, events)
    )


def _prepare(prepare: Prepare, options: dict[str, Any], events: Events) -> None:
    folder = load_party_folder(options["folder"], options["weights"])
    _check(folder, options)
    secured = security(options, Role.of_party(folder.party), events)
    water = Water(options["low_water"], options["sessions"]) if options["keep"] else None
    with contextlib.closing(open_or_create_store(options, folder)) as store:
        if options["dealer"]:
            _from_dealer(folder, store, secured, water, options, events)
        else:
            _with_other_party(prepare, folder, store, secured, options, events)
        unused = store.count_unused()
    events.tell("prepared", f"{unused} unused sessions in {options['store']}", unused=unused)


def _check(folder: PartyFolder, options: dict[str, Any]) -> None:
    """Raises MPC-R074, MPC-R075, UsageError."""
    if options["dealer"]:
        require_dealer(folder)
    elif options["listen"] or options["connect"]:
        require_two_party(folder)
    due = ("listen", "connect")[folder.party] if folder.two_party else "dealer"
    if [name for name in _SOURCES if options[name]] != [due]:
        raise click.UsageError(f"Party {folder.party} of this program prepares with '--{due}'.")
    if options["keep"] and not options["dealer"]:
        raise click.UsageError("'--keep' goes with '--dealer'.")


def _from_dealer(
    folder: PartyFolder,
    store: Store,
    secured: Security,
    water: Water | None,
    options: dict[str, Any],
    events: Events,
) -> None:
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
        fill(folder, store, dealer, options["sessions"], progress_of(events, "dealing"))


def _with_other_party(
    prepare: Prepare,
    folder: PartyFolder,
    store: Store,
    secured: Security,
    options: dict[str, Any],
    events: Events,
) -> None:
    timeout, sessions = options["timeout"], options["sessions"]
    workshop = workshop_of(folder, prepare(folder), progress_of(events, "preparing"))
    assert workshop is not None
    if folder.party == 0:
        with Listener(options["listen"], secured) as listener:
            events.tell("listening", f"listening on port {listener.port}", port=listener.port)
            channel = listener.accept(timeout).channel(timeout, frozenset([Role.PARTY1]))
    else:
        channel = connect(options["connect"], timeout, secured, Role.PARTY0)
    with telling(channel):
        greeting = greet(channel, folder, Limits(timeout), Purpose.PREPARE)
        preparation = prepare_sessions(channel, folder.party, store, workshop, greeting, sessions)
    made, counters = preparation.made, preparation.counters
    less = f" of {preparation.missing} that are missing: party 0 makes no more at once"
    events.tell(
        "made",
        f"prepared {made} sessions{less if made < preparation.missing else ''}: {moved(counters)}",
        made=made,
        missing=preparation.missing,
        rounds=counters.rounds,
        bytes_sent=counters.bytes_sent,
        bytes_received=counters.bytes_received,
        seconds=counters.seconds,
        peak_memory_bytes=peak_memory_bytes(),
    )
