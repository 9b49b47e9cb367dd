"""Whether every chosen approximation of a function or softmax holds on the range calibrated for it."""

from __future__ import annotations

from collections.abc import Mapping

from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.program import Program
from mpcc.ir.types import Range
from mpcc.passes.approximations.lookup import Lookup
from mpcc.passes.approximations.piecewise import Piecewise
from mpcc.passes.approximations.plan import Plan
from mpcc.passes.approximations.softmax import SoftmaxForm

INSIDE = 1.0 - 1e-9  # what rounding of the widened range may add


def check_domains(
    program: Program, plan: Plan, internals: Mapping[tuple[str, str], Range], safety: float
) -> None:
    """Raises MpccErrors, MPC-P018, that name all operations of the tensor-stage program whose approximation
    does not hold on their range. `internals` are calibrated and widened by the factor `safety`.
    """
    with Diagnostics() as diagnostics:
        for operation in program.operations:
            approximation = plan.get(operation.result.name)
            softmax = isinstance(approximation, SoftmaxForm)
            widened = internals.get((operation.result.name, "scores" if softmax else "input"))
            if not isinstance(approximation, Piecewise | Lookup | SoftmaxForm) or widened is None:
                continue
            seen = _calibrated(widened, safety)
            if not approximation.covers(seen.low, seen.high):
                low, high = approximation.domain
                diagnostics.add(
                    "MPC-P018",
                    f"'{approximation.name}' approximates {operation.kind} within [{low:.4g}, {high:.4g}] "
                    f"only, but calibration saw values within [{seen.low:.4g}, {seen.high:.4g}]",
                    where=", ".join(operation.onnx_nodes) or operation.result.name,
                    remedy=_remedy(operation.kind),
                )


def _calibrated(widened: Range, safety: float) -> Range:
    """What was widened, and a little less; of a single value a little more."""
    inside = safety / INSIDE
    low = widened.low / inside if widened.low < 0 else widened.low * inside
    high = widened.high / inside if widened.high > 0 else widened.high * inside
    return Range(min(low, high), max(low, high))


def _remedy(kind: str) -> str:
    option = f"--{kind} best" if kind in ("gelu", "softmax") else f"--approximate {kind}=best"
    return f"let the compiler choose with {option}, or calibrate again if these values are no real ones"
