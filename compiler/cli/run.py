"""`mpcc run`: both parties, and the dealer if there is one, as processes on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mpcc.compiler.cli.common import PATH, input_option, program_argument
from mpcc.compiler.text import size_of


@click.command(
    "run", help="Run PROG on an input: both parties, and its dealer, as processes on this machine."
)
@program_argument
@input_option
@click.option("--output", "output_path", type=PATH, metavar="Y.npz", help="Write the outputs by name.")
@click.option("--report", "report_path", type=PATH, metavar="R.json", help="Write rounds, bytes and seconds.")
@click.option(
    "--profile",
    "profile_path",
    type=PATH,
    metavar="PAGE.html",
    help="Show where the time goes: tables here, and a page with charts.",
)
@click.option(
    "--sessions",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Run so many times; report the median.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Of silence after which a party counts as lost.  [default: 30]",
)
def run_command(
    program: Path, input_path: Path, timeout: float | None, profile_path: Path | None, **options: Any
) -> None:
    from mpcc.runtime.arrays_file import check_writable, describe
    from mpcc.runtime.events import ScreenEvents
    from mpcc.runtime.local_run import run_local
    from mpcc.runtime.transport.stream import DEFAULT_TIMEOUT

    if profile_path:
        from mpcc.compiler.profile import profile, profile_text, read_programs
        from mpcc.compiler.profile_page import write_page

        check_writable(profile_path)
        programs = read_programs(program)
    options.update(timeout=timeout or DEFAULT_TIMEOUT, profile=profile_path is not None)
    with ScreenEvents() as events:
        run = run_local(program, input_path, events, **options)
    for name, array in run.outputs.items():
        click.echo(describe(name, array))
    click.echo(cost_line(run.report))
    if profile_path:
        measured = profile(programs, run.report, run.parties)
        write_page(profile_path, measured)
        click.echo(f"\n{profile_text(measured)}\n{profile_path}")


def cost_line(report: dict[str, Any]) -> str:
    """What a run cost, in one line."""
    online, offline, seconds = report["bytes"]["online"], report["bytes"]["offline"], report["seconds"]
    if "offline_rounds" in report:
        made = f"{report['offline_rounds']} rounds, {_sent(offline)}"
    else:
        dealt, set_up = offline["dealer_to_party1"], offline["setup_party0_to_party1"]
        made = f"{size_of(dealt)} dealt, {size_of(set_up)} set-up"
    return (
        f"online: {report['rounds']} rounds, {_sent(online)}, {seconds['online']:.2f} s; "
        f"offline: {made}, {seconds['offline']:.2f} s"
    )


def _sent(phase: dict[str, int]) -> str:
    return f"{size_of(phase['party0'])} from party 0, {size_of(phase['party1'])} from party 1"
