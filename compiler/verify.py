"""`mpcc verify`: both parties in one process, their shares of every layer put together and compared with onnxruntime.

One process sees both shares here, so this is for a model's owner and for tests; `mpcc run` and the party executables
never record a share.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mpcc.compiler.backend.emit import LAYERS_NAME
from mpcc.compiler.dumps import read_share_program
from mpcc.compiler.layers import layer_of, layers_by_node
from mpcc.compiler.reference import Reference, reference
from mpcc.compiler.simulate import ring, simulate
from mpcc.compiler.text import table
from mpcc.ir.program import Operation, Value
from mpcc.ir.types import Sharing
from mpcc.passes.lower.context import ShareOf, bits_for
from mpcc.runtime.arrays_file import check_writable, read_inputs
from mpcc.runtime.dealer import deal_sessions
from mpcc.runtime.events import Events
from mpcc.runtime.executor import execute
from mpcc.runtime.program_folder import load_party_folder, load_program_folder
from mpcc.runtime.report import Report, merge_reports, party_report, write_report
from mpcc.runtime.ring import I64, U64, reduce, signed
from mpcc.runtime.session import SessionResult, run_session
from mpcc.runtime.store import Store
from mpcc.runtime.transport.in_process import channel_pair

Arrays = dict[str, np.ndarray]
NOTICE = "verification: both parties run in this one process, which sees both shares of every layer"


@dataclass(frozen=True)
class Error:
    """How far a result is from onnxruntime's: the largest and the standard deviation of the differences, and the
    largest over the reference's standard deviation; `simulated` is the largest of the program in the clear."""

    max: float
    std: float
    relative: float
    simulated: float


@dataclass(frozen=True)
class LayerError:
    """The error of one tensor-stage operation's result."""

    layer: str
    operation: str
    onnx_nodes: tuple[str, ...]
    error: Error


@dataclass(frozen=True)
class Verification:
    """`report` is R.json with its `error` filled in; `simulated` are the outputs of the program in the clear."""

    outputs: Arrays
    simulated: Arrays
    output_errors: dict[str, Error]
    layers: list[LayerError]
    report: Report


def verify_command(
    program: Path, input_path: Path, model: Path | None, report_path: Path | None, events: Events
) -> str:
    """The text to print. Raises MpccError: MPC-C031 and MPC-C032 for the model, MPC-R0.. for the program and the input."""
    inputs = read_inputs(input_path, load_party_folder(program / "party1").inputs)
    if report_path:
        check_writable(report_path)
    result = verify(program, inputs, model, events)
    if report_path:
        write_report(report_path, result.report)
    return describe(result)


def verify(program: Path, inputs: Arrays, model: Path | None, events: Events) -> Verification:
    """Run the program securely and in the clear on the client's inputs, and compare with the model in onnxruntime."""
    events.tell("notice", NOTICE)
    expected = reference(program, model, inputs)
    known = json.loads((program / LAYERS_NAME).read_text(encoding="utf-8"))
    shares = {name: ShareOf(**fields) for name, fields in known.items() if name in expected.values}
    names = {n for s in shares.values() for n in (s.share, s.row_factor) if n is not None}
    secure, results = _run_both(program, inputs, names, events)
    share_values = {v.name: v for o in read_share_program(program).operations for v in o.results}
    plain: dict[str, I64] = {}
    simulated = simulate(program, inputs, watch=_recorder(plain, names))
    layers = layers_by_node(expected.program)
    errors = []
    for operation in expected.program.operations:
        entry = shares.get(operation.result.name)
        if entry is not None and operation.onnx_nodes:
            measure = partial(_layer_error, operation, entry, expected, share_values)
            error = Error(*_errors(expected.values[operation.result.name], measure(secure)), _largest(measure(plain)))
            errors.append(LayerError(layer_of(operation, layers), operation.kind, operation.onnx_nodes, error))
    outputs = results[1].outputs
    output_errors = {
        name: Error(*_errors(expected.outputs[name], array - expected.outputs[name]), _largest(simulated[name] - expected.outputs[name]))
        for name, array in outputs.items()
    }
    report = _report(program, results, output_errors, errors)
    return Verification(outputs, simulated, output_errors, errors, report)


def describe(result: Verification) -> str:
    """Errors by layer and of the outputs, and the run's cost, as text."""
    head = ("layer", "operation", "max error", "std", "of the value's std", "simulated", "ONNX node")
    rows = [
        (e.layer, e.operation, *_cells(e.error), ", ".join(e.onnx_nodes[-1:]))
        for e in result.layers
    ]
    outputs = [("output", name, *_cells(error), "") for name, error in result.output_errors.items()]
    online = result.report["bytes"]["online"]
    exact = result.report["rounds"] == result.report["predicted"]["rounds"] and online == result.report["predicted"]["bytes"]["online"]
    return "\n".join(
        (
            table(head, [*rows, *outputs]),
            "",
            f"{result.report['rounds']} rounds, {online['party0']:,} bytes from party 0, {online['party1']:,} from party 1: "
            + ("as predicted" if exact else "NOT as predicted"),
        )
    )


