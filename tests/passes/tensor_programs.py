"""Small tensor-stage programs with calibrated ranges, lowered, run between both parties and compared with
their meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mpcc.compiler.calibrate import Calibration, measure_internals
from mpcc.compiler.driver import widened
from mpcc.compiler.evaluate import evaluate
from mpcc.ir.program import Builder, Operation, Program, Stage, Value
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.softmax import SoftmaxForm
from mpcc.passes.lower import Formats
from mpcc.passes.pipeline import Lower, pipeline, run
from mpcc.runtime.sources import Sources
from tests.runtime.protocols.harness import Run, plain, predicted, run_program

Make = Callable[[Builder, Value], Value]


@dataclass
class Lowered:
    """A program at every stage, with the arrays it was calibrated on."""

    tensor: Program
    stages: dict[str, Program]
    inputs: dict[str, np.ndarray]
    expected: np.ndarray

    @property
    def program(self) -> Program:
        return self.stages["assign-rings"]

    def sources(self) -> Sources:
        constants = self.program.constants
        return Sources(self.inputs, constants, constants)

    def secure(self) -> tuple[np.ndarray, Run]:
        """The real value of output `y` from both parties, and what was moved: as much as predicted."""
        result = run_program(self.program, self.sources())
        assert result.sent == predicted(self.program)
        return self._real(result.outputs[1]["y"]), result

    def simulated(self) -> np.ndarray:
        return self._real(plain(self.program, self.sources())["y"])

    def _real(self, integers: np.ndarray) -> np.ndarray:
        kind = self.program.outputs["y"].type
        return integers * 2.0**-kind.fraction  # type: ignore[union-attr]


def constant(builder: Builder, array: np.ndarray, visibility: str = "party0") -> Value:
    name = f"k{len(builder.program.constants)}"
    builder.program.constants[name] = np.asarray(array)
    return builder.emit(
        "constant", name=name, visibility=visibility, dtype="float", shape=tuple(np.asarray(array).shape)
    )


def client(builder: Builder, name: str, array: np.ndarray) -> Value:
    return builder.emit("input", name=name, visibility="party1", dtype="float", shape=array.shape)


def lowered(
    make: Make,
    x: np.ndarray,
    others: dict[str, np.ndarray] | None = None,
    formats: Formats | None = None,
    check: bool = False,
    using: Approximation | None = None,
    rewrite: Callable[[Program], Program] = lambda program: program,
) -> Lowered:
    """`make` builds the output from `x`, made secret by adding a weight of 0; `others` are more client inputs
    it may name. `using` computes the output, or every softmax if it is a form of that. What `rewrite` makes
    of the program is compared with the program itself.
    """
    builder = Builder("test", Stage.TENSOR)
    secret = builder.emit("add", client(builder, "x", x), constant(builder, np.zeros(1)))
    builder.program.outputs = {"y": make(builder, secret)}
    inputs = {"x": x, **(others or {})}
    original, program = builder.program, rewrite(builder.program)
    calibration = Calibration()

    def observe(operation: Operation, operands: list[np.ndarray], _: np.ndarray) -> None:
        measure_internals(calibration, operation, operands)

    values = evaluate(program, inputs, observe=observe)
    for value, array in values.items():
        calibration.add_range(value.name, float(array.min()), float(array.max()))
    formats = formats or Formats()
    ranges, internals = widened(calibration, formats.safety)
    stages: dict[str, Program] = {}
    plan = {} if using is None else {program.outputs["y"].name: using}
    if isinstance(using, SoftmaxForm):
        plan = {o.result.name: using for o in program.operations if o.kind == "softmax"}
    run(pipeline(Lower(ranges, internals, {}, formats, plan=plan), check), program, stages.__setitem__)
    expected = evaluate(original, inputs)[original.outputs["y"]]
    return Lowered(program, stages, inputs, expected)
