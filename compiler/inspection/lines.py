"""Operations as short lines: long lists are counted, ranges have four digits, ONNX nodes stand elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mpcc.compiler.inspection.alignment import brief
from mpcc.ir.printer import print_shape
from mpcc.ir.program import Operation
from mpcc.ir.types import Range, RingType, TensorType, Type

SHOWN_KINDS = 14
SOURCES = ("input", "constant", "client_input", "server_input", "one_hot_input", "weight")


def short_line(operation: Operation) -> str:
    """`%5 = shift %4 {bits = 13} : share<24, 16, 1x32> in [-1, 2]`."""
    results = ", ".join(f"%{v.name}" for v in operation.results)
    operands = ", ".join(f"%{v.name}" for v in operation.operands)
    attributes = ", ".join(f"{name} = {brief(value)}" for name, value in operation.attributes.items())
    return "".join(
        (
            f"{results} = " if results else "",
            operation.kind,
            f" {operands}" if operands else "",
            f" {{{attributes}}}" if attributes else "",
            f" : {', '.join(short_type(v.type) for v in operation.results)}" if results else "",
        )
    )


def short_type(value: Type) -> str:
    if isinstance(value, TensorType):
        return f"tensor<{value.visibility}, {value.dtype}, {print_shape(value.shape)}>{_range(value.range)}"
    if isinstance(value, RingType):
        shape = print_shape(value.shape)
        return f"{value.sharing}<{value.ring}, {value.fraction}, {shape}>{_range(value.range)}"
    return f"pending<{value.protocol}>"


def kinds_of(operations: Iterable[Operation]) -> str:
    """`3 shift, 2 weight, linear`, the most frequent first."""
    counts = Counter(o.kind for o in operations).most_common()
    shown = [kind if number == 1 else f"{number} {kind}" for kind, number in counts[:SHOWN_KINDS]]
    rest = sum(number for _, number in counts[SHOWN_KINDS:])
    return ", ".join([*shown, f"{rest} more"] if rest else shown)


def count(number: int, noun: str) -> str:
    """`1 operation`, `1,070 operations`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _range(value: Range | None) -> str:
    return "" if value is None else f" in {brief(value)}"
