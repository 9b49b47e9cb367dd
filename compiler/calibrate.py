"""Calibration: the values a model takes on sample inputs, and what nonlinear operations see inside.

Tensors that exist in the ONNX model are measured by onnxruntime; what only the program has (masks'
complements, scaled queries, the insides of norms and softmax) by evaluating the program in floating point.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mpcc.compiler.evaluate import evaluate
from mpcc.compiler.frontend.check import run, run_local, session, with_extra_outputs
from mpcc.compiler.frontend.imported import Imported, InputSpec
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.dialects.tensor import Softmax
from mpcc.ir.program import Operation
from mpcc.passes.approximations.base import Approximation
from mpcc.passes.experts.layout import Layout

Interval = tuple[float, float]
Shares = tuple[float, float, float]
Progress = Callable[[int, int], None]

_MEASURED_INPUT = (
    "gelu",
    "silu",
    "softplus",
    "tanh",
    "sigmoid",
    "erf",
    "relu",
    "exp",
    "reciprocal",
    "sqrt",
    "rsqrt",
    "square",
)
_CLAIMS = ("assign_slots", "keep_within")
_GENERATED = 8
ROUNDING = 1e-12  # of the largest mean square: what float64 makes of a row of zeros


@dataclass
class Calibration:
    """Ranges of values and of operations' insides, as (lowest, highest) over all samples.

    `ranges`: by value name. `internals`: by the name of an operation's result, then by quantity. softmax:
    `scores` (all positions), `row_max` (kept positions), `row_max_minus_mean` (the mean over all positions,
    which is what one can subtract without knowing the mask), `score_minus_max` (kept), `row_sum` (of
    exp(score - max) over kept), `row_mean` and `row_variance` (kept). layer_norm: `centred`, `variance` (no
    epsilon). rms_norm: `mean_square`; l2_normalize: `sum_square`; div: `divisor`; other nonlinear operations:
    `input`. Rows without any kept position are left out, and of squares the rows of zeros.

    `chosen`: the names of the approximations that a compilation chose, by value. Like the ranges they follow
    from model and samples, and are public. `layouts`: how its mixtures of experts were computed when the
    ranges were measured, by value; `dropped`: the least, mean and largest share of a sample's choices that
    found no place, by the name of what gives places (assign_slots, keep_within).
    """

    ranges: dict[str, Interval] = field(default_factory=dict)
    internals: dict[str, dict[str, Interval]] = field(default_factory=dict)
    samples: int = 0
    warnings: tuple[str, ...] = ()
    chosen: dict[str, str] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)
    dropped: dict[str, Shares] = field(default_factory=dict)

    def to_json(self) -> str:
        """Text that `from_json` reads back; numbers in full precision."""
        content = {
            "samples": self.samples,
            "ranges": self.ranges,
            "internals": self.internals,
            "chosen": self.chosen,
            **(
                {"layouts": {name: asdict(layout) for name, layout in self.layouts.items()}}
                if self.layouts
                else {}
            ),
            **({"dropped": self.dropped} if self.dropped else {}),
        }
        return json.dumps(content, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Raises MpccError MPC-F041 when the text is no calibration."""
        try:
            content = json.loads(text)
            ranges = {str(k): _interval(v) for k, v in content["ranges"].items()}
            internals = {
                str(k): {str(q): _interval(v) for q, v in inner.items()}
                for k, inner in content["internals"].items()
            }
            chosen = {str(k): str(v) for k, v in content.get("chosen", {}).items()}
            layouts = {str(k): _layout(v) for k, v in content.get("layouts", {}).items()}
            dropped = {str(k): _shares(v) for k, v in content.get("dropped", {}).items()}
            samples = int(content["samples"])
            return cls(ranges, internals, samples, chosen=chosen, layouts=layouts, dropped=dropped)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MpccError(
                "MPC-F041", f"not a file of calibrated ranges: {error}", remedy="write one with --save-ranges"
            ) from error

    def add_range(self, name: str, low: float, high: float) -> None:
        known = self.ranges.get(name)
        self.ranges[name] = (low, high) if known is None else (min(low, known[0]), max(high, known[1]))

    def add_dropped(self, name: str, share: float) -> None:
        """A sample's share; `samples` counts those before it."""
        low, mean, high = self.dropped.get(name, (share, share, share))
        low, high = min(low, share), max(high, share)
        mean += (share - mean) / (self.samples + 1)
        self.dropped[name] = low, min(max(mean, low), high), high  # whatever a sum of floats is

    def add_internal(self, name: str, quantity: str, data: np.ndarray) -> None:
        if data.size == 0:
            return
        inner = self.internals.setdefault(name, {})
        low, high = float(data.min()), float(data.max())
        known = inner.get(quantity)
        inner[quantity] = (low, high) if known is None else (min(low, known[0]), max(high, known[1]))


