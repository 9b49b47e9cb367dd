"""The type system read as an information-flow system: who may know a result, given who knows the operands."""

from __future__ import annotations

from collections.abc import Sequence

from mpcc.ir.dialects import OperationClass
from mpcc.ir.printer import print_type
from mpcc.ir.types import RingType, Sharing, TensorType, Type, Visibility

_KNOWN_TO = {
    Sharing.PRIVATE0: Visibility.PARTY0,
    Sharing.PRIVATE1: Visibility.PARTY1,
    Sharing.PUBLIC: Visibility.PUBLIC,
}

# Sharings in which somebody has seen a value under a mask, and what an operation must declare to make one.
_OPENED = {Sharing.MASKED: "masked", Sharing.MASKED_BITS: "masked", Sharing.SERVED: "server_masked"}


def known_to(value: Type) -> Visibility:
    """Who knows the value itself; a masked value is as secret as its share."""
    if isinstance(value, TensorType):
        return value.visibility
    return (
        _KNOWN_TO.get(value.sharing, Visibility.SECRET) if isinstance(value, RingType) else Visibility.SECRET
    )


def flow_problems(
    operation_class: type[OperationClass], operands: Sequence[Type], results: Sequence[Type]
) -> list[str]:
    """Illegal flows of one operation.

    A result is known to nobody who does not know every operand, unless the class opens a `reveal`. A masked
    or served value comes from a class that declares that opening, or from operands of that sharing (a view).
    """
    opens = getattr(operation_class, "opens", None)
    source = Visibility.PUBLIC
    for operand in operands:
        source = source.joined(known_to(operand))
    problems = []
    for result in results:
        known = known_to(result)
        if opens != "reveal" and source.joined(known) is not known:
            problems.append(f"{operation_class.name} turns a {source} value into {print_type(result)}")
        if isinstance(result, RingType) and result.sharing in _OPENED and opens != _OPENED[result.sharing]:
            sharings = {o.sharing if isinstance(o, RingType) else None for o in operands}
            if sharings != {result.sharing}:
                problems.append(f"{operation_class.name} yields {print_type(result)} but declares no opening")
    return problems
