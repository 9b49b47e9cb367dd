"""From an ONNX file to a tensor-stage program."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from mpcc.compiler.frontend.imported import Imported, InputSpec, OutputSpec, Recognised
from mpcc.compiler.frontend.inputs import input_specs, label_inputs
from mpcc.compiler.frontend.lift import lift, survey
from mpcc.compiler.frontend.lift.context import Lifting
from mpcc.compiler.frontend.load import load_model
from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.ir.program import Builder, Stage
from mpcc.passes.fold_public import fold_public
from mpcc.passes.recognise import recognise
from mpcc.passes.recognise.counts import count
from mpcc.passes.recognise.graph import Rewriter, remove_dead, shape
from mpcc.passes.split_local import split_local

__all__ = ["Imported", "InputSpec", "OutputSpec", "Recognised", "import_model"]

_OWNERS = {"0": "party0", "1": "party1", "public": "public"}
_REVEALS = {"0": "party0", "1": "party1", "both": "both"}


def import_model(
    path: str | Path, dims: dict[str, int], owners: dict[str, str], reveals: dict[str, str]
) -> Imported:
    """Import an ONNX file.

    `dims` binds symbolic dimensions; `owners` maps input names to "0", "1" or "public" (default "1");
    `reveals` maps output names to "0", "1" or "both" (default "1"). Raises MpccError with MPC-F codes;
    unsupported operations all at once.
    """
    path = Path(path)
    graph = load_model(path, dims).graph
    owned = _parties(owners, {str(v.name) for v in graph.inputs}, "--owner", _OWNERS)
    revealed = _parties(reveals, {str(v.name) for v in graph.outputs}, "--reveal", _REVEALS)
    label_inputs(graph, owned)
    try:
        return _import_graph(graph, path.stem, revealed)
    except MpccError:
        raise
    except Exception as error:  # what onnx's checker lets pass may still contradict itself anywhere below
        raise MpccError(
            "MPC-F010",
            f"the model is inconsistent: {error}",
            remedy="run the model in onnxruntime; if it works there, report this model's structure",
            where=str(path),
        ) from error


def _import_graph(graph: ir.Graph, name: str, revealed: dict[str, str]) -> Imported:
    onnx_names = {str(v.name) for node in graph for v in node.outputs} | {str(v.name) for v in graph.inputs}
    output_names = [str(v.name) for v in graph.outputs]
    rewrite = Rewriter(graph, graph.opset_imports.get("", 0))
    diagnostics = Diagnostics()
    fold_public(rewrite, diagnostics)
    if diagnostics.errors:
        survey(graph, diagnostics)
    diagnostics.raise_if_any()
    dtypes = [v.dtype for v in graph.outputs]  # before casts between floats are dropped
    recognise(rewrite, diagnostics)
    remove_dead(graph)
    specs = input_specs(graph)
    split = split_local(graph)
    lifting = Lifting(Builder(name, Stage.TENSOR))
    lift(graph, lifting, diagnostics)
    diagnostics.raise_if_any()
    program = lifting.builder.program
    outputs: list[OutputSpec] = []
    for output, value, dtype in zip(output_names, graph.outputs, dtypes, strict=True):
        if 0 in shape(value):
            raise MpccError(
                "MPC-F011", f"output '{output}' has no elements", remedy="remove it from the model's outputs"
            )
        program.outputs[output] = lifting.value(value)
        assert dtype is not None
        reveal = revealed.get(output, "party1")
        outputs.append(OutputSpec(output, shape(value), dtype.numpy().name, reveal))
    return Imported(
        program=program,
        local_model=split.model,
        local_outputs=split.outputs,
        recognised=Recognised(*count(program)),
        inputs=specs,
        outputs=tuple(outputs),
        public_scalars=tuple(rewrite.public.values()),
        tensor_names={value: tensor for value, tensor in lifting.names.items() if tensor in onnx_names},
    )


def _parties(given: dict[str, str], known: set[str], option: str, allowed: dict[str, str]) -> dict[str, str]:
    """Options by name with their parties spelled out; unknown names and parties are errors."""
    with Diagnostics() as diagnostics:
        for name, who in given.items():
            if name not in known:
                there = ", ".join(sorted(known))
                diagnostics.add(
                    "MPC-F008", f"{option} {name}: the model has no such name", remedy=f"it has: {there}"
                )
            elif who not in allowed:
                remedy = f"use one of {', '.join(allowed)}"
                diagnostics.add("MPC-F009", f"{option} {name}={who}: not a party", remedy=remedy)
    return {name: allowed[who] for name, who in given.items()}
