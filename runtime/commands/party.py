"""What the two party executables do: PROG/party0/run serves, PROG/party1/run asks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.range_checks import refuse_exceeded
from mpcc.runtime.arrays_file import Arrays, check_writable, read_inputs, write_outputs
from mpcc.runtime.commands.common import FAILURE, AddressType, events_option, run_command
from mpcc.runtime.events import Events
from mpcc.runtime.program_folder import PartyFolder, load_party_folder, read_manifest
from mpcc.runtime.report import party_report, write_report
from mpcc.runtime.session import Executor, Progress, SessionResult, run_session
from mpcc.runtime.sources import client_inputs
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.stream import DEFAULT_TIMEOUT
from mpcc.runtime.transport.tcp import Listener, connect

_PATH = click.Path(path_type=Path)
_timeout = click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=DEFAULT_TIMEOUT,
    show_default=True,
    help="Seconds to wait for the other party before giving up.",
)
_report = click.option("--report", type=_PATH, help="Write this party's counters to a JSON file.")
_profile = click.option(
    "--profile", is_flag=True, hidden=True, help="With --report: the spans of the online phase, too."
)


@click.command(help="Party 0, the server: holds the weights and waits for the client.")
@click.option("--listen", type=AddressType(), required=True, help="Where to wait for party 1.")
@click.option("--store", type=_PATH, required=True, help="STORE/party0, as dealt.")
@click.option("--weights", type=_PATH, help="The weights file, if it is not in the folder.")
@click.option("--input", type=_PATH, help="This party's inputs by name (.npz), if the program has any.")
@click.option("--output", type=_PATH, help="Where to write outputs revealed to this party (.npz).")
@click.option("--once/--serve", default=True, help="Serve one client, or one after the other.")
@_timeout
@_report
@_profile
@events_option
def _server_command(**options: Any) -> dict[str, Any]:
    return options


@click.command(help="Party 1, the client: holds the input and gets the output.")
@click.option("--connect", type=AddressType(), required=True, help="Where party 0 listens.")
@click.option("--store", type=_PATH, required=True, help="STORE/party1, as dealt.")
@click.option("--input", type=_PATH, required=True, help="Inputs by name (.npz).")
@click.option("--output", type=_PATH, required=True, help="Where to write the outputs (.npz).")
@_timeout
@_report
@_profile
@events_option
def _client_command(**options: Any) -> dict[str, Any]:
    return options


def main(folder: Path, arguments: list[str], executor: Executor | None = None) -> int:
    """Run the party whose folder this is; returns the exit code. Tests give an `executor` of their own."""
    try:
        party = read_manifest(folder).get("party")
    except MpccError as error:
        print(error.render(), file=sys.stderr)
        return FAILURE
    command, action = (_client_command, _ask) if party == 1 else (_server_command, _serve)
    return run_command(
        command,
        arguments,
        f"{folder.name}/run",
        lambda options, events: action(folder, executor or _interpreter(), events, **options),
    )


def _interpreter() -> Executor:
    from mpcc.runtime import kernels  # here: --help needs no interpreter
    from mpcc.runtime.executor import execute

    kernels.keep_memory()
    return execute


def _serve(folder: Path, executor: Executor, events: Events, **options: Any) -> None:
    program = load_party_folder(folder, options["weights"])
    inputs = _server_inputs(program, options["input"])
    for path in (options["output"], options["report"]):
        if path:
            check_writable(path)
    store = Store(options["store"], program.party, program.program_hash, program.weights_sha256)
    once, timeout = options["once"], options["timeout"]
    with Listener(options["listen"]) as listener:
        events.tell("listening", f"listening on port {listener.port}", port=listener.port)
        while store.unused():
            channel = listener.accept(timeout, wait=timeout if once else None)
            try:
                result = run_session(program, channel, store, executor, inputs, _progress(events))
                refuse_exceeded(result.exceeded)
            except MpccError as error:
                if once:
                    raise
                events.failed(error)
                continue
            if options["output"]:
                write_outputs(options["output"], result.outputs)
            _report_session(0, result, options, events)
            if once:
                return
    events.tell("exhausted", "every session of the store has been used")


def _server_inputs(program: PartyFolder, path: Path | None) -> Arrays | None:
    """Party 0's own inputs, if the program was compiled with any. Raises MPC-R030..R036."""
    if path:
        return read_inputs(path, program.inputs)
    if program.inputs:
        names = ", ".join(spec.name for spec in program.inputs)
        raise MpccError("MPC-R031", f"this party must give: {names}", remedy="give them with --input X.npz")
    return None


def _ask(folder: Path, executor: Executor, events: Events, **options: Any) -> None:
    program = load_party_folder(folder)
    inputs = read_inputs(options["input"], program.inputs)
    # before a session is taken: an input that is refused must not cost one
    arrays = client_inputs(program, inputs)
    check_writable(options["output"])
    if options["report"]:
        check_writable(options["report"])
    store = Store(options["store"], program.party, program.program_hash)
    channel = connect(options["connect"], options["timeout"])
    result = run_session(program, channel, store, executor, arrays, _progress(events))
    refuse_exceeded(result.exceeded)  # after the session's end: the other party must not see it fail
    write_outputs(options["output"], result.outputs)
    _report_session(1, result, options, events)


def _report_session(party: int, result: SessionResult, options: dict[str, Any], events: Events) -> None:
    if options["report"]:
        write_report(options["report"], party_report(party, result, options["profile"]))
    online = result.online
    events.tell(
        "done",
        f"session {result.session_id.hex()[:8]}: {online.rounds} rounds, {online.bytes_sent:,} bytes sent, "
        f"{online.bytes_received:,} received, {online.seconds:.2f} s",
    )


def _progress(events: Events) -> Progress:
    return lambda done, total: events.progress("online", done, total)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
