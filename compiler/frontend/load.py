"""Reading an ONNX file: contained, checked, inlined, with symbolic dimensions bound."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
import onnx.inliner
import onnx_ir as ir
from onnx_ir.passes import common

from mpcc.ir.diagnostics import Diagnostics, MpccError
from mpcc.passes.recognise.graph import MAX_ELEMENTS

MIN_OPSET, MAX_OPSET = 13, 24
# What NumPy has too: inputs and outputs are arrays.
_TYPES = (
    "FLOAT",
    "DOUBLE",
    "FLOAT16",
    "BOOL",
    *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)),
)
_MOST_IN_A_BYTE = 8  # elements
_LITERAL_SIZE = 1024  # elements


def load_model(path: Path, dims: dict[str, int]) -> ir.Model:
    """The checked model with static input shapes; external data stays memory-mapped.

    Raises MpccError (MPC-F001 .. MPC-F007, MPC-F011, MPC-F012) for files that are missing, malformed, out of
    the supported opsets, refer to data outside their folder, or have a dimension that `dims` does not bind.
    """
    proto = _parse(path)
    _check_names(proto, path)
    _check_sizes(proto, path)
    _check_external_data(proto, path)
    _move_accidents(proto)
    _check_model(proto, path)
    _check_opset(proto)
    try:
        if proto.functions:
            proto = onnx.inliner.inline_local_functions(proto)
        model = ir.from_proto(proto)
        ir.external_data.set_base_dir(model.graph, path.resolve().parent)
        _check_types(model.graph)
        _bind_dimensions(model.graph, dims)
        common.RemoveInitializersFromInputsPass()(model)
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        _merge_literals(model.graph)
        common.CommonSubexpressionEliminationPass()(model)
    except MpccError:
        raise
    except Exception as error:  # the inliner and onnx-ir meet what onnx's checker let pass
        raise _malformed(path, str(error)) from error
    return model


def _merge_literals(graph: ir.Graph) -> None:
    """One initializer for equal integers, truth values and float scalars, so that what is computed from them
    is equal too.

    Float arrays are left alone, though they may be equal: the program's form must not depend on the weights'
    values.
    """
    known: dict[tuple[object, ...], ir.Value] = {}
    for name, value in list(graph.initializers.items()):
        tensor = value.const_value
        if (
            tensor is None
            or tensor.size > _LITERAL_SIZE
            or (tensor.dtype.is_floating_point() and tensor.size != 1)
        ):
            continue
        first = known.setdefault((tensor.dtype, tuple(tensor.shape.numpy()), tensor.tobytes()), value)
        if first is not value and not value.is_graph_output():
            ir.convenience.replace_all_uses_with(value, first)
            del graph.initializers[name]


def _malformed(path: Path, detail: str) -> MpccError:
    return MpccError(
        "MPC-F002",
        f"not a valid ONNX model: {detail.strip().splitlines()[0] if detail.strip() else 'unreadable'}",
        remedy="export the model again",
        where=str(path),
    )


def _parse(path: Path) -> onnx.ModelProto:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MpccError(
            "MPC-F001",
            f"the model cannot be read: {error.strerror}",
            remedy="check the path",
            where=str(path),
        ) from error
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError; its package has no types
        raise _malformed(path, str(error)) from error
    if not proto.HasField("graph") or not proto.opset_import:
        raise _malformed(path, "it holds no graph")
    return proto


def _parts(proto: onnx.ModelProto) -> tuple[list[onnx.GraphProto], list[onnx.NodeProto]]:
    """All graphs and all nodes of a model, those of functions and subgraphs included."""
    graphs, nodes = [proto.graph], [n for f in proto.functions for n in f.node]
    nodes.extend(proto.graph.node)
    for node in nodes:  # which grows meanwhile
        for attribute in node.attribute:
            inner = [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
            graphs.extend(inner)
            nodes.extend(n for graph in inner for n in graph.node)
    return graphs, nodes


def _check_names(proto: onnx.ModelProto, path: Path) -> None:
    """protobuf gives a name that is not UTF-8 as bytes, which nothing here expects."""
    graphs, nodes = _parts(proto)
    names: list[str | bytes] = [name for n in nodes for name in (n.name, n.op_type, n.domain)]
    names += [name for n in nodes for name in (*n.input, *n.output, *(a.name for a in n.attribute))]
    names += [named.name for g in graphs for named in (g, *g.input, *g.output, *g.value_info, *g.initializer)]
    names += [text for t in _tensors(proto) for e in t.external_data for text in (t.name, e.key, e.value)]
    names += [d.dim_param for value in proto.graph.input for d in value.type.tensor_type.shape.dim]
    if not all(isinstance(name, str) for name in names):
        raise _malformed(path, "a name in it is not UTF-8 text")


def _check_sizes(proto: onnx.ModelProto, path: Path) -> None:
    """onnx's checker does not compare the shape with the data for every type."""
    for tensor in _tensors(proto):
        inside = tensor.data_location != onnx.TensorProto.EXTERNAL
        if inside and math.prod(tensor.dims) > _MOST_IN_A_BYTE * tensor.ByteSize():
            raise _malformed(path, f"the tensor '{tensor.name}' has fewer elements than its shape says")


