"""Share-stage programs of one power, on arguments and with results as fine as fixed point has them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpcc.ir.program import Builder, Program, Stage
from mpcc.ir.types import Range
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.inverse import InversePower
from mpcc.passes.assign_rings import assign_rings
from mpcc.passes.lower.context import Context
from mpcc.passes.lower.powers import inverse_power
from mpcc.passes.remove_dead import remove_dead
from tests.runtime.protocols.harness import Run, plain, predicted, run_program

ARGUMENT_BITS = 28  # significant bits of the smallest argument, which is taken as it is rounded


@dataclass
class Computed:
    """Relative errors of the secure run and of the simulation, and what the run moved."""

    secure: np.ndarray
    simulated: np.ndarray
    run: Run
    program: Program
    power: Approximation


def compute(
    x: np.ndarray, exponent: float, recipe: InversePower, low: float, high: float, scale: float = 1.0
) -> Computed:
    """scale * x^exponent between both parties, by the lowering for the range [low, high]."""
    source = Builder("source", Stage.TENSOR)
    value = source.emit("input", name="x", visibility="party1", dtype="float", shape=x.shape)
    operation = source.program.producers()[value]
    context = Context(source.program, {}, {})
    fraction = ARGUMENT_BITS - math.floor(math.log2(low))
    parts = [
        context.emit(kind, name=name, fraction=fraction, shape=x.shape)
        for kind, name in (("client_input", "x"), ("server_input", "mask"))
    ]
    share = context.emit("add", *parts, extent=Range(low, high))
    result = inverse_power(context, operation, share, exponent, Range(low, high), recipe, scale)
    context.builder.program.outputs["y"] = context.emit("reveal", result, name="y", to="party1")
    context.builder.program.attributes = {"reveals": ("y=party1",)}
    program = assign_rings(remove_dead(context.builder.program))

    integers = np.rint(x * 2.0**fraction).astype(np.int64)
    mask = np.random.default_rng(len(x)).integers(-(2**40), 2**40, x.shape)
    arrays = {"x": integers - mask, "mask": mask, **program.constants}
    run = run_program(program, arrays)
    assert run.sent == predicted(program)
    exact = scale * (integers * 2.0**-fraction) ** exponent
    unit = 2.0 ** -program.outputs["y"].type.fraction  # type: ignore[union-attr]
    secure, simulated = (
        np.abs(y * unit / exact - 1.0) for y in (run.outputs[1]["y"], plain(program, arrays)["y"])
    )
    (used,) = context.used
    return Computed(secure, simulated, run, program, used.approximation)
