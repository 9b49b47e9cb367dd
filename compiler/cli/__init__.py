"""The command line `mpcc`. Commands import what they need when they run, so that --help is quick."""

from __future__ import annotations

import os
import signal
import sys
import traceback

import click

from mpcc.compiler.cli.approximations import approximations_command
from mpcc.compiler.cli.audit import audit_command
from mpcc.compiler.cli.compile import compile_command
from mpcc.compiler.cli.cost import cost_command
from mpcc.compiler.cli.demo import demo_command
from mpcc.compiler.cli.explain import explain_command
from mpcc.compiler.cli.inspect import inspect_command
from mpcc.compiler.cli.party import (
    certificates_command,
    deal_command,
    dealer_command,
    infer_command,
    party_command,
    prepare_command,
    serve_command,
    store_key_command,
)
from mpcc.compiler.cli.run import run_command
from mpcc.compiler.cli.simulate import simulate_command
from mpcc.compiler.cli.verify import verify_command
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.interrupts import step

SUCCESS, FAILURE, USAGE = 0, 1, 2
TRACEBACK_VARIABLE = "MPCC_TRACEBACK"
BLAS_THREADS = "OPENBLAS_NUM_THREADS"  # NumPy's, for matrices so small that several wait for each other
_WRONG_CHOICE = ("MPC-C001", "MPC-C064", "MPC-C065", "MPC-P024")


class _InOrder(click.Group):
    """Lists its commands in the order of a user's steps."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    help="Compile ONNX Transformer models to two-party secure computation, and run them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="mpcc")
def mpcc() -> None:
    pass


for _command in (
    compile_command,
    run_command,
    deal_command,
    dealer_command,
    prepare_command,
    serve_command,
    infer_command,
    certificates_command,
    store_key_command,
    party_command,
    simulate_command,
    verify_command,
    inspect_command,
    cost_command,
    approximations_command,
    audit_command,
    explain_command,
    demo_command,
):
    mpcc.add_command(_command)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for a wrong command line, 1 for every other error."""
    signal.signal(signal.SIGTERM, step.interrupt)
    os.environ.setdefault(BLAS_THREADS, "1")  # before a command imports NumPy
    try:
        code = mpcc.main(arguments, prog_name="mpcc", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except MpccError as error:
        return _fail(error)
    except (KeyboardInterrupt, click.Abort):
        return _fail(MpccError("MPC-R041", "interrupted", remedy="start the command again"))
    except BrokenPipeError:  # whoever reads our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exc()
        return _fail(_internal(error))
    return code if isinstance(code, int) else SUCCESS


def _fail(error: MpccError) -> int:
    print(error.render(), file=sys.stderr)
    if sys.stderr.isatty():
        from mpcc.compiler.error_help import has_detail

        if has_detail(error.code):
            print(f"mpcc explain {error.code} says more", file=sys.stderr)
    return USAGE if error.code in _WRONG_CHOICE else FAILURE


def _internal(error: Exception) -> MpccError:
    """Its type and place, never its text, which could hold a secret."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return MpccError(
        "MPC-C099",
        f"internal error: {type(error).__name__}",
        where=f"{os.path.basename(last.filename)}:{last.lineno}, {last.name}",
        remedy=f"set {TRACEBACK_VARIABLE}=1 for the traceback, and report it with the command that led here",
    )