def _shares(value: object) -> Shares:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise ValueError("shares are not a triple")
    low, mean, high = map(float, value)
    if not 0.0 <= low <= mean <= high <= 1.0:
        raise ValueError("shares are not ordered within 0 and 1")
    return low, mean, high


def _interval(value: object) -> Interval:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError("a range is not a pair")
    low, high = float(value[0]), float(value[1])
    if not low <= high:
        raise ValueError("a range is not ordered")
    return low, high


def _layout(value: dict[str, Any]) -> Layout:
    first, second = value["sides"]
    return Layout(**{**value, "sides": (first, second)})


def calibrate(
    imported: Imported,
    model_path: str | Path,
    samples: Sequence[dict[str, np.ndarray]] | None,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
    replaced: Mapping[str, Approximation] | None = None,
) -> Calibration:
    """Measure every value on `samples` (graph inputs by name), or on generated ones when None; progress in
    samples.

    Where approximations stand for other functions than the model's (`replaced`, by results' names), the
    values after them are others, too: then all are computed with these. Raises MpccError MPC-F040 when a
    sample lacks an input or has a wrong shape, or a value is not finite.
    """
    result = Calibration()
    if samples is None:
        samples = generate_samples(imported.inputs, seed)
        result.warnings = (
            "ranges were calibrated on generated inputs, which rarely reach what real ones do: "
            "give real inputs with --calibrate",
        )
    by_tensor: dict[str, list[str]] = {}
    for name, tensor in () if replaced else imported.tensor_names.items():
        by_tensor.setdefault(tensor, []).append(name)
    types = {v.name: v.type for o in imported.program.operations for v in o.results}
    tensors = [t for t, names in by_tensor.items() if getattr(types[names[0]], "dtype", "") == "float"]
    original = session(with_extra_outputs(model_path, tensors).SerializeToString(), Path(model_path).parent)
    for sample in samples:
        _check_sample(imported.inputs, sample)
        measured = dict(zip(tensors, run(original, tensors, sample), strict=True)) if tensors else {}
        known = {name: data for tensor, data in measured.items() for name in by_tensor[tensor]}
        _measure(imported, run_local(imported, sample), known, result, replaced)
        result.samples += 1
        progress(result.samples, len(samples))
    return result


def _measure(
    imported: Imported,
    arrays: dict[str, np.ndarray],
    known: dict[str, np.ndarray],
    result: Calibration,
    replaced: Mapping[str, Approximation] | None,
) -> None:
    """Values are dropped as soon as they are measured: those between tokens would fill the memory."""

    def add(name: str, computed: np.ndarray) -> None:
        data = known.pop(name, computed)
        if data.size == 0:
            return
        if not np.all(np.isfinite(data)):
            data = computed  # onnxruntime has NaN where a guarded softmax has a fully masked row
        if not np.all(np.isfinite(data)):
            raise MpccError(
                "MPC-F040",
                f"value '{name}' is not finite on a calibration sample",
                remedy="check the sample and the model's weights",
            )
        result.add_range(name, float(data.min()), float(data.max()))

    def observe(operation: Operation, operands: list[np.ndarray], y: np.ndarray) -> None:
        measure_internals(result, operation, operands)
        if operation.kind in _CLAIMS:
            share = 1.0 - float(y.sum()) / max(1.0, float(operands[0].sum()))
            result.add_dropped(operation.result.name, share)
        add(operation.result.name, y)

    for operation in imported.program.operations:
        if operation.kind == "input":
            add(operation.result.name, arrays[str(operation.attributes["name"])])
        elif operation.kind == "constant" and not result.samples:  # the first sample tells
            add(operation.result.name, imported.program.constants[str(operation.attributes["name"])])
    evaluate(imported.program, arrays, observe=observe, keep_all=False, replaced=replaced)


