"""Which replacements a model was trained with, and a warning about those that it was not.

An exporter states it in the model: `mpcc.distilled_for` among its metadata, names separated by commas.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.catalogue import candidates

KEY = "mpcc.distilled_for"
ARGUMENTS = np.linspace(-4.0, 4.0, 65)


def distilled_for(model: onnx.ModelProto | Path) -> set[str]:
    """The names of approximations that the model says it was trained with; a path must be that of a model."""
    proto = onnx.load(model, load_external_data=False) if isinstance(model, Path) else model
    stated = (entry.value for entry in proto.metadata_props if entry.key == KEY)
    return {name.strip() for value in stated for name in value.split(",") if name.strip()}


def warnings(uses: Mapping[str, Approximation | None], distilled: set[str]) -> list[str]:
    """A line for every replacement in use that the model was not trained with."""
    return [
        f"{function} is replaced by {approximation.name}, which is no approximation of it: for arguments "
        f"from {approximation.domain[0]:g} to {approximation.domain[1]:g} it differs by up to "
        f"{approximation.error:.2g}. Only a model that was trained with it keeps its accuracy; such a model "
        f"says {KEY} = {approximation.name} in its metadata"
        for function, approximation in uses.items()
        if approximation is not None
        and approximation.changes_model
        and not _trained_with(function, approximation, distilled)
    ]


def _trained_with(function: str, approximation: Approximation, distilled: set[str]) -> bool:
    """By its own name, or by that of a bundled one which means the same: 2quad, however it divides."""
    means = approximation.evaluate(ARGUMENTS)
    return approximation.name in distilled or any(
        np.allclose(other.evaluate(ARGUMENTS), means)
        for other in candidates(function)
        if other.name in distilled and other.changes_model
    )
