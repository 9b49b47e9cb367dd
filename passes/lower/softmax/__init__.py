"""Lowering of softmax: what is common to its forms, and one file for each."""

from __future__ import annotations

from mpcc.ir.program import Operation
from mpcc.passes.approximations.softmax import EXACT, ExactSoftmax, OdeSoftmax, QuadSoftmax, ReluSoftmax
from mpcc.passes.lower.context import Context, Lowered, lowers
from mpcc.passes.lower.softmax.exact import lower_exact
from mpcc.passes.lower.softmax.masks import mask_of
from mpcc.passes.lower.softmax.ode import lower_ode
from mpcc.passes.lower.softmax.quad import lower_quad
from mpcc.passes.lower.softmax.relu import lower_relu_softmax


@lowers("softmax")
def lower_softmax(context: Context, operation: Operation) -> Lowered:
    """What the plan says, or the exact form. Raises TypeError where the plan names no softmax."""
    form = context.plan.get(operation.result.name, EXACT)
    scores, mask = context.plain_share(operation.operands[0]), mask_of(context, operation)
    if isinstance(form, ExactSoftmax):
        return lower_exact(context, operation, form, scores, mask)
    if isinstance(form, QuadSoftmax):
        return lower_quad(context, operation, form, scores, mask)
    if isinstance(form, ReluSoftmax):
        return lower_relu_softmax(context, operation, form, scores, mask)
    if isinstance(form, OdeSoftmax):
        return lower_ode(context, operation, form, scores, mask)
    raise TypeError(f"%{operation.result.name}: '{form.name}' is no softmax")
