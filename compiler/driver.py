"""The pipeline from an ONNX file to a program folder: one function, a straight list of passes."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mpcc.compiler.backend.emit import Compiled, emit
from mpcc.compiler.calibrate import Calibration, Progress, calibrate, generate_samples
from mpcc.compiler.choose.choose import Judge
from mpcc.compiler.choose.experts.choose import ExpertsChoice, choose_experts
from mpcc.compiler.choose.experts.record import record as experts_record
from mpcc.compiler.choose.experts.request import ExpertsRequest
from mpcc.compiler.choose.probe import Probes
from mpcc.compiler.choose.record import record
from mpcc.compiler.choose.uses import Uses, unused, uses
from mpcc.compiler.cost.making import choose_extension
from mpcc.compiler.cost.model import cost_of
from mpcc.compiler.cost.network import NETWORKS, Network
from mpcc.compiler.cost.report import predict
from mpcc.compiler.distilled import distilled_for, warnings
from mpcc.compiler.frontend import import_model
from mpcc.compiler.frontend.apart import weights_apart
from mpcc.compiler.frontend.check import check_against_onnxruntime
from mpcc.compiler.frontend.imported import Imported
from mpcc.compiler.samples import split_samples
from mpcc.ir.correlation_source import CorrelationSource, source_attributes
from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Program
from mpcc.ir.types import Range
from mpcc.passes.approximations.parse import BEST
from mpcc.passes.experts.expand import expand_experts
from mpcc.passes.lower import Formats
from mpcc.passes.pipeline import Lower, pipeline, run
from mpcc.runtime.program_folder import file_sha256

IMPORT_TOLERANCE = (
    1e-3  # of the output's largest magnitude: the imported program in floating point against onnxruntime
)
_LARGE = 1 << 26  # bytes of constants: a collection looks at every object of the process, 0.1 s and more
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What the user asked for; see the command line's options."""

    model: Path
    output: Path
    dims: dict[str, int] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    reveals: dict[str, str] = field(default_factory=dict)
    samples: Sequence[dict[str, np.ndarray]] | None = None
    ranges: Path | None = None
    formats: Formats = field(default_factory=Formats)
    network: Network = NETWORKS["lan"]
    check_ranges: bool = False
    preset: str = BEST
    approximations: dict[str, str] = field(default_factory=dict)  # by function, above the preset
    max_error: float | None = None
    experts: ExpertsRequest = field(default_factory=ExpertsRequest)
    correlations: CorrelationSource = CorrelationSource.DEALER


def compile_model(request: Request, tell: Tell, progress: Progress = lambda done, total: None) -> Compiled:
    """Compile and write the folder, whole or not at all. Raises MpccError.

    `tell` gets one line a phase, `progress` the samples done and all samples while ranges are calibrated.
    """
    _check_output(request.output)
    wanted = uses(request.preset, request.approximations)
    tell("importing")
    imported = import_model(request.model, request.dims, request.owners, request.reveals)
    imported.program.attributes.update(source_attributes(request.correlations))
    if sum(array.nbytes for array in imported.program.constants.values()) >= _LARGE:
        gc.collect()  # the model's graph refers to itself: it would stay, with a copy of the weights
    dumps: list[tuple[str, Program]] = [("import", imported.program)]
    given = Calibration.from_json(request.ranges.read_text(encoding="utf-8")) if request.ranges else None
    experts = choose_experts(
        imported.program, request.experts, request.formats, request.network, given.layouts if given else None
    )
    computed = _with_layouts(imported, experts)
    if experts:
        dumps.append(("experts", computed.program))
    with weights_apart(request.model) as model:
        tell("calibrating")
        samples = split_samples(imported.inputs, request.samples) if request.samples else None
        calibration = given or _calibration(model, imported, computed, samples, wanted, progress)
        ranges, internals = widened(calibration, request.formats.safety)
        tell("choosing")
        probes = Probes(computed.program, ranges, internals, request.formats, request.network)
        inputs = samples or generate_samples(imported.inputs, seed=0)
        judge = Judge(computed, model, inputs, probes, wanted, request.max_error, calibration.chosen)
        choices = judge.choices()
        trained_with = distilled_for(model)
    tell("lowering")
    reveals = {o.name: o.reveal.replace("both", "public") for o in imported.outputs}
    lowering = Lower(ranges, internals, reveals, request.formats, plan=choices.plan)
    passes = pipeline(lowering, request.check_ranges)
    program = run(passes, computed.program, lambda name, program: dumps.append((name, program)))
    tell("writing")
    if request.correlations is CorrelationSource.TWO_PARTY:
        choose_extension(program, request.network)
    cost = cost_of(program)
    compiled = Compiled(
        imported=imported,
        program=program,
        dumps=dumps,
        ranges=replace(
            calibration, chosen=choices.taken, layouts={c.value: c.taken.layout for c in experts}
        ).to_json(),
        cost=cost,
        prediction=predict(program, cost, request.network),
        options=_options(request),
        model_sha256=file_sha256(request.model),
        model_path=str(request.model.absolute()),
        shares=lowering.shares,
        approximations=record(choices, request.network),
        experts=experts_record(experts, request.network, calibration.dropped, not (request.samples or given)),
    )
    _write(compiled, request.output)
    kinds = {c.node.kind for c in choices.choices}
    replaced = warnings(wanted.serving(kinds), trained_with)
    idle = unused(request.approximations, kinds)
    for warning in (*imported.recognised.warnings, *calibration.warnings, *replaced, *idle):
        tell(f"warning: {warning}")
    return compiled


