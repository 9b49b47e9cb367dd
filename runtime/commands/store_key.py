"""`mpcc store-key`: a key for a store that is encrypted at rest."""

from __future__ import annotations

from typing import Any

import click

from mpcc.runtime.commands.common import PATH, events_option, run_command
from mpcc.runtime.events import Events
from mpcc.runtime.store.sealing import StoreKey


@click.command(help="Write a new key for one party's store: 32 random bytes that only you may read.")
@click.option("-o", "--output", type=PATH, required=True, metavar="FILE")
@events_option
def store_key_command(**options: Any) -> dict[str, Any]:
    return options


def main(arguments: list[str]) -> int:
    """Make a key; returns the exit code."""
    return run_command(store_key_command, arguments, "mpcc store-key", _make)


def _make(options: dict[str, Any], events: Events) -> None:
    StoreKey.write(options["output"])
    events.tell(
        "key",
        f"wrote {options['output']}: give it with --store-key, keep it apart from the store and its backups, "
        "and never give it to the other party",
    )
