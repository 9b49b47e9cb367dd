"""A compiled program's error before anyone runs it, simulated against onnxruntime: `--max-error`."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np

from mpcc.compiler.backend.emit import Compiled
from mpcc.compiler.calibrate import generate_samples
from mpcc.compiler.driver import Request
from mpcc.compiler.frontend.check import session
from mpcc.compiler.samples import split_samples
from mpcc.compiler.simulate import simulate
from mpcc.ir.diagnostics import MpccError

CHECKED_SAMPLES = 4
NAMED = 3  # nodes that an error names


def check_error(compiled: Compiled, request: Request, limit: float) -> None:
    """Refuse, and remove, a program whose simulated outputs differ by more than `limit` from onnxruntime's.

    Checked on the first calibration inputs, or on generated ones. Raises MPC-C012, or MPC-P025 where no
    choice of approximations was expected to do.
    """
    specs = compiled.imported.inputs
    samples = split_samples(specs, request.samples) if request.samples else generate_samples(specs, seed=1)
    reference = session(str(request.model))
    names = [output.name for output in compiled.imported.outputs]
    error = 0.0
    for sample in samples[:CHECKED_SAMPLES]:
        outputs = simulate(request.output, sample)
        for name, expected in zip(names, reference.run(names, dict(sample)), strict=True):
            error = max(error, float(np.max(np.abs(outputs[name] - expected), initial=0.0)))
    if not error <= limit:
        shutil.rmtree(request.output)
        if compiled.approximations["error"] > compiled.approximations["budget"]:
            raise _unreachable(compiled.approximations, error, limit)
        raise MpccError(
            "MPC-C012",
            f"the program's outputs differ by {error:.3g} from onnxruntime's, --max-error allows {limit:g}",
            remedy=_remedy(compiled.approximations, compiled.experts),
        )


def _remedy(choices: dict[str, Any], experts: dict[str, Any]) -> str:
    if not all(layer["exact"] for layer in experts.get("layers", ())):
        return (
            "give experts more slots with --moe-capacity, leave --moe dispatch out, or allow a larger error"
        )
    replaced = {
        f"{n['kind']} ({n['chosen']['approximation']['name']})": None
        for n in choices["nodes"]
        if n["chosen"]["approximation"]["changes_model"]
    }
    if replaced:
        return (
            f"leave to the compiler what options replace by another function: {', '.join(replaced)}; "
            "or allow a larger error"
        )
    return "give inputs like the real ones with --calibrate, or allow a larger error"


def _unreachable(choices: dict[str, Any], error: float, limit: float) -> MpccError:
    """The most accurate plan was taken, and does not do."""
    worst = sorted(choices["nodes"], key=lambda node: -float(node["chosen"]["output_error"]))[:NAMED]
    named = ", ".join(f"{n['kind']} in {n['layer']} ({n['chosen']['output_error']:.2g})" for n in worst)
    return MpccError(
        "MPC-P025",
        f"no choice of approximations keeps the outputs within --max-error {limit:g}: with the most accurate "
        f"ones they differ by {error:.2g} from onnxruntime's; the largest parts are expected of {named}",
        remedy="allow a larger one; leave open the functions that options fix; or calibrate with inputs like "
        "the real ones, which may narrow the ranges",
    )
