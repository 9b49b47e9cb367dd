"""Which layer of the model an operation belongs to: from ONNX paths, else from the program's structure."""

from __future__ import annotations

import re

from mpcc.ir.program import Operation, Program

BEFORE, AFTER = "before the layers", "after the layers"
_NUMBERED = re.compile(r"(?:.*[._])?\d+")  # layer.0, h.11, blocks_3
_NORMS = ("layer_norm", "rms_norm")


def layers_by_node(program: Program) -> dict[str, str]:
    """The layer of each ONNX node that the tensor-stage program names.

    Exporters that write module paths (`/encoder/layer.0/query/MatMul`) give the layers their names. Otherwise
    a block starts at the norm before each softmax.
    """
    operations = [o for o in program.operations if o.onnx_nodes]
    labels = _by_path(operations) or _by_structure(operations)
    result: dict[str, str] = {}
    for operation, label in zip(operations, labels, strict=True):
        for node in operation.onnx_nodes:
            result.setdefault(node, label)
    return result


def layer_of(operation: Operation, layers: dict[str, str]) -> str:
    """The layer of an operation of any stage."""
    return next((layers[node] for node in operation.onnx_nodes if node in layers), BEFORE)


def _by_path(operations: list[Operation]) -> list[str]:
    """One label an operation; empty when no path has a numbered part."""
    paths = [_numbered_path(o) for o in operations]
    named = [p for p in paths if p]
    if not named:
        return []
    shared = 0  # leading parts that all have in common, the numbered one excepted
    while all(len(p) > shared + 1 and p[shared] == named[0][shared] for p in named):
        shared += 1
    last = max(i for i, p in enumerate(paths) if p)
    labels, current = [], BEFORE
    for index, path in enumerate(paths):
        current = "/".join(path[shared:]) if path else current if index <= last else AFTER
        labels.append(current)
    return labels


def _numbered_path(operation: Operation) -> tuple[str, ...]:
    for node in operation.onnx_nodes:
        parts = node.strip("/").split("/")[:-1]
        for index, part in enumerate(parts):
            if _NUMBERED.fullmatch(part):
                return tuple(parts[: index + 1])
    return ()


def _by_structure(operations: list[Operation]) -> list[str]:
    kinds = [o.kind for o in operations]
    norms = [i for i, kind in enumerate(kinds) if kind in _NORMS]
    routers = {o.onnx_nodes for o in operations if o.kind == "top_k"}
    starts: list[int] = []
    for index, operation in enumerate(operations):
        if operation.kind != "softmax" or operation.onnx_nodes in routers:
            continue
        before = [n for n in norms if n < index and (not starts or n > starts[-1])]
        starts.append(before[-1] if before else index)
    end = len(kinds)
    if len(starts) > 1:  # the last block has as many norms as the first
        inside = sum(starts[0] <= n < starts[1] for n in norms)
        later = [n for n in norms if n >= starts[-1]]
        end = later[inside] if len(later) > inside else end
    labels = []
    for index in range(len(kinds)):
        block = sum(start <= index for start in starts) - 1
        labels.append(BEFORE if block < 0 else AFTER if index >= end else f"block {block}")
    return labels
