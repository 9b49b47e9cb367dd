"""What a lowering's protocols count on: values within a range. `check_ranges` tests it at run time."""

from __future__ import annotations

from dataclasses import dataclass, field

from mpcc.ir.program import Value
from mpcc.ir.types import Range


@dataclass(frozen=True)
class Reliance:
    """Every element of `share` must lie within `extent`, for the operation of these ONNX nodes."""

    share: Value
    extent: Range
    onnx_nodes: tuple[str, ...]


@dataclass
class Reliances:
    """All of a program's. `proven` are values that are within their range whenever what is checked is."""

    checked: list[Reliance] = field(default_factory=list)
    proven: set[Value] = field(default_factory=set)
