"""`mpcc certificates`: what --tls needs, for a try-out."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import click

from mpcc.runtime.commands.common import PATH, events_option, run_command
from mpcc.runtime.events import Events

_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", re.IGNORECASE)


class HostType(click.ParamType[str]):
    """A host name, or an IP address without brackets."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            pass
        try:
            name: str = value.encode("idna").decode("ascii")
        except UnicodeError:
            name = ""
        if not _HOST_NAME.fullmatch(name):
            self.fail(f"{value!r} is not a host name or IP address", param, ctx)
        return name


@click.command(
    help="Write DIR/party0, DIR/party1 and DIR/dealer, each for --tls on the machine of its role, and "
    "DIR/authority, which signed them."
)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR")
@click.option(
    "--host",
    "hosts",
    type=HostType(),
    multiple=True,
    help="A name or address at which party 0 or the dealer is reached. Repeatable; this machine always is.",
)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How long they are valid."
)
@events_option
def certificates_command(**options: Any) -> dict[str, Any]:
    return options


def main(arguments: list[str]) -> int:
    """Make them; returns the exit code."""
    return run_command(certificates_command, arguments, "mpcc certificates", _make)


def _make(options: dict[str, Any], events: Events) -> None:
    from mpcc.runtime.transport.certificates import make_certificates

    folder, hosts = options["output"], options["hosts"]
    make_certificates(folder, hosts, options["days"])
    days = "1 day" if options["days"] == 1 else f"{options['days']} days"
    events.tell(
        "certificates",
        f"for the server:  copy {folder / 'party0'} there, and run party 0 with --tls party0\n"
        f"for the client:  copy {folder / 'party1'} there, and run party 1 with --tls party1\n"
        f"for the dealer:  copy {folder / 'dealer'} there, and run mpcc dealer with --tls dealer\n"
        f"keep to yourself: {folder / 'authority'}, whose key can make a certificate for any role; "
        "remove it when no more are needed\n"
        f"valid for {days}; the server and the dealer are reached at "
        f"{', '.join(dict.fromkeys([*hosts, 'localhost']))}",
    )
