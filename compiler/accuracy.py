"""A compiled program's error before anyone runs it, simulated against onnxruntime: `--max-error`."""

from __future__ import annotations

import shutil

import numpy as np

from mpcc.compiler.backend.emit import Compiled
from mpcc.compiler.calibrate import generate_samples
from mpcc.compiler.driver import Request
from mpcc.compiler.frontend.check import session
from mpcc.compiler.samples import split_samples
from mpcc.compiler.simulate import simulate
from mpcc.ir.diagnostics import MpccError

CHECKED_SAMPLES = 4


def check_error(compiled: Compiled, request: Request, limit: float) -> None:
    """Refuse, and remove, a program whose simulated outputs differ by more than `limit` from onnxruntime's.

    Checked on the first calibration inputs, or on generated ones. Raises MPC-C012.
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
        raise MpccError(
            "MPC-C012",
            f"the program's outputs differ by {error:.3g} from onnxruntime's, --max-error allows {limit:g}",
            remedy="give inputs like the real ones with --calibrate, or allow a larger error",
        )
