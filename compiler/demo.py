"""`mpcc demo`: the bundled digit classifier, a mixture of experts, between two parties and in onnxruntime."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mpcc.compiler.cli.phases import Phases
from mpcc.compiler.cli.run import cost_line
from mpcc.compiler.driver import Request, compile_model
from mpcc.compiler.frontend.check import session
from mpcc.compiler.samples import read_samples
from mpcc.compiler.text import table
from mpcc.ir.diagnostics import MpccError
from mpcc.runtime.events import ScreenEvents
from mpcc.runtime.local_run import LocalRun, run_local
from mpcc.runtime.report import as_predicted

# Beside this package's `compiler` folder, in a checkout and where it is installed.
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "digits_moe"
SHADES = " .:-=+*#@"


def demo(tell: Callable[[str], None]) -> None:
    """Tell what happens line by line. Raises MPC-C050 when the example's files are not installed."""
    names = ("digits_moe_top2.onnx", "digits_moe_calibration.npz", "sample.npz")
    model, calibration, sample = (EXAMPLE / name for name in names)
    for path in (model, calibration, sample):
        if not path.is_file():
            raise MpccError(
                "MPC-C050",
                "a file of the bundled example is missing",
                where=str(path),
                remedy="install mpcc again: pip install .",
            )
    (inputs,) = read_samples([sample])
    (image,) = inputs.values()
    tell("The client's secret image:\n")
    tell(picture(image.reshape(image.shape[-2:])))
    with tempfile.TemporaryDirectory(prefix="mpcc-demo-") as folder:
        program = Path(folder) / "program"
        with Phases() as phases:
            compile_model(Request(model, program, samples=read_samples([calibration])), phases)
        with ScreenEvents() as events:
            run = run_local(program, sample, events)
    reference = session(str(model))
    ((name, secure),) = run.outputs.items()
    (plain,) = (np.asarray(array) for array in reference.run([name], inputs))
    tell(comparison(secure[0], plain[0]))
    tell(cost_line(run.report))
    tell(prediction_line(run))


def picture(image: np.ndarray) -> str:
    """A grey image in 0..1 as text, two characters a pixel."""
    levels = np.clip((image * len(SHADES)).astype(int), 0, len(SHADES) - 1)
    return "\n".join("    " + "".join(SHADES[level] * 2 for level in row) for row in levels)


def comparison(secure: np.ndarray, plain: np.ndarray) -> str:
    """Logits side by side, and both answers. Shapes [classes]."""
    rows = [
        (str(i), f"{s:.5f}", f"{p:.5f}", f"{s - p:.5f}")
        for i, (s, p) in enumerate(zip(secure, plain, strict=True))
    ]
    return "\n".join(
        (
            "",
            table(("digit", "secure", "onnxruntime", "difference"), rows),
            "",
            f"secure answer {int(secure.argmax())}, onnxruntime's {int(plain.argmax())}; "
            f"largest error {np.abs(secure - plain).max():.5f}",
        )
    )


def prediction_line(run: LocalRun) -> str:
    """Whether the compiler's prediction was exact."""
    exact = "exactly" if as_predicted(run.report) else "NOT"
    return f"rounds and bytes are {exact} what the compiler predicted"
