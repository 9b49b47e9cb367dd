"""Range checks of a program (`--check-ranges`): the names under which it carries them, and their verdict.

Such a program has one output more than its graph: one integer a checked layer, 1 where a value left the range
that the program was compiled for. It is taken out before anyone sees the outputs.
"""

from __future__ import annotations

from collections.abc import MutableMapping

import numpy as np

from mpcc.ir.diagnostics import MpccError
from mpcc.ir.program import Attributes

OUTPUT = "mpcc.range_checks"  # the output's name
ATTRIBUTE = "range_checks"  # the program's attribute: the names of the checked layers, in the output's order
_SHOWN = 8


def checked_layers(attributes: Attributes) -> tuple[str, ...]:
    """The last ONNX node of each checked layer, in the order of computation; none without checks."""
    names = attributes.get(ATTRIBUTE, ())
    return tuple(map(str, names)) if isinstance(names, tuple) else ()


def take_exceeded(attributes: Attributes, outputs: MutableMapping[str, np.ndarray]) -> tuple[str, ...]:
    """Remove the checks from the outputs, if they are there; the layers that left their range."""
    verdict = outputs.pop(OUTPUT, None)
    if verdict is None:
        return ()
    return tuple(name for name, bit in zip(checked_layers(attributes), verdict, strict=True) if bit)


def refuse_exceeded(layers: tuple[str, ...]) -> None:
    """Raises MPC-R045 when a layer left its range: then the outputs may be wrong and must not be used."""
    if layers:
        more = f" and {len(layers) - _SHOWN} more" if len(layers) > _SHOWN else ""
        raise MpccError(
            "MPC-R045",
            "values left the range that the program was compiled for, so its outputs may be wrong",
            where=", ".join(layers[:_SHOWN]) + more,
            remedy="check the input of the first node named, the others may only follow from it; "
            "or compile again with inputs like these among those of --calibrate",
        )
