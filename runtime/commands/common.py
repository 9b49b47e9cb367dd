"""What the parties' and the dealer's command lines share: options, signals, exit codes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import click

from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.events import Events, JsonEvents, ScreenEvents
from mpcc.runtime.session import internal_error
from mpcc.runtime.transport.address import Address

SUCCESS, FAILURE, USAGE = 0, 1, 2


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


events_option = click.option(
    "--events", is_flag=True, hidden=True, help="JSON lines on stdout; end when stdin closes."
)


def run_command(
    command: click.Command, arguments: list[str], name: str, action: Callable[[dict[str, Any], Events], None]
) -> int:
    """Parse the command line and act. Returns 0 on success, 2 for a wrong command line, 1 for other errors.

    `command` only returns its options. SIGTERM and Ctrl-C end the action with MPC-R041, and no exception
    leaves this function as a traceback.
    """
    try:
        options = command.main(arguments, prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    if not isinstance(options, dict):  # --help
        return SUCCESS
    signal.signal(signal.SIGTERM, _interrupt)
    if options.pop("events"):
        threading.Thread(target=_end_with_parent, daemon=True).start()
        return _act(action, options, JsonEvents())
    with ScreenEvents() as screen:
        return _act(action, options, screen)


def _act(action: Callable[[dict[str, Any], Events], None], options: dict[str, Any], events: Events) -> int:
    try:
        action(options, events)
    except MpccError as error:
        return _fail(events, error)
    except KeyboardInterrupt:
        return _fail(events, MpccError("MPC-R041", "interrupted", remedy="start both parties again"))
    except Exception as error:
        return _fail(events, internal_error(error))
    return SUCCESS


def _fail(events: Events, error: MpccError) -> int:
    with contextlib.suppress(OSError):  # whoever listened is gone
        events.failed(error)
    return FAILURE


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """A process started by another one ends when that one is gone, however it went."""
    while os.read(0, 1):  # unbuffered: a buffered read holds a lock that the interpreter's end needs
        pass
    os.kill(os.getpid(), signal.SIGTERM)
