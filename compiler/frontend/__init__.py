"""From an ONNX file to a tensor-stage program."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from mpcc.compiler.frontend.imported import Imported, InputSpec, OutputSpec, Recognised
from mpcc.compiler.frontend.inputs import input_specs, label_inputs
from mpcc.compiler.frontend.lift import lift
from mpcc.compiler.frontend.lift.context import Lifting
from mpcc.compiler.frontend.load import load_model
from mpcc.ir.diagnostics import Diagnostics
from mpcc.ir.program import Builder, Stage
from mpcc.passes.fold_public import fold_public
from mpcc.passes.recognise.activations import recognise_activations
from mpcc.passes.recognise.attention import recognise_attention_nodes
from mpcc.passes.recognise.broadcasts import shrink_local_factors
from mpcc.passes.recognise.counts import count
from mpcc.passes.recognise.graph import Rewriter, remove_dead, shape
from mpcc.passes.recognise.linears import recognise_linears
from mpcc.passes.recognise.masks import recognise_masks
from mpcc.passes.recognise.norms import recognise_norms
from mpcc.passes.recognise.public_constants import declassify
from mpcc.passes.recognise.scales import fold_scales
from mpcc.passes.recognise.selects import gather_by_one_hot, select_by_factor
from mpcc.passes.recognise.simplify import divisions_by_local_values, simplify
from mpcc.passes.split_local import label, split_local

__all__ = ["Imported", "InputSpec", "OutputSpec", "Recognised", "import_model"]

_WHO = {
    "0": "party0",
    "1": "party1",
    "party0": "party0",
    "party1": "party1",
    "public": "public",
    "both": "both",
}


def import_model(
    path: str | Path, dims: dict[str, int], owners: dict[str, str], reveals: dict[str, str]
) -> Imported:
    """Import an ONNX file.

    `dims` binds symbolic dimensions; `owners` maps input names to "0", "1" or "public" (default "1");
    `reveals` maps output names to "0", "1" or "both" (default "1"). Raises MpccError with MPC-F codes;
    unsupported operations all at once.
    """
    path = Path(path)
    model = load_model(path, dims)
    graph = model.graph
    onnx_names = _tensor_names(graph)
    label_inputs(
        graph,
        _checked(owners, {str(v.name) for v in graph.inputs}, "--owner", ("party0", "party1", "public")),
    )
    revealed = _checked(
        reveals, {str(v.name) for v in graph.outputs}, "--reveal", ("party0", "party1", "both")
    )
    output_names = [str(v.name) for v in graph.outputs]
    diagnostics = Diagnostics()
    rewrite = Rewriter(graph, graph.opset_imports.get("", 0))
    fold_public(rewrite, diagnostics)
    diagnostics.raise_if_any()
    simplify(rewrite)
    declassify(rewrite)
    recognise_attention_nodes(rewrite, diagnostics)
    recognise_masks(rewrite, diagnostics)
    recognise_norms(rewrite)
    recognise_activations(rewrite)
    recognise_linears(rewrite)
    label(graph)
    divisions_by_local_values(rewrite)
    select_by_factor(rewrite, diagnostics)
    gather_by_one_hot(rewrite)
    shrink_local_factors(rewrite)
    fold_scales(rewrite)
    remove_dead(graph)
    specs = input_specs(graph)
    split = split_local(graph)
    lifting = Lifting(Builder(path.stem, Stage.TENSOR))
    lift(graph, lifting, diagnostics)
    diagnostics.raise_if_any()
    program = lifting.builder.program
    outputs: list[OutputSpec] = []
    for name, value in zip(output_names, graph.outputs, strict=True):
        program.outputs[name] = lifting.value(value)
        assert value.dtype is not None
        outputs.append(OutputSpec(name, shape(value), value.dtype.numpy().name, revealed.get(name, "party1")))
    return Imported(
        program=program,
        local_model=split.model,
        local_outputs=split.outputs,
        recognised=Recognised(*count(program)),
        inputs=specs,
        outputs=tuple(outputs),
        public_scalars=tuple(rewrite.public.values()),
        tensor_names={value: name for value, name in lifting.names.items() if name in onnx_names},
    )


def _tensor_names(graph: ir.Graph) -> set[str]:
    return {str(v.name) for node in graph for v in node.outputs} | {str(v.name) for v in graph.inputs}


def _checked(given: dict[str, str], known: set[str], option: str, allowed: tuple[str, ...]) -> dict[str, str]:
    """Options by name with their parties spelled out; unknown names and parties are errors."""
    result: dict[str, str] = {}
    with Diagnostics() as diagnostics:
        for name, who in given.items():
            party = _WHO.get(who, "")
            if name not in known:
                diagnostics.add(
                    "MPC-F008",
                    f"{option} {name}: the model has no such name",
                    remedy=f"it has: {', '.join(sorted(known))}",
                )
            elif party not in allowed:
                short = ", ".join(k for k, v in _WHO.items() if v in allowed and not k.startswith("party"))
                remedy = f"use one of {short}"
                diagnostics.add("MPC-F009", f"{option} {name}={who}: not a party", remedy=remedy)
            result[name] = party
    return result
