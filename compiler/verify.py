"""`mpcc verify`: a secure run layer by layer against onnxruntime, and beside it the program in the clear."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np

from mpcc.compiler.backend.emit import LAYERS_NAME
from mpcc.compiler.both_parties import Arrays, run_both
from mpcc.compiler.dumps import read_share_program
from mpcc.compiler.inspect import VERIFY_NAME
from mpcc.compiler.layers import layer_of, layers_by_node
from mpcc.compiler.reference import Reference, reference, side_file
from mpcc.compiler.simulate import in_reals, ring, simulate
from mpcc.compiler.summary import VIEWS
from mpcc.compiler.text import table
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Sharing
from mpcc.passes.lower.context import ShareOf, bits_for
from mpcc.runtime.arrays_file import check_writable, read_inputs
from mpcc.runtime.events import Events
from mpcc.runtime.program_folder import load_party_folder, load_program_folder
from mpcc.runtime.report import Report, as_predicted, write_report
from mpcc.runtime.ring import F64, I64, decode

NOTICE = "verification: both parties run in this one process, which sees both shares of every layer"
LEGEND = (
    "Largest differences to onnxruntime: of the secure run, of the same integers in the clear (simulated),\n"
    "of the program without rounding (approximated), and of the model in floating point (exact)."
)
WITHOUT_PARTIES = ("simulated", "approximated", "exact")
WHOLE = (Sharing.SHARE, Sharing.PRIVATE0, Sharing.PRIVATE1, Sharing.PUBLIC)


@dataclass(frozen=True)
class Error:
    """How far a result is from onnxruntime's: the largest differences, from secure to plain.

    `max` of the secure run (`std` is its standard deviation, `relative` is over the reference's), `simulated`
    of the program in the clear, `approximated` of the program without rounding, so with its approximations
    only, `exact` of the imported model in floating point, which has neither.
    """

    max: float
    std: float
    relative: float
    simulated: float
    approximated: float
    exact: float


@dataclass(frozen=True)
class LayerError:
    """The error of one tensor-stage operation's result."""

    layer: str
    operation: str
    onnx_nodes: tuple[str, ...]
    error: Error


@dataclass(frozen=True)
class Verification:
    """`report` is R.json with its `error`; `simulated` are the outputs of the program in the clear."""

    outputs: Arrays
    simulated: Arrays
    output_errors: dict[str, Error]
    layers: list[LayerError]
    report: Report


def verify_command(
    program: Path, input_path: Path, model: Path | None, report_path: Path | None, events: Events
) -> str:
    """The text to print; the report is also left in the folder, for the report page.

    Raises MpccError: MPC-C031..C033 for the model, MPC-R0.. for program and input.
    """
    load_program_folder(program)
    inputs = read_inputs(input_path, load_party_folder(program / "party1").inputs)
    if report_path:
        check_writable(report_path)
    result = verify(program, inputs, model, events)
    for path in (report_path, program / VERIFY_NAME if os.access(program, os.W_OK) else None):
        if path:
            write_report(path, result.report)
    return describe(result)


def verify(program: Path, inputs: Arrays, model: Path | None, events: Events) -> Verification:
    """Run the program securely and in the clear on the client's inputs, and the model in onnxruntime."""
    events.tell("notice", NOTICE)
    expected = reference(program, model, inputs)
    types = {v.name: v for o in read_share_program(program).operations for v in o.results}
    shares = _comparable(program, expected, types)
    names = {n for s in shares.values() for n in (s.share, s.row_factor) if n is not None}
    secure = run_both(program, inputs, names, events)
    plain: dict[str, np.ndarray] = {}
    reals: dict[str, np.ndarray] = {}

    def decoded(name: str, integers: I64) -> np.ndarray:
        return decode(integers, ring(types[name]).fraction)

    def watch_integers(value: Value, integers: I64) -> None:
        if value.name in names:
            plain[value.name] = decoded(value.name, integers)

    def watch_reals(value: Value, numbers: F64) -> None:
        if value.name in names:
            reals[value.name] = numbers

    simulated = simulate(program, inputs, watch=watch_integers)
    approximated = in_reals(program, inputs, watch=watch_reals)
    shared = {name: decoded(name, integers) for name, integers in secure.values.items()}
    layers = layers_by_node(expected.program)
    errors = []
    for operation in expected.program.operations:
        name = operation.result.name
        share = shares.get(name)
        if share is None or not operation.onnx_nodes or operation.kind in VIEWS:
            continue
        wanted = expected.values[name]
        differences = [_difference(operation, share, expected, types, v) for v in (shared, plain, reals)]
        error = _error(wanted, [*differences, expected.computed[name] - wanted])
        errors.append(LayerError(layer_of(operation, layers), operation.kind, operation.onnx_nodes, error))
    exact = {name: expected.computed[v.name] for name, v in expected.program.outputs.items()}
    runs = (secure.outputs, simulated, approximated, exact)
    outputs = {
        name: _error(wanted, [run[name] - wanted for run in runs])
        for name, wanted in expected.outputs.items()
    }
    report = {**secure.report, "error": _report(outputs, errors)}
    return Verification(secure.outputs, simulated, outputs, errors, report)


def _comparable(program: Path, expected: Reference, types: dict[str, Value]) -> dict[str, ShareOf]:
    """Where the tensor-stage values went that are kept whole; an opening holds no share of its value."""
    known = json.loads(side_file(program, LAYERS_NAME))
    shares = {name: ShareOf(**fields) for name, fields in known.items() if name in expected.values}
    return {name: s for name, s in shares.items() if ring(types[s.share]).sharing in WHOLE}


def _difference(
    operation: Operation, share: ShareOf, expected: Reference, types: dict[str, Value], values: Arrays
) -> np.ndarray:
    """An operation's result minus the reference, from share-stage values as real numbers.

    A share may be kept in a narrower ring than its value, when all its consumers work modulo that ring (a
    sine series); then the difference is taken modulo it too.
    """
    wanted, kind = expected.values[operation.result.name], ring(types[share.share])
    actual = values[share.share]
    if share.row_factor is not None:
        actual = actual * values[share.row_factor]
    elif share.affine:
        gain, bias = (expected.constant(operation, index) for index in (1, 2))
        actual = actual * (1.0 if gain is None else gain) + (0.0 if bias is None else bias)
    difference = actual.reshape(wanted.shape) - wanted
    whole = kind.range is None or bits_for(kind.range, kind.fraction) <= kind.ring
    if kind.sharing is Sharing.SHARE and not whole and share.row_factor is None and not share.affine:
        period = 2.0 ** (kind.ring - kind.fraction)
        difference = np.remainder(difference + period / 2, period) - period / 2
    return np.asarray(difference)


def _error(wanted: np.ndarray, differences: list[np.ndarray]) -> Error:
    """From the differences of the secure run, the simulation, the reals and the model to what is wanted."""
    spread = float(np.std(wanted))
    largest, *others = (float(np.max(np.abs(d), initial=0.0)) for d in differences)
    return Error(largest, float(np.std(differences[0])), largest / spread if spread else 0.0, *others)


def _report(outputs: dict[str, Error], layers: list[LayerError]) -> Report:
    """`error` in R.json: the worst of the outputs, each output, each layer's operations."""
    return {
        "max": max(e.max for e in outputs.values()),
        "relative": max(e.relative for e in outputs.values()),
        **{name: max(getattr(e, name) for e in outputs.values()) for name in WITHOUT_PARTIES},
        "outputs": {name: asdict(error) for name, error in outputs.items()},
        "layers": [
            {"layer": e.layer, "operation": e.operation, "onnx_nodes": e.onnx_nodes, **asdict(e.error)}
            for e in layers
        ],
    }


def describe(result: Verification) -> str:
    """Errors by layer and of the outputs, and whether the cost was as predicted, as text."""
    head = ("layer", "operation", "secure", "std", "of the value's std", *WITHOUT_PARTIES, "ONNX node")
    rows = [(e.layer, e.operation, *_cells(e.error), e.onnx_nodes[-1]) for e in result.layers]
    rows += [("output", name, *_cells(error), "") for name, error in result.output_errors.items()]
    report = result.report
    online = report["bytes"]["online"]
    sent = f"{online['party0']:,} bytes from party 0, {online['party1']:,} from party 1"
    verdict = "exactly as predicted" if as_predicted(report) else "NOT as predicted"
    return f"{table(head, rows)}\n\n{LEGEND}\n\n{report['rounds']} rounds, {sent}: {verdict}"


def _cells(error: Error) -> tuple[str, ...]:
    return tuple(f"{number:.3g}" for number in astuple(error))
