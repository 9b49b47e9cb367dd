"""The model's inputs: who owns them and which integers they may hold."""

from __future__ import annotations

import onnx_ir as ir

from mpcc.compiler.frontend.imported import InputSpec
from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import MACRO, TABLE_ROWS, VISIBILITY, attribute, is_float, shape, visibility

OWNER = "owner"

# Operations that pass integers on unchanged.
_CARRIES = {
    "Identity",
    "Cast",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Expand",
    "Slice",
    "Transpose",
    "Concat",
    "Gather",
}


def label_inputs(graph: ir.Graph, owners: dict[str, str]) -> None:
    """Inputs belong to party 1 unless `owners` says otherwise.

    A public input may be disclosed, which nothing here profits from: party 1 supplies it and it stays its
    private value.
    """
    for value in graph.inputs:
        value.meta[OWNER] = owners.get(str(value.name), "party1")
        value.meta[VISIBILITY] = Visibility("party0" if value.meta[OWNER] == "party0" else "party1")


def input_specs(graph: ir.Graph) -> tuple[InputSpec, ...]:
    """One specification for each graph input, in order."""
    specs: list[InputSpec] = []
    for value in graph.inputs:
        assert value.dtype is not None
        low, high = (None, None) if is_float(value) else _bounds(value)
        dtype = value.dtype.numpy().name
        specs.append(InputSpec(str(value.name), shape(value), dtype, low, high, str(value.meta[OWNER])))
    return tuple(specs)


def _bounds(value: ir.Value) -> tuple[int | None, int | None]:
    """0 .. rows - 1 for ids of a table; 0 .. 1 for integers that only serve as truth values of a mask."""
    rows = _table_rows(value, set())
    if rows is not None:
        return 0, rows - 1
    return (0, 1) if value.dtype == ir.DataType.BOOL or _is_mask(value) else (None, None)


def _table_rows(value: ir.Value, seen: set[int]) -> int | None:
    """Rows of the smallest table that the value's integers index directly."""
    found: list[int] = [int(value.meta[TABLE_ROWS])] if TABLE_ROWS in value.meta else []
    for use in value.uses():
        node = use.node
        if node.op_type == "Gather" and use.idx == 1:
            table = node.inputs[0]
            assert table is not None
            found.append(shape(table)[int(attribute(node, "axis", 0))])
        elif (
            node.op_type in _CARRIES
            and use.idx == 0
            and id(node) not in seen
            and not is_float(node.outputs[0])
        ):
            seen.add(id(node))
            if node.outputs[0].dtype != ir.DataType.BOOL:
                rows = _table_rows(node.outputs[0], seen)
                found.extend([] if rows is None else [rows])
    return min(found, default=None)


def _is_mask(value: ir.Value) -> bool:
    """Whether the value reaches a softmax's mask or a factor of a product."""
    pending, seen = [value], set[int]()
    while pending:
        for use in pending.pop().uses():
            if use.node.domain == MACRO or visibility(use.node.outputs[0]) is Visibility.SECRET:
                if (use.node.op_type, use.idx) == ("Softmax", 1) or use.node.op_type == "Mul":
                    return True
            elif id(use.node) not in seen:
                seen.add(id(use.node))
                pending.extend(use.node.outputs)
    return False
