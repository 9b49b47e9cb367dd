"""`mpcc verify`: a secure run against onnxruntime, error by layer."""

from __future__ import annotations

from pathlib import Path

import click

from mpcc.compiler.cli.common import PATH, input_option, program_argument


@click.command(
    "verify",
    help="Compare a secure run of PROG with onnxruntime: error by layer. One process sees both shares.",
)
@program_argument
@input_option
@click.option(
    "--model", type=PATH, metavar="MODEL.onnx", help="The model, if it is not where it was compiled from."
)
@click.option(
    "--report", "report_path", type=PATH, metavar="R.json", help="Write the run's report, with its errors."
)
def verify_command(program: Path, input_path: Path, model: Path | None, report_path: Path | None) -> None:
    from mpcc.compiler.verify import verify_command as verify
    from mpcc.runtime.events import ScreenEvents

    with ScreenEvents() as events:
        text = verify(program, input_path, model, report_path, events)
    click.echo(text)
