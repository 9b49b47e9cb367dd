"""What lifting rules share: the program under construction and the values already lifted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from mpcc.ir.program import Attribute, Builder, Value
from mpcc.ir.types import Visibility
from mpcc.passes.recognise.graph import array, origin, visibility
from mpcc.passes.split_local import LOCAL_NAME, kind_of


class Unsupported(Exception):
    """The operation cannot be computed securely: the reason and what helps."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass
class Lifting:
    """Maps ONNX values to tensor-stage values. `names` records which ONNX tensor each value equals."""

    builder: Builder
    values: dict[int, Value] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    kept: list[ir.Value] = field(default_factory=list)

    def value(self, source: ir.Value | None) -> Value:
        """The lifted value; constants and inputs are emitted on first use."""
        if source is None:
            raise Unsupported("an operand is missing")
        if id(source) not in self.values:
            self.bind(source, self._source(source))
        return self.values[id(source)]

    def bind(self, source: ir.Value, value: Value) -> None:
        self.values[id(source)] = value
        self.kept.append(source)  # keeps the id from being used again

    def _source(self, source: ir.Value) -> Value:
        data = array(source)
        if data is not None:
            return self.constant(data, visibility(source), str(source.name))
        name = str(source.meta.get(LOCAL_NAME, source.name))
        assert source.shape is not None
        return self.builder.emit(
            "input",
            hint=safe_name(name),
            name=name,
            visibility=str(visibility(source)),
            dtype=kind_of(source),
            shape=tuple(source.shape.numpy()),
        )

    def constant(
        self, data: np.ndarray, who: Visibility = Visibility.PUBLIC, hint: str = "constant"
    ) -> Value:
        """A constant of the program; `hint` becomes its name where it is free."""
        name, count = safe_name(hint), 1
        constants = self.builder.program.constants
        while name in constants:
            count += 1
            name = f"{safe_name(hint)}.{count}"
        constants[name] = data
        dtype = "float" if data.dtype.kind == "f" else "bool" if data.dtype.kind == "b" else "int"
        return self.builder.emit(
            "constant",
            hint=name,
            name=name,
            visibility=str(who),
            dtype=dtype,
            shape=tuple(int(d) for d in data.shape),
        )

    def emit(
        self, node: ir.Node, kind: str, *operands: Value, final: bool = False, **attributes: Attribute
    ) -> Value:
        """One operation that came from `node`; `final` ones take the ONNX tensor's name as their hint."""
        hint = safe_name(str(node.outputs[0].name)) if final else None
        return self.builder.emit(kind, *operands, onnx_nodes=origin(node), hint=hint, **attributes)

    def reshape(self, node: ir.Node, value: Value, target: Sequence[int]) -> Value:
        shape = value.type.shape  # type: ignore[union-attr]
        if tuple(target) == shape:
            return value
        return self.emit(node, "reshape", value, shape=tuple(int(t) for t in target))


def safe_name(name: str) -> str:
    """An ONNX name as a name of the text form: letters, digits, `_` and `.`, not starting with a digit."""
    cleaned = re.sub(r"[^A-Za-z0-9_.]", "_", name).strip("_.") or "value"
    return f"n{cleaned}" if cleaned[0].isdigit() else cleaned
