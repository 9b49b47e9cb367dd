"""`mpcc compile`: an ONNX file to a program folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mpcc.compiler.cli.common import PATH, PairType, network_option
from mpcc.ir.correlation_source import CorrelationSource
from mpcc.ir.diagnostics import Diagnostics, MpccError

if TYPE_CHECKING:
    from mpcc.compiler.backend.emit import Compiled
    from mpcc.compiler.cost.model import Cost
    from mpcc.compiler.cost.network import Network

PASSES = ("import", "lower", "remove-dead", "assign-rings")  # the names of the driver's dumps
EXPERTS_PASS = "experts"  # stands behind the import of models with mixtures of experts
RANGE_PASS = "check-ranges"  # stands before the last one with --check-ranges


@click.command("compile", help="Compile MODEL.onnx to the program folder PROG.")
@click.argument("model", type=PATH, metavar="MODEL.onnx")
@click.option("-o", "--output", type=PATH, required=True, metavar="PROG", help="A new folder.")
@click.option(
    "--dim", "dims", type=PairType("NAME=N"), multiple=True, help="Size of a symbolic dimension. Repeatable."
)
@click.option(
    "--calibrate",
    type=PATH,
    multiple=True,
    metavar="INPUTS.npz",
    help="Real inputs, for the ranges. Repeatable.",
)
@click.option(
    "--ranges",
    type=PATH,
    metavar="FILE",
    help="Take the ranges and the choices from PROG/ranges.json of another compilation.",
)
@click.option(
    "--owner",
    "owners",
    type=PairType("NAME=WHO"),
    multiple=True,
    help="Who holds an input: 1, 0 or public. Repeatable.",
)
@click.option(
    "--reveal",
    "reveals",
    type=PairType("NAME=WHO"),
    multiple=True,
    help="Who learns an output: 1, 0 or both. Repeatable.",
)
@click.option(
    "--max-error",
    type=click.FloatRange(0, min_open=True),
    metavar="E",
    help="How far outputs may be from onnxruntime's: the approximations are chosen for it, and a program "
    "that is worse is refused.",
)
@network_option
@click.option(
    "--correlations",
    default="dealer",
    show_default=True,
    metavar="SOURCE",
    help="Where correlated randomness comes from: dealer, a third party, or two-party, from both parties "
    "themselves.",
)
@click.option(
    "--preset",
    default="best",
    show_default=True,
    metavar="NAME",
    help="Whose approximations: best chooses for every node, others are published systems'.",
)
@click.option("--softmax", metavar="KIND", help="The same as --approximate softmax=KIND.")
@click.option("--gelu", metavar="KIND", help="The same as --approximate gelu=KIND.")
@click.option(
    "--approximate",
    "approximations",
    type=PairType("FUNCTION=NAME"),
    multiple=True,
    help="What computes a function: a name of `mpcc approximations`, a .toml file, series, segments or "
    "lookup for the compiler's own fits, or best. Repeatable.",
)
@click.option(
    "--moe",
    metavar="KIND",
    help="How mixtures of experts are computed: all, outer or dispatch. Default: the cheapest exact way.",
)
@click.option(
    "--moe-capacity",
    metavar="SLOTS|FACTORx[:RULE]",
    help="With --moe dispatch: how many choices an expert takes, or how many times an even load; RULE is "
    "first (first come, the default) or scores (highest gate). The others are dropped.",
)
@click.option(
    "--check-ranges",
    is_flag=True,
    help="Reveal one bit a layer, whether a range was exceeded, and refuse the outputs then.",
)
@click.option(
    "--dump-after",
    type=click.Choice((*PASSES, EXPERTS_PASS, RANGE_PASS)),
    multiple=True,
    metavar="PASS",
    help=f"Print the program after a pass: {', '.join(PASSES)}; with --check-ranges also {RANGE_PASS}, of "
    f"mixtures of experts also {EXPERTS_PASS}.",
)
@click.option("--explain", is_flag=True, help="Say what was recognised where, and the nearest misses.")
def compile_command(
    model: Path,
    output: Path,
    calibrate: tuple[Path, ...],
    max_error: float | None,
    network: Network,
    dump_after: tuple[str, ...],
    explain: bool,
    **options: Any,
) -> None:
    approximations = _approximations(options)
    _refuse_what_is_missing(options, approximations)
    dims = _dims(options["dims"])
    ranges = _ranges_file(options["ranges"])
    from mpcc.compiler.choose.experts.request import experts_request
    from mpcc.compiler.cli.phases import Phases
    from mpcc.compiler.driver import Request, compile_model
    from mpcc.compiler.samples import read_samples

    request = Request(
        model,
        output,
        dims=dims,
        owners=dict(options["owners"]),
        reveals=dict(options["reveals"]),
        samples=read_samples(calibrate) or None,
        ranges=ranges,
        network=network,
        check_ranges=options["check_ranges"],
        preset=options["preset"],
        approximations=approximations,
        max_error=max_error,
        experts=experts_request(options["moe"], options["moe_capacity"]),
        correlations=CorrelationSource(options["correlations"]),
    )
    with Phases() as phases:
        compiled = compile_model(request, phases, phases.progress)
        if max_error is not None:
            from mpcc.compiler.accuracy import check_error

            phases("checking the error")
            check_error(compiled, request, max_error)
    for name, program in compiled.dumps:
        if name in dump_after:
            from mpcc.ir.printer import print_program

            click.echo(print_program(program))
    if explain:
        from mpcc.compiler.explain import explanation

        click.echo(explanation(compiled.imported))
    click.echo(summary(compiled, output))


def summary(compiled: Compiled, output: Path) -> str:
    """What was recognised, how experts are computed, and what a run will cost."""
    from mpcc.compiler.choose.experts.text import experts_lines
    from mpcc.compiler.text import size_of

    cost, counts = compiled.cost, compiled.imported.recognised.counts
    found = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    prediction = compiled.prediction
    experts = experts_lines(compiled.experts) if compiled.experts else []
    return "\n".join(
        (
            f"recognised: {found}",
            *(f"{'' if index else 'experts:':<12}{line}" for index, line in enumerate(experts)),
            f"online:     {cost.rounds} rounds, {size_of(cost.bytes_party0)} from party 0, "
            f"{size_of(cost.bytes_party1)} from party 1, about {prediction.seconds:.2f} s "
            f"over {prediction.network}",
            f"offline:    {offline_text(cost)}, about {prediction.offline_seconds:.2f} s",
            f"written:    {output}",
        )
    )


def offline_text(cost: Cost) -> str:
    """What comes before a run."""
    from mpcc.compiler.text import size_of

    if cost.made:
        return (
            f"{cost.made.rounds} rounds, {size_of(cost.made.party0)} from party 0, "
            f"{size_of(cost.made.party1)} from party 1 each session"
        )
    dealt, setup = size_of(cost.offline_bytes), size_of(cost.setup_bytes)
    return f"{dealt} dealt to party 1 each session, {setup} set-up"


def _approximations(options: dict[str, Any]) -> dict[str, str]:
    """What --gelu, --softmax and --approximate say, by function."""
    short = [(function, options[function]) for function in ("gelu", "softmax")]
    named: dict[str, str] = {}
    for function, name in (*((f, n) for f, n in short if n is not None), *options["approximations"]):
        if named.setdefault(function, name) != name:
            raise click.UsageError(f"two approximations of {function}: {named[function]} and {name}")
    return named


def _refuse_what_is_missing(options: dict[str, Any], approximations: dict[str, str]) -> None:
    from mpcc.compiler.choose.experts.request import experts_request
    from mpcc.compiler.choose.uses import uses

    with Diagnostics() as diagnostics:
        try:
            uses(options["preset"], approximations)
        except MpccError as error:
            diagnostics.collect(error)
        if options["correlations"] not in list(CorrelationSource):
            diagnostics.add(
                "MPC-C001",
                f"--correlations {options['correlations']}: there is no such choice",
                remedy=f"use --correlations {' or '.join(CorrelationSource)}",
            )
        try:
            experts_request(options["moe"], options["moe_capacity"])
        except MpccError as error:
            diagnostics.collect(error)


def _dims(pairs: tuple[tuple[str, str], ...]) -> dict[str, int]:
    dims = {}
    for name, text in pairs:
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise click.BadParameter(
                f"{name}={text}: the size is not a positive integer", param_hint="'--dim'"
            )
        dims[name] = int(text)
    return dims


def _ranges_file(path: Path | None) -> Path | None:
    """The file itself, or ranges.json of a program folder. Raises MPC-C022."""
    if path is None:
        return None
    found = path / "ranges.json" if path.is_dir() else path
    if not found.is_file():
        raise MpccError(
            "MPC-C022",
            "there is no file of ranges here",
            where=str(path),
            remedy="give PROG/ranges.json of another compilation",
        )
    return found
