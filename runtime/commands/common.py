"""What the parties' and the dealer's command lines share: options, signals, exit codes."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.events import Events, JsonEvents, ScreenEvents
from mpcc.runtime.interrupts import heed_interrupts
from mpcc.runtime.program_folder import PartyFolder
from mpcc.runtime.session import internal_error
from mpcc.runtime.store.opening import open_or_create, open_store_of
from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.store import Store
from mpcc.runtime.transport.address import Address
from mpcc.runtime.transport.channel import Counters
from mpcc.runtime.transport.stream import DEFAULT_TIMEOUT, LONGEST_TIMEOUT
from mpcc.runtime.transport.tls import Credentials, Role, Security

SUCCESS, FAILURE, USAGE = 0, 1, 2
_START_AGAIN = "start it again; a session that had begun is used up"
Command = TypeVar("Command", bound=Callable[..., Any])


class AddressType(click.ParamType[Address]):
    """HOST:PORT; `:7000` is every interface when listening, this machine when connecting."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        if isinstance(value, Address):
            return value
        try:
            return Address.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class SecondsType(click.FloatRange):
    """A number of seconds in a range."""

    name = "SECONDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):  # neither below the range nor above it
            self.fail(f"{value} is no number of seconds", param, ctx)
        return seconds


PATH = click.Path(path_type=Path, readable=False)  # what cannot be read has an error code

events_option = click.option(
    "--events", is_flag=True, hidden=True, help="JSON lines on stdout; end when stdin closes."
)


timeout_option = click.option(
    "--timeout",
    type=SecondsType(0, LONGEST_TIMEOUT, min_open=True),
    default=DEFAULT_TIMEOUT,
    show_default=True,
    help="Seconds of silence after which the other side counts as lost.",
)


def security_options(command: Command) -> Command:
    """--tls and --insecure-plaintext, read by `security`."""
    command = click.option(
        "--insecure-plaintext",
        is_flag=True,
        help="Allow connections beyond this machine without TLS: only in a network that is itself protected.",
    )(command)
    return click.option(
        "--tls",
        type=PATH,
        metavar="FOLDER",
        help="This side's certificate.pem and key.pem, and the authority.pem it trusts. Without it, only "
        "this machine is reached.",
    )(command)


def security(options: dict[str, Any], role: Role, events: Events) -> Security:
    """What connections are secured with, for a process of this role. Raises MPC-R051..R053."""
    folder, insecure = options["tls"], options["insecure_plaintext"]
    if folder:
        credentials = Credentials.load(folder)
        credentials.require(role)
        return Security(credentials)
    if insecure:
        events.tell(
            "warning",
            "warning: without TLS everybody on the network between the parties can read and change what they "
            "send, and pretend to be one of them",
        )
    return Security(None, insecure)


bulk_option = click.option(
    "--bulk",
    metavar="URL",
    help="Where the sessions' files of a new store lie, if not in its folder: any URL that fsspec knows. "
    "Needs --store-key; the store remembers it.",
)


def store_options(command: Command) -> Command:
    """--store and --store-key, read by `open_store`."""
    command = click.option(
        "--store-key",
        type=PATH,
        metavar="FILE",
        help="The key of a store that is encrypted: see mpcc store-key.",
    )(command)
    return click.option(
        "--store",
        type=PATH,
        metavar="FOLDER",
        help="This party's store of correlations. Not needed where the parties make their own for each run.",
    )(command)


def open_store(options: dict[str, Any], folder: PartyFolder) -> Store:
    """The party's store. Raises MPC-S001..S005, MPC-S015..S019."""
    return open_store_of(folder, _store_path(options), _store_key(options))


def open_or_create_store(options: dict[str, Any], folder: PartyFolder) -> Store:
    """The party's store, made if there is none yet: as `bulk_option` says. Raises MPC-S002..S020."""
    return open_or_create(folder, _store_path(options), _store_key(options), options.get("bulk"))


@contextlib.contextmanager
def store_for_runs(
    options: dict[str, Any], folder: PartyFolder, dealer: bool = False
) -> Iterator[Store | None]:
    """The party's store, with a session that is unused unless a `dealer` or the parties themselves fill it.
    None where it is not needed: the parties make their correlations for each run. Raises MPC-S001..S006,
    MPC-S015..S019, UsageError.
    """
    if folder.two_party and options["store"] is None:
        yield None
        return
    filled = dealer or folder.two_party
    with contextlib.closing((open_or_create_store if filled else open_store)(options, folder)) as store:
        if not filled:
            store.require_unused()
        yield store


def moved(counters: Counters) -> str:
    """What was said in a phase, and how long it took."""
    return (
        f"{counters.rounds} rounds, {counters.bytes_sent:,} bytes sent, "
        f"{counters.bytes_received:,} received, {counters.seconds:.2f} s"
    )


def progress_of(events: Events, phase: str) -> Callable[[int, int], None]:
    """A phase's progress, told in (done, total) bytes."""
    return lambda done, total: events.progress(phase, done, total)


def _store_path(options: dict[str, Any]) -> Path:
    """Raises UsageError."""
    if options["store"] is None:
        raise click.UsageError("Missing option '--store'.")
    path: Path = options["store"]
    return path


def _store_key(options: dict[str, Any]) -> StoreKey | None:
    return StoreKey.load(options["store_key"]) if options["store_key"] else None


def run_command(
    command: click.Command, arguments: list[str], name: str, action: Callable[[dict[str, Any], Events], None]
) -> int:
    """Parse the command line and act. Returns 0 on success, 2 for a wrong command line, 1 for other errors.

    `command` only returns its options; what they must be may depend on a program, so the action may raise
    click's UsageError, too. SIGTERM, Ctrl-C and the end of the terminal end the action with MPC-R041, and no
    exception leaves this function as a traceback.
    """
    command.context_settings["help_option_names"] = ["-h", "--help"]
    try:
        options = command.main(arguments, prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    if not isinstance(options, dict):  # --help
        return SUCCESS
    heed_interrupts()
    try:
        if options.pop("events"):
            threading.Thread(target=_end_with_parent, daemon=True).start()
            return _act(action, options, JsonEvents())
        with ScreenEvents() as screen:
            return _act(action, options, screen)
    except click.UsageError as error:
        error.ctx = click.Context(command, info_name=name)
        error.show()
        return error.exit_code


def _act(action: Callable[[dict[str, Any], Events], None], options: dict[str, Any], events: Events) -> int:
    try:
        action(options, events)
    except MpccError as error:
        return _fail(events, error)
    except KeyboardInterrupt:
        return _fail(events, MpccError("MPC-R041", "interrupted", remedy=_START_AGAIN))
    except click.UsageError:
        raise
    except Exception as error:
        return _fail(events, internal_error(error))
    return SUCCESS


def _fail(events: Events, error: MpccError) -> int:
    with contextlib.suppress(OSError):  # whoever listened is gone
        events.failed(error)
    return FAILURE


def _end_with_parent() -> None:
    """A process started by another one ends when that one is gone, however it went."""
    while os.read(0, 1):  # unbuffered: a buffered read holds a lock that the interpreter's end needs
        pass
    os.kill(os.getpid(), signal.SIGTERM)
