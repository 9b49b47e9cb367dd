"""`mpcc simulate`: the lowered program in the clear."""

from __future__ import annotations

from pathlib import Path

import click

from mpcc.compiler.cli.common import PATH, input_option, program_argument


@click.command(
    "simulate",
    help="Compute PROG in the clear on fixed-point numbers, to see its accuracy without a network.",
)
@program_argument
@input_option
@click.option(
    "--output", "output_path", type=PATH, required=True, metavar="Y.npz", help="Write the outputs by name."
)
def simulate_command(program: Path, input_path: Path, output_path: Path) -> None:
    from mpcc.compiler.simulate import simulate
    from mpcc.runtime.arrays_file import check_writable, describe, read_inputs, write_outputs
    from mpcc.runtime.program_folder import load_party_folder

    inputs = read_inputs(input_path, load_party_folder(program / "party1").inputs)
    check_writable(output_path)
    outputs = simulate(program, inputs)
    write_outputs(output_path, outputs)
    for name, array in outputs.items():
        click.echo(describe(name, array))
