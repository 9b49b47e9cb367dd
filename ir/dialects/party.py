"""Party stage: share-stage operations, with the communicating ones split into `start` and `finish` around
exchanges.

A party program holds every share-stage operation whose protocol takes no exchange under its own name, and

  %p = start.less_than %x {..} : pending<less_than>     computes the protocol's first message
  exchange {index = 3, send = 120, receive = 96}         one tick: all messages under way, merged (bytes)
  %b = finish %p : bits<1, 0, 1x32>                      the protocol's result
"""

from __future__ import annotations

from mpcc.ir.dialects.base import OperationClass, expect_count, operations_of, register
from mpcc.ir.program import Attributes, Stage
from mpcc.ir.types import PendingType, Type

START = "start."


@register
class Exchange(OperationClass):
    """One tick: the merged messages of all started protocols. `send` and `receive` are bytes."""

    name = "exchange"
    stage = Stage.PARTY
    required = {"index": int, "send": int, "receive": int}

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        expect_count(operands, 0)
        return []


@register
class Finish(OperationClass):
    """The result of a started protocol."""

    name = "finish"
    stage = Stage.PARTY

    @classmethod
    def infer(cls, operands: list[Type], attributes: Attributes) -> list[Type]:
        raise ValueError("the type of a finished protocol is stated, not inferred")


def _mirror(name: str, share: type[OperationClass]) -> None:
    """Registers a share-stage operation at the party stage, and its `start` form."""
    body = {"name": name, "stage": Stage.PARTY, "__doc__": share.__doc__}
    register(type(share.__name__, (share,), body))

    def infer(cls: type, operands: list[Type], attributes: Attributes) -> list[Type]:
        share.infer(operands, attributes)
        return [PendingType(name)]

    start = {
        "name": START + name,
        "stage": Stage.PARTY,
        "infer": classmethod(infer),
        "__doc__": f"Starts {name}.",
    }
    register(type("Start" + share.__name__, (share,), start))


for _name, _class in operations_of(Stage.SHARE).items():
    _mirror(_name, _class)
