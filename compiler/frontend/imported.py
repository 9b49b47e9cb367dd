"""What importing a model yields."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from mpcc.ir.program import Program
from mpcc.passes.recognise.graph import PublicConstant
from mpcc.passes.split_local import LocalOutput


@dataclass(frozen=True)
class InputSpec:
    """One graph input. `min` and `max` bound integers where the graph says so (token ids, masks), else they
    are None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str  # NumPy's name
    min: int | None
    max: int | None
    owner: str  # "party0", "party1" or "public"


@dataclass(frozen=True)
class OutputSpec:
    """One graph output. `reveal` says who learns it: "party0", "party1" or "both"."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    reveal: str


@dataclass(frozen=True)
class Recognised:
    """Counts of what was found, by kind, and warnings that name the nearest miss."""

    counts: dict[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Imported:
    """A model as a tensor-stage program.

    `local_model` is None when party 1 feeds its inputs unchanged; else every entry of `local_outputs` is an
    output of it. `tensor_names` maps names of values of `program` to the ONNX tensors they equal.
    """

    program: Program
    local_model: onnx.ModelProto | None
    local_outputs: tuple[LocalOutput, ...]
    recognised: Recognised
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    public_scalars: tuple[PublicConstant, ...]
    tensor_names: dict[str, str]