def widened(calibration: Calibration, safety: float) -> tuple[dict[str, Range], dict[tuple[str, str], Range]]:
    """Calibrated ranges with the safety factor: of values by name, inside operations by (name, quantity)."""
    ranges = {name: Range(*interval).widen(safety) for name, interval in calibration.ranges.items()}
    internals = {
        (name, quantity): Range(*interval).widen(safety)
        for name, quantities in calibration.internals.items()
        for quantity, interval in quantities.items()
    }
    return ranges, internals


def _with_layouts(imported: Imported, choices: Sequence[ExpertsChoice]) -> Imported:
    """The model with its mixtures of experts in the operations that compute them.

    Where a layout drops what the model does not, nothing after it equals the model's tensors: then none is
    taken for one, and all values are measured on the program.
    """
    if not choices:
        return imported
    program = expand_experts(imported.program, {c.value: c.taken.layout for c in choices})
    names = imported.tensor_names if all(c.exact for c in choices) else {}
    return replace(imported, program=program, tensor_names=names)


def _calibration(
    model: Path,
    imported: Imported,
    computed: Imported,
    samples: list[dict[str, np.ndarray]] | None,
    wanted: Uses,
    progress: Progress,
) -> Calibration:
    replaced = wanted.replaced(computed.program)
    calibration = calibrate(computed, model, samples, progress=progress, replaced=replaced)
    if samples:
        error = check_against_onnxruntime(imported, model, samples[0])
        outputs = [calibration.ranges[v.name] for v in imported.program.outputs.values()]
        magnitude = max((high - low for low, high in outputs), default=1.0)
        if not error <= IMPORT_TOLERANCE * max(1.0, magnitude):
            raise MpccError(
                "MPC-F050",
                f"the imported program differs from onnxruntime by {error:.3g} on a calibration input",
                remedy="this is a defect in mpcc: report it with the model's graph",
            )
    return calibration


def _options(request: Request) -> dict[str, Any]:
    return {
        "dims": request.dims,
        "owners": request.owners,
        "reveals": request.reveals,
        "correlations": str(request.correlations),
        "formats": vars(request.formats),
        "preset": request.preset,
        "approximations": {f: Path(name).name for f, name in request.approximations.items()},
        **({"max_error": request.max_error} if request.max_error is not None else {}),
        **({"check_ranges": True} if request.check_ranges else {}),
        **({"moe": request.experts.kind} if request.experts.kind else {}),
        **({"moe_capacity": str(request.experts.capacity)} if request.experts.capacity else {}),
    }


def _check_output(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise MpccError(
            "MPC-C010",
            "the output folder exists and is not empty",
            where=str(output),
            remedy="give a new folder with -o, or remove this one first",
        )
    place = next(parent for parent in output.absolute().parents if parent.is_dir())
    if not os.access(place, os.W_OK):
        raise _not_written(output, "permission denied")  # before minutes of work


def _write(compiled: Compiled, output: Path) -> None:
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        emit(compiled, partial)
        if output.exists():
            output.rmdir()
        os.rename(partial, output)
    except OSError as error:
        raise _not_written(output, error.strerror or "it cannot be made") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _not_written(output: Path, reason: str) -> MpccError:
    return MpccError(
        "MPC-C011",
        f"the program folder cannot be written: {reason}",
        where=str(output),
        remedy="check the folder's permissions and the free space",
    )