def measure_internals(result: Calibration, operation: Operation, operands: list[np.ndarray]) -> None:
    """Add what the operation sees inside, on these operands."""
    name, x = operation.result.name, operands[0]
    if operation.kind == "softmax":
        keep = operands[1] if len(operands) > 1 else np.ones(())
        _measure_softmax(result, name, x, Softmax.kept(x.shape, keep, operation.attributes))
    elif operation.kind == "layer_norm":
        centred = x - x.mean(axis=-1, keepdims=True)
        result.add_internal(name, "centred", centred)
        result.add_internal(name, "variance", _nonzero(np.square(centred).mean(axis=-1)))
    elif operation.kind == "rms_norm":
        result.add_internal(name, "mean_square", _nonzero(np.square(x).mean(axis=-1)))
    elif operation.kind == "l2_normalize":
        result.add_internal(name, "sum_square", _nonzero(np.square(x).sum(axis=-1)))
    elif operation.kind == "div":
        result.add_internal(name, "divisor", operands[1])
    elif operation.kind in _MEASURED_INPUT:
        result.add_internal(name, "input", x)


def _nonzero(squares: np.ndarray) -> np.ndarray:
    """Without rows of zeros, up to rounding: a normalisation leaves them zero whatever the factor."""
    kept = squares[squares > ROUNDING * squares.max(initial=0.0)]
    return kept if kept.size else squares


def _measure_softmax(result: Calibration, name: str, x: np.ndarray, keep: np.ndarray) -> None:
    rows = keep.any(axis=-1)
    result.add_internal(name, "scores", x)
    top = np.where(keep, x, -np.inf).max(axis=-1)
    result.add_internal(name, "row_max", top[rows])
    result.add_internal(name, "row_max_minus_mean", (top - x.mean(axis=-1))[rows])
    below = x - np.where(rows, top, 0.0)[..., None]
    result.add_internal(name, "score_minus_max", below[keep])
    total = np.where(keep, np.exp(np.where(keep, below, 0.0)), 0.0).sum(axis=-1)
    result.add_internal(name, "row_sum", total[rows])
    count = np.maximum(keep.sum(axis=-1), 1)
    mean = np.where(keep, x, 0.0).sum(axis=-1) / count
    result.add_internal(name, "row_mean", mean[rows])
    spread = np.square(np.where(keep, x - mean[..., None], 0.0)).sum(axis=-1) / count
    result.add_internal(name, "row_variance", spread[rows])


def _check_sample(specs: Sequence[InputSpec], sample: dict[str, np.ndarray]) -> None:
    for spec in specs:
        array = sample.get(spec.name)
        if array is None or array.shape != spec.shape or array.dtype != np.dtype(spec.dtype):
            found = "is missing" if array is None else f"is {array.dtype}{list(array.shape)}"
            raise MpccError(
                "MPC-F040",
                f"calibration input '{spec.name}' {found}, the model takes {spec.dtype}{list(spec.shape)}",
                remedy="save the sample under the graph's input names, with the compiled shapes",
            )


def generate_samples(
    specs: Sequence[InputSpec], seed: int, count: int = _GENERATED
) -> list[dict[str, np.ndarray]]:
    """Random inputs: normal floats, ids inside their tables, masks that keep a prefix (the first sample keeps
    all).
    """
    generator = np.random.default_rng(seed)
    samples: list[dict[str, np.ndarray]] = []
    for index in range(count):
        sample: dict[str, np.ndarray] = {}
        for spec in specs:
            dtype = np.dtype(spec.dtype)
            data: np.ndarray
            if dtype.kind == "f":
                data = generator.standard_normal(spec.shape)
            elif (spec.min, spec.max) == (0, 1) and spec.shape:
                data = _prefix_mask(generator, spec.shape, index == 0)
            else:
                high = 1 if spec.max is None else spec.max
                data = generator.integers(spec.min or 0, high + 1, spec.shape)
            sample[spec.name] = data.astype(dtype)
        samples.append(sample)
    return samples


def _prefix_mask(generator: np.random.Generator, shape: tuple[int, ...], full: bool) -> np.ndarray:
    """Ones up to a random length of at least one along the last axis."""
    lengths = np.full(shape[:-1], shape[-1]) if full else generator.integers(1, shape[-1] + 1, shape[:-1])
    return np.arange(shape[-1]) < lengths[..., None]
