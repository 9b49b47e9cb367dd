"""What several commands share: argument types and options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from mpcc.compiler.cost.network import Network

PATH = click.Path(path_type=Path)
Function = TypeVar("Function", bound=Callable[..., Any])


class PairType(click.ParamType["tuple[str, str]"]):
    """NAME=VALUE."""

    def __init__(self, metavar: str) -> None:
        self.name = metavar

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        name, separator, text = str(value).partition("=")
        if not (name and separator and text):
            self.fail(f"{value!r} is not {self.name}", param, ctx)
        return name, text


class NetworkType(click.ParamType["Network"]):
    """lan, wan or RTT_MS,MBIT."""

    name = "lan|wan|RTT_MS,MBIT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Network:
        from mpcc.compiler.cost.network import Network, parse_network

        if isinstance(value, Network):
            return value
        try:
            return parse_network(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def program_argument(function: Function) -> Function:
    """PROG, a folder that mpcc compile wrote."""
    return click.argument("program", type=PATH, metavar="PROG")(function)


def input_option(function: Function) -> Function:
    return click.option(
        "--input",
        "input_path",
        type=PATH,
        required=True,
        metavar="X.npz",
        help="Inputs by name.",
    )(function)


def network_option(function: Function) -> Function:
    return click.option(
        "--network",
        type=NetworkType(),
        default="lan",
        show_default=True,
        help="Predict seconds for this network.",
    )(function)
