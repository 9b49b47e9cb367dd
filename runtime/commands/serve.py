"""`mpcc serve`: party 0 for many clients."""

from __future__ import annotations

import contextlib
import math
import re
from typing import Any

import click

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.commands.common import (
    PATH,
    AddressType,
    SecondsType,
    events_option,
    open_or_create_store,
    open_store,
    run_command,
    security,
    security_options,
    store_options,
    timeout_option,
)
from mpcc.runtime.commands.party import dealer_option, server_inputs
from mpcc.runtime.correlation_source import require_dealer
from mpcc.runtime.events import Events
from mpcc.runtime.handshake import Limits
from mpcc.runtime.prepare import Prepare, prepared_program, workshop_of
from mpcc.runtime.program_folder import PartyFolder, load_folder_of_party
from mpcc.runtime.transport.stream import LONGEST_TIMEOUT
from mpcc.runtime.transport.tls import Role

_UNITS = {"": 0, "K": 10, "M": 20, "G": 30}


class BytesType(click.ParamType[int]):
    """A number of bytes: 500000000, 500M or 2G."""

    name = "BYTES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,15})([KMG]?)", str(value).upper())
        if not found:
            self.fail(f"{value!r} is no number of bytes, such as 500000000, 500M or 2G", param, ctx)
        return int(found[1]) << _UNITS[found[2]]


@click.command(help="Serve PROG/party0 to many clients, until SIGTERM or Ctrl-C.")
@click.argument("folder", type=PATH, metavar="PROG/party0")
@click.option("--listen", type=AddressType(), required=True, help="Where to wait for clients.")
@store_options
@dealer_option
@security_options
@click.option("--weights", type=PATH, help="The weights file, if it is not in the folder.")
@click.option("--input", type=PATH, help="This party's inputs by name (.npz), the same for every session.")
@click.option(
    "--sessions", type=click.IntRange(min=1), default=4, show_default=True, help="Serve so many at once."
)
@click.option(
    "--queue", type=click.IntRange(min=0), default=16, show_default=True, help="Let so many more wait."
)
@click.option(
    "--session-memory",
    type=BytesType(),
    help="Keep each session to so many bytes (500M, 2G): less is expanded ahead, and it is slower.",
)
@click.option(
    "--session-seconds",
    type=SecondsType(0, min_open=True),
    default=math.inf,
    help="End a session that takes longer.  [default: no limit]",
)
@click.option(
    "--grace",
    type=SecondsType(0, LONGEST_TIMEOUT),
    default=30.0,
    show_default=True,
    help="Seconds that running sessions have to end when the server is stopped.",
)
@click.option(
    "--status",
    type=AddressType(),
    help="Answer /healthz and /metrics (Prometheus) here; `:9000` is this machine alone.",
)
@click.option(
    "--most-unused",
    type=click.IntRange(min=0),
    default=16,
    show_default=True,
    help="Without a dealer: prepare sessions with clients that ask for it, until so many are unused.",
)
@click.option("--log", type=PATH, metavar="FILE", help="Append JSON lines here; else they go to stderr.")
@timeout_option
@events_option
def serve_command(**options: Any) -> dict[str, Any]:
    return options


def main(arguments: list[str], prepare: Prepare = prepared_program) -> int:
    """Serve; returns the exit code. Tests give a `prepare` of their own."""
    return run_command(
        serve_command, arguments, "mpcc serve", lambda options, events: _serve(prepare, options)
    )


def _serve(prepare: Prepare, options: dict[str, Any]) -> None:
    from mpcc.runtime.dealing.keeper import Keeper, Water
    from mpcc.runtime.dealing.supply import Dealer
    from mpcc.runtime.serving.log import LogEvents, open_log
    from mpcc.runtime.serving.server import Served, Server
    from mpcc.runtime.serving.status import StatusServer
    from mpcc.runtime.transport.tcp import Listener

    folder = load_folder_of_party(options["folder"], 0, options["weights"])
    _refuse_outputs(folder)
    if options["dealer"]:
        require_dealer(folder)
    inputs = server_inputs(folder, options["input"])
    prepared = prepare(folder)
    if options["session_memory"] is not None:
        prepared.limit_session(options["session_memory"])
    log = open_log(options["log"]).bind(program=folder.program_hash[:12])
    events: Events = LogEvents(log)
    secured = security(options, Role.PARTY0, events)
    limits = Limits(options["timeout"], options["session_seconds"])
    sessions = options["sessions"]
    opening = open_or_create_store if options["dealer"] or folder.two_party else open_store
    with contextlib.closing(opening(options, folder)) as store:
        prepared.load_weights()
        with Listener(options["listen"], secured) as listener, contextlib.ExitStack() as stack:
            workshop = workshop_of(folder, prepared, None)
            served = Served(folder, prepared.execute, inputs, store, workshop, options["most_unused"])
            server = Server(served, listener, limits, sessions, options["queue"], log)
            if options["dealer"]:
                dealer = Dealer(options["dealer"], secured, options["timeout"])
                stack.enter_context(Keeper(folder, store, dealer, Water(0, 1), events.failed))
            if options["status"]:
                status = stack.enter_context(StatusServer(options["status"], server.health, server.metrics))
                log.info("status", port=status.port)
            with contextlib.suppress(KeyboardInterrupt):
                server.start()
                log.info(
                    "listening",
                    port=listener.port,
                    unused=store.count_unused(),
                    sessions=sessions,
                    bytes_each=prepared.session_bytes,
                )
                server.wait()
            with contextlib.suppress(KeyboardInterrupt):
                try:
                    server.close(options["grace"])
                except KeyboardInterrupt:  # a second one: without grace
                    server.close(0.0)


def _refuse_outputs(folder: PartyFolder) -> None:
    """Raises MPC-R083."""
    names = [spec.name for spec in folder.outputs if spec.reveal != "party1"]
    if names:
        raise MpccError(
            "MPC-R083",
            f"the program gives party 0 outputs, which a server of many clients has no place for: "
            f"{', '.join(names)}",
            remedy="run PROG/party0/run for one client, with --output",
        )
