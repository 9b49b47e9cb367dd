"""What the two party executables do: PROG/party0/run serves, PROG/party1/run asks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.range_checks import refuse_exceeded
from mpcc.runtime.arrays_file import Arrays, check_writable, read_inputs, write_outputs
from mpcc.runtime.client import Server, ask
from mpcc.runtime.commands.common import (
    FAILURE,
    PATH,
    AddressType,
    Command,
    events_option,
    moved,
    progress_of,
    run_command,
    security,
    security_options,
    store_for_runs,
    store_options,
    timeout_option,
)
from mpcc.runtime.correlation_source import require_dealer
from mpcc.runtime.events import Events
from mpcc.runtime.handshake import Limits
from mpcc.runtime.prepare import Prepare, prepared_program, workshop_of
from mpcc.runtime.program_folder import PartyFolder, load_folder_of_party, read_manifest
from mpcc.runtime.report import party_report, write_report
from mpcc.runtime.session import SessionResult, run_session
from mpcc.runtime.sources import client_inputs
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.tcp import Listener
from mpcc.runtime.transport.tls import Role, Security

_report = click.option("--report", type=PATH, help="Write this party's counters to a JSON file.")
_profile = click.option(
    "--profile", is_flag=True, hidden=True, help="With --report: the spans of the online phase, too."
)
dealer_option = click.option(
    "--dealer", type=AddressType(), help="Where `mpcc dealer` listens: the store is filled from there."
)


@click.command(help="Party 0, the server: holds the weights and serves one client. (Many: mpcc serve.)")
@click.option("--listen", type=AddressType(), required=True, help="Where to wait for party 1.")
@store_options
@click.option("--weights", type=PATH, help="The weights file, if it is not in the folder.")
@click.option("--input", type=PATH, help="This party's inputs by name (.npz), if the program has any.")
@click.option("--output", type=PATH, help="Where to write outputs revealed to this party (.npz).")
@security_options
@timeout_option
@_report
@_profile
@events_option
def _server_command(**options: Any) -> dict[str, Any]:
    return options


def client_options(command: Command) -> Command:
    """Those of party 1, read by `infer`; --output apart."""
    for option in reversed(
        (
            click.option("--connect", type=AddressType(), required=True, help="Where party 0 listens."),
            store_options,
            click.option("--input", type=PATH, required=True, help="Inputs by name (.npz)."),
            security_options,
            dealer_option,
            timeout_option,
            _report,
            _profile,
            events_option,
        )
    ):
        command = option(command)
    return command


@click.command(help="Party 1, the client: holds the input and gets the output.")
@client_options
@click.option("--output", type=PATH, required=True, help="Where to write the outputs (.npz).")
def _client_command(**options: Any) -> dict[str, Any]:
    return options


def main(folder: Path, arguments: list[str], prepare: Prepare = prepared_program) -> int:
    """Run the party whose folder this is; returns the exit code. Tests give a `prepare` of their own."""
    try:
        party = read_manifest(folder).get("party")
    except MpccError as error:
        print(error.render(), file=sys.stderr)
        return FAILURE

    def act(options: dict[str, Any], events: Events) -> None:
        (infer if party == 1 else _serve)(folder, prepare, options, events)

    command = _client_command if party == 1 else _server_command
    return run_command(command, arguments, f"{folder.name}/run", act)


def server_inputs(program: PartyFolder, path: Path | None) -> Arrays | None:
    """Party 0's own inputs, if the program was compiled with any. Raises MPC-R030..R036."""
    if path:
        return read_inputs(path, program.inputs)
    if program.inputs:
        names = ", ".join(spec.name for spec in program.inputs)
        raise MpccError("MPC-R031", f"this party must give: {names}", remedy="give them with --input X.npz")
    return None


def _serve(folder: Path, prepare: Prepare, options: dict[str, Any], events: Events) -> None:
    secured = security(options, Role.PARTY0, events)
    program = load_folder_of_party(folder, 0, options["weights"])
    inputs = server_inputs(program, options["input"])
    for path in (options["output"], options["report"]):
        if path:
            check_writable(path)
    timeout = options["timeout"]
    with store_for_runs(options, program) as store, Listener(options["listen"], secured) as listener:
        events.tell("listening", f"listening on port {listener.port}", port=listener.port)
        prepared = prepare(program)
        workshop = workshop_of(program, prepared, progress_of(events, "preparing"))
        channel = listener.accept(timeout).channel(timeout, frozenset([Role.PARTY1]))
        result = run_session(
            program,
            channel,
            store,
            prepared.execute,
            inputs,
            progress_of(events, "online"),
            Limits(timeout),
            workshop=workshop,
        )
    refuse_exceeded(result.exceeded)
    if options["output"]:
        write_outputs(options["output"], result.outputs)
    _report_session(0, result, options, events)


def infer(folder: Path, prepare: Prepare, options: dict[str, Any], events: Events) -> Arrays:
    """Party 1: one session on the inputs of a file; its outputs, written to another if one is given."""
    secured = security(options, Role.PARTY1, events)
    program = load_folder_of_party(folder, 1)
    inputs = read_inputs(options["input"], program.inputs)
    # before a session is taken: an input that is refused must not cost one
    arrays = client_inputs(program, inputs)
    for path in (options["output"], options["report"]):
        if path:
            check_writable(path)
    server = Server(options["connect"], secured, Limits(options["timeout"]))
    if options["dealer"]:
        require_dealer(program)
    with store_for_runs(options, program, options["dealer"] is not None) as store:
        if options["dealer"] and store is not None:
            _fill(program, store, secured, options, events)
        prepared = prepare(program)
        workshop = workshop_of(program, prepared, progress_of(events, "preparing"))
        result = ask(
            server, program, store, prepared.execute, arrays, progress_of(events, "online"), workshop
        )
    if options["output"]:
        write_outputs(options["output"], result.outputs)
    _report_session(1, result, options, events)
    return result.outputs


def _fill(
    program: PartyFolder, store: Store, secured: Security, options: dict[str, Any], events: Events
) -> None:
    """Party 1's store has a session that is unused: the dealer's if need be."""
    from mpcc.runtime.dealing.supply import Dealer, fill

    dealer = Dealer(options["dealer"], secured, options["timeout"])
    fill(program, store, dealer, 1, progress_of(events, "dealing"))


def _report_session(party: int, result: SessionResult, options: dict[str, Any], events: Events) -> None:
    if options["report"]:
        write_report(options["report"], party_report(party, result, options["profile"]))
    made = f"; made its correlations: {moved(result.preparation)}" if result.preparation.rounds else ""
    events.tell("done", f"session {result.session_id.hex()[:8]}: {moved(result.online)}{made}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
