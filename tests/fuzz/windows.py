"""Small models to start from: windows of the nodes of the models in tests/models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import onnx

from mpcc.ir.diagnostics import MpccError

PROGRAMS = Path(__file__).parents[2] / "build" / "fuzz" / "programs"
MODELS = Path(__file__).parents[1] / "models"
SIZES = (1, 4, 10, 24, 60)  # nodes
MAX_BYTES = 24000


def windows_of_models() -> Iterator[bytes]:
    """Models of consecutive nodes: what comes from before is an input, what goes on is an output."""
    for path in sorted(MODELS.glob("*.onnx")):
        model = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
        for size in SIZES:
            for window in _windows(model, size):
                data = window.SerializeToString()
                if len(data) <= MAX_BYTES:
                    yield data


def compiled_windows() -> Path:
    """A folder of the program folders of those windows that compile, one for each set of operations; kept
    for the next time. Takes a minute.
    """
    from mpcc.compiler.driver import Request, compile_model

    if not PROGRAMS.is_dir():
        partial = PROGRAMS.with_name("programs.partial")
        shutil.rmtree(partial, ignore_errors=True)
        seen: set[tuple[str, ...]] = set()
        for number, data in enumerate(windows_of_models()):
            operations = tuple(sorted(node.op_type for node in onnx.load_from_string(data).graph.node))
            if operations not in seen:
                seen.add(operations)
                partial.mkdir(parents=True, exist_ok=True)
                model = partial / f"{number}.onnx"
                model.write_bytes(data)
                with suppress(MpccError):  # a window may begin or end where no model would
                    compile_model(Request(model, partial / str(number)), lambda line: None)
        partial.rename(PROGRAMS)
    return PROGRAMS


def _windows(model: onnx.ModelProto, size: int) -> Iterator[onnx.ModelProto]:
    graph = model.graph
    infos = {v.name: v for v in (*graph.value_info, *graph.input, *graph.output)}
    initializers = {t.name: t for t in graph.initializer}
    constants = {n.output[0]: n for n in graph.node if n.op_type == "Constant"}
    nodes = [n for n in graph.node if n.op_type != "Constant"]
    for start in range(0, max(1, len(nodes) - size // 2), max(1, size // 2)):
        part = nodes[start : start + size]
        made = {name for node in part for name in node.output}
        read = dict.fromkeys(name for node in part for name in node.input if name)
        before = [name for name in read if name not in made]
        given = [name for name in before if name not in initializers and name not in constants]
        results = [name for node in part for name in node.output if name and name not in read]
        if not all(name in infos for name in (*given, *results)):
            continue
        window = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
        window.functions.extend(model.functions)
        window.graph.name = "window"
        for node in (*(constants[name] for name in before if name in constants), *part):
            copied = window.graph.node.add()
            copied.CopyFrom(node)
            copied.ClearField("doc_string")
            copied.ClearField("metadata_props")
        window.graph.initializer.extend(initializers[name] for name in before if name in initializers)
        window.graph.input.extend(infos[name] for name in given)
        window.graph.output.extend(infos[name] for name in results)
        yield window
