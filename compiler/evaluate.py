"""The meaning of a tensor-stage program: evaluation in floating point with NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mpcc.ir.dialects import definition
from mpcc.ir.dialects.tensor import TensorOperation
from mpcc.ir.program import Operation, Program, Value
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.softmax import SoftmaxForm

Observer = Callable[[Operation, list[np.ndarray], np.ndarray], None]
LARGE = 1 << 12  # elements of a constant: a model's weights have hundreds of millions


def evaluate(
    program: Program,
    inputs: dict[str, np.ndarray],
    *,
    observe: Observer | None = None,
    keep_all: bool = True,
    noise: Mapping[str, np.ndarray] | None = None,
    replaced: Mapping[str, Approximation] | None = None,
) -> dict[Value, np.ndarray]:
    """Every value of the program (float64), or its outputs only when `keep_all` is False. Large constants are
    returned as they are, and become float64 where an operation reads them.

    `inputs` are the arrays of its `input` operations by name. `observe` sees each computed operation with its
    operands and result; `noise` is added to values, by name; `replaced` compute operations of one variable or
    softmaxes instead of themselves, by their results' names. Raises KeyError for a missing input and
    ValueError for one of the wrong shape.
    """
    values: dict[Value, np.ndarray] = {}
    last_use = {v: i for i, o in enumerate(program.operations) for v in o.operands}
    outputs = set(program.outputs.values())
    for index, operation in enumerate(program.operations):
        if operation.kind in ("input", "constant"):
            source = inputs if operation.kind == "input" else program.constants
            name, shape = str(operation.attributes["name"]), operation.attributes["shape"]
            array = np.asarray(source[name])
            if array.shape != shape:
                raise ValueError(f"{name}: shape {array.shape}, not {shape}")
            values[operation.result] = array if array.size > LARGE else _double(array)
            continue
        operation_class = definition(program.stage, operation.kind)
        assert issubclass(operation_class, TensorOperation)
        operands = [_double(values[v]) for v in operation.operands]
        other = (replaced or {}).get(operation.result.name)
        if other is None:
            result = operation_class.evaluate(operands, operation.attributes)
        elif isinstance(other, SoftmaxForm):
            result = other.evaluate_masked(operands[0], operands[1] if len(operands) > 1 else np.ones(()))
        else:
            result = other.evaluate(operands[0])
        if noise is not None and operation.result.name in noise:
            result = result + noise[operation.result.name]
        values[operation.result] = result
        if observe is not None:
            observe(operation, operands, result)
        if not keep_all:
            for value in operation.operands:
                if last_use[value] == index and value not in outputs:
                    values.pop(value, None)
    return values if keep_all else {value: values[value] for value in outputs}


def _double(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64, copy=False) if array.dtype.kind == "f" else array