def _tensors(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    """All tensors that may refer to external data: initializers and attributes, subgraphs included."""
    graphs, nodes = _parts(proto)
    found = [t for graph in graphs for t in graph.initializer]
    found.extend(t for graph in graphs for s in graph.sparse_initializer for t in (s.values, s.indices))
    for attribute in (a for node in nodes for a in node.attribute):
        found.extend([attribute.t] if attribute.HasField("t") else [])
        found.extend(attribute.tensors)
    return found


def _check_external_data(proto: onnx.ModelProto, path: Path) -> None:
    """External data must be regular files inside the model's own folder, with offset and length inside the
    file.
    """
    folder = path.resolve().parent
    with Diagnostics() as diagnostics:
        for tensor in _tensors(proto):
            if tensor.data_location != onnx.TensorProto.EXTERNAL:
                continue
            entries = {e.key: e.value for e in tensor.external_data}
            problem = _external_problem(folder, entries)
            if problem:
                diagnostics.add(
                    "MPC-F003",
                    f"external data of tensor '{tensor.name}' {problem}",
                    remedy="keep weight files beside the model, in its own folder",
                    where=str(path),
                )


def _external_problem(folder: Path, entries: dict[str, str]) -> str | None:
    location = entries.get("location", "")
    pure, windows = PurePosixPath(location), PureWindowsPath(location)
    if (
        not location
        or pure.is_absolute()
        or windows.drive
        or windows.root
        or "\\" in location
        or ".." in pure.parts
    ):
        return f"lies outside the model's folder: '{location}'"
    target = folder / pure
    try:
        inside = target.resolve(strict=True).is_relative_to(folder)
    except (OSError, RuntimeError, ValueError):  # the last for a name with a zero byte
        return f"is missing: {location!r}"
    if not inside or any(
        p.is_symlink() for p in (target, *target.parents) if p.is_relative_to(folder) and p != folder
    ):
        return f"is reached through a link: '{location}'"
    if not target.is_file():
        return f"is not a file: '{location}'"
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", 0))
    except ValueError:
        return "has an offset or length that is not a number"
    if offset < 0 or length < 0 or offset + length > target.stat().st_size:
        return f"reaches beyond the end of '{location}'"
    return None


def _move_accidents(proto: onnx.ModelProto) -> None:
    """onnxruntime's optimiser writes this operation into the standard's domain (onnxruntime issue 20658)."""
    found = [node for node in proto.graph.node if node.op_type == "SimplifiedLayerNormalization"]
    for node in found:
        node.domain = "com.microsoft"
    if found and all(o.domain != "com.microsoft" for o in proto.opset_import):
        proto.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))


def _check_model(proto: onnx.ModelProto, path: Path) -> None:
    try:
        onnx.checker.check_model(str(path) if has_external(proto) else proto)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise _malformed(path, str(error)) from error


def has_external(proto: onnx.ModelProto) -> bool:
    """Whether any tensor lies in another file."""
    return any(t.data_location == onnx.TensorProto.EXTERNAL for t in _tensors(proto))


def _check_opset(proto: onnx.ModelProto) -> None:
    versions = {o.domain or "ai.onnx": o.version for o in proto.opset_import}
    version = versions.get("ai.onnx", 0)
    if not MIN_OPSET <= version <= MAX_OPSET:
        raise MpccError(
            "MPC-F004",
            f"the model uses opset {version}; supported are {MIN_OPSET} to {MAX_OPSET}",
            remedy=f"export with opset_version={min(max(version, MIN_OPSET), MAX_OPSET)}",
        )


def _check_types(graph: ir.Graph) -> None:
    """Inputs and outputs are tensors of types that an array can have."""
    with Diagnostics() as diagnostics:
        for what, values in (("input", graph.inputs), ("output", graph.outputs)):
            for value in values:
                if not isinstance(value.type, ir.TensorType | None):
                    found = "a sequence or an optional"
                elif value.dtype is not None and value.dtype.name not in _TYPES:
                    found = value.dtype.name.lower()
                else:
                    continue
                diagnostics.add(
                    "MPC-F011",
                    f"{what} '{value.name}' is {found}",
                    remedy="export it as float32, float64, float16, integers or truth values",
                )


def _bind_dimensions(graph: ir.Graph, dims: dict[str, int]) -> None:
    """Make every input's shape static. One error for each unbound dimension, and for each option that names
    none.
    """
    used: set[str] = set()
    with Diagnostics() as diagnostics:
        for value in graph.inputs:
            if value.name in graph.initializers:
                continue
            if value.shape is None or value.dtype is None:
                diagnostics.add(
                    "MPC-F005",
                    f"input '{value.name}' has no known rank or type",
                    remedy="export it with a tensor type",
                )
                continue
            sizes: list[int] = []
            for axis, dim in enumerate(value.shape):
                if isinstance(dim, int):
                    sizes.append(dim)
                    continue
                name = dim.value or f"{value.name}.{axis}"
                used.add(name)
                sizes.append(dims.get(name, 1))
                if name not in dims:
                    diagnostics.add(
                        "MPC-F006",
                        f"dimension '{name}' of input '{value.name}' has no size",
                        remedy=f"bind it with --dim {name}=N",
                    )
            value.shape = ir.Shape(sizes)
            if any(size <= 0 for size in sizes):
                diagnostics.add(
                    "MPC-F005",
                    f"input '{value.name}' has an empty or negative shape {sizes}",
                    remedy="bind positive sizes",
                )
            elif math.prod(sizes) > MAX_ELEMENTS:
                diagnostics.add(
                    "MPC-F012",
                    f"input '{value.name}' of shape {sizes} has more than {MAX_ELEMENTS:,} elements",
                    remedy="bind smaller sizes",
                )
        for name in sorted(set(dims) - used):
            diagnostics.add(
                "MPC-F007",
                f"--dim {name}: the model has no such dimension",
                remedy=f"its symbolic dimensions are: {', '.join(sorted(used)) or 'none'}",
            )
