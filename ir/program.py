"""SSA programs: values, operations, and the builder that every pass uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from mpcc.ir.types import Type

Scalar = int | float | str | bool
Attribute = Scalar | tuple["Attribute", ...]
Attributes = dict[str, Attribute]


class Stage(StrEnum):
    TENSOR = "tensor"
    SHARE = "share"
    PARTY = "party"


@dataclass(frozen=True, eq=False)
class Value:
    """One SSA value. Identity is the object; the name is unique in its program, its text form is `%name`."""

    name: str
    type: Type


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation: its kind names an operation class of the stage's dialect."""

    kind: str
    operands: tuple[Value, ...]
    results: tuple[Value, ...]
    attributes: Attributes
    onnx_nodes: tuple[str, ...] = ()

    @property
    def result(self) -> Value:
        """The single result. Raises ValueError when there is not exactly one."""
        (value,) = self.results
        return value


@dataclass
class Program:
    """Operations in topological order. `outputs` maps graph output names to values.

    `constants` holds the arrays that `constant` and `weight` operations name: they are written to a side
    file, never into the text.
    """

    name: str
    stage: Stage
    operations: list[Operation] = field(default_factory=list)
    outputs: dict[str, Value] = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def producers(self) -> dict[Value, Operation]:
        """The operation that defines each value."""
        return {value: operation for operation in self.operations for value in operation.results}

    def users(self) -> dict[Value, list[Operation]]:
        """The operations that read each value, in program order."""
        result: dict[Value, list[Operation]] = {v: [] for o in self.operations for v in o.results}
        for operation in self.operations:
            for value in operation.operands:
                if operation not in result[value][-1:]:
                    result[value].append(operation)
        return result


class Builder:
    """Appends operations to a program; result types come from the operation class."""

    def __init__(self, name: str, stage: Stage) -> None:
        self.program = Program(name, stage)
        self._names: set[str] = set()
        self._next = 0

    def fresh_name(self, hint: str | None = None) -> str:
        if hint is not None and hint not in self._names:
            self._names.add(hint)
            return hint
        while str(self._next) in self._names:
            self._next += 1
        name = str(self._next)
        self._names.add(name)
        return name

    def append(
        self,
        kind: str,
        operands: Sequence[Value],
        attributes: Attributes,
        types: Iterable[Type],
        onnx_nodes: Sequence[str] = (),
        names: Sequence[str | None] = (),
    ) -> Operation:
        """Append with explicit result types (text parser, passes that have decided them)."""
        type_list = list(types)
        hints = list(names) + [None] * (len(type_list) - len(names))
        results = tuple(Value(self.fresh_name(h), t) for h, t in zip(hints, type_list, strict=True))
        operation = Operation(
            kind, tuple(operands), results, dict(attributes), tuple(dict.fromkeys(onnx_nodes))
        )
        self.program.operations.append(operation)
        return operation

    def emit(
        self,
        kind: str,
        *operands: Value,
        onnx_nodes: Sequence[str] = (),
        hint: str | None = None,
        **attributes: Attribute,
    ) -> Value:
        """Append one operation with inferred result type and return its single result.

        Raises ValueError when the operands or attributes do not fit the operation class.
        """
        from mpcc.ir.dialects import definition

        operation_class = definition(self.program.stage, kind)
        operation_class.check_attributes(attributes)
        types = operation_class.infer([o.type for o in operands], attributes)
        return self.append(kind, operands, attributes, types, onnx_nodes, [hint]).result