def _cells(error: Error) -> tuple[str, ...]:
    return f"{error.max:.3g}", f"{error.std:.3g}", f"{error.relative:.3g}", f"{error.simulated:.3g}"


def _run_both(
    program: Path, inputs: Arrays, names: set[str], events: Events
) -> tuple[dict[str, I64], tuple[SessionResult, SessionResult]]:
    """One session in two threads. Returns the named values as signed integers, and both parties' results."""
    watched: list[dict[str, I64]] = [{name: np.zeros(0, np.int64) for name in names} for _ in range(2)]
    results: dict[int, SessionResult] = {}
    failures: list[BaseException] = []

    with tempfile.TemporaryDirectory(prefix="mpcc-verify-") as folder:
        deal_sessions(program, 1, Path(folder) / "store", partial(events.progress, "dealing"))
        channels = channel_pair()

        def party(index: int) -> None:
            try:
                loaded = load_party_folder(program / f"party{index}")
                store = Store(Path(folder) / "store" / f"party{index}", index, loaded.program_hash, loaded.weights_sha256)
                run = partial(execute, watched=watched[index])
                progress = partial(events.progress, "online") if index == 1 else _ignore
                results[index] = run_session(loaded, channels[index], store, run, inputs if index else None, progress)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=party, args=(index,), daemon=True) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    types = {v.name: ring(v) for o in read_share_program(program).operations for v in o.results}
    values = {}
    for name in names:
        held = [w[name].view(np.uint64) for w in watched if name in w]
        if types[name].sharing is Sharing.SHARE:
            values[name] = signed(reduce(held[0] + held[1], types[name].ring), types[name].ring)
        else:
            values[name] = held[0].view(np.int64)
    return values, (results[0], results[1])


def _layer_error(
    operation: Operation, entry: ShareOf, expected: Reference, share_values: dict[str, Value], values: dict[str, I64]
) -> np.ndarray:
    """Differences of an operation's result from the reference, on integers of share-stage values.

    A share may be kept in a narrower ring than its value when all its consumers work modulo that ring (a sine series);
    then the difference is taken modulo it too.
    """
    wanted, share = expected.values[operation.result.name], ring(share_values[entry.share])
    unit = 2.0**-share.fraction
    actual = values[entry.share] * unit
    if entry.row_factor is not None:
        actual = actual * (values[entry.row_factor] * 2.0 ** -ring(share_values[entry.row_factor]).fraction)
    elif entry.affine:
        gain, bias = (expected.constant(operation, index) for index in (1, 2))
        actual = actual * (1.0 if gain is None else gain) + (0.0 if bias is None else bias)
    elif share.sharing is Sharing.SHARE and share.range is not None and bits_for(share.range, share.fraction) > share.ring:
        period = 2.0**share.ring * unit
        return np.remainder(actual.reshape(wanted.shape) - wanted + period / 2, period) - period / 2
    return actual.reshape(wanted.shape) - wanted


def _errors(wanted: np.ndarray, difference: np.ndarray) -> tuple[float, float, float]:
    spread = float(np.std(wanted))
    largest = _largest(difference)
    return largest, float(np.std(difference)), largest / spread if spread else float(largest > 0)


def _largest(difference: np.ndarray) -> float:
    return float(np.max(np.abs(difference), initial=0.0))


def _recorder(target: dict[str, I64], names: set[str]) -> Callable[[Value, I64], None]:
    def record(value: Value, integers: I64) -> None:
        if value.name in names:
            target[value.name] = integers

    return record


def _report(
    program: Path,
    results: tuple[SessionResult, SessionResult],
    outputs: dict[str, Error],
    layers: list[LayerError],
) -> Report:
    """R.json: as `mpcc run` writes it, without the dealer's time, and with `error`."""
    predicted = load_program_folder(program).manifest["predicted"]
    report = merge_reports(*(party_report(i, r) for i, r in enumerate(results)), 0.0, predicted)
    report["error"] = {
        "max": max(e.max for e in outputs.values()),
        "relative": max(e.relative for e in outputs.values()),
        "simulated": max(e.simulated for e in outputs.values()),
        "outputs": {name: asdict(error) for name, error in outputs.items()},
        "layers": [
            {"layer": e.layer, "operation": e.operation, "onnx_nodes": list(e.onnx_nodes), **asdict(e.error)} for e in layers
        ],
    }
    return report


def _ignore(done: int, total: int) -> None:
    pass
