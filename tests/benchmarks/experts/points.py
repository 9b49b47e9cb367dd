"""The points of the scaling study, measured, and the file that keeps them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from mpcc.compiler.choose.experts.request import Capacity
from mpcc.passes.experts.layout import ALL, DISPATCH, OUTER
from tests.benchmarks import kept
from tests.benchmarks.experts.layer import Layer
from tests.benchmarks.machine import machine
from tests.benchmarks.rows import Material
from tests.benchmarks.run import secure_run

EXPERTS, TOKENS, WIDTHS, LAYOUTS = (8, 16, 32, 64, 128), (1, 16, 128), (256, 768), (ALL, OUTER, DISPATCH)
USUAL, OTHERS = 2.0, (1.25, 4.0, 8.0)  # capacities, as times an even load; the others for the most tokens
RELU = (8, 128, 768)  # experts, tokens and width of the one layer that is measured with ReLU too

# Peak of the compiler, which needs the most: fitted to this study's largest models.
BYTES, BYTES_PER_WEIGHT = 4e8, {ALL: 36, OUTER: 16, DISPATCH: 16}


@dataclass(frozen=True)
class Point:
    """A layer for T tokens under a layout; `factor` times an even load is what dispatch has slots for."""

    experts: int
    tokens: int
    width: int
    activation: str
    layout: str
    factor: float = 0.0

    @property
    def layer(self) -> Layer:
        return Layer(self.experts, self.width, self.activation)

    @property
    def slots(self) -> int:
        """Of each expert; 0 where nothing is dropped for want of any."""
        return Capacity(self.factor, relative=True).slots(self.tokens, 1, self.experts) if self.factor else 0

    @property
    def title(self) -> str:
        factor = f" {self.factor:g}x" if self.factor else ""
        sizes = f"E={self.experts} T={self.tokens} d={self.width}"
        return f"{sizes} {self.activation} {self.layout}{factor}"

    @property
    def options(self) -> tuple[str, ...]:
        """Of mpcc compile."""
        capacity = ("--moe-capacity", f"{self.factor:g}x") if self.factor else ()
        return ("--moe", self.layout, *capacity)

    @property
    def memory(self) -> float:
        """Bytes that measuring takes, about."""
        return BYTES + BYTES_PER_WEIGHT[self.layout] * self.layer.weights


@dataclass(frozen=True)
class Result:
    """Seconds are the median session's on loopback, and as predicted on the LAN; `error` is the largest as a
    share of the output's deviation, dropped tokens being expected to give 0; `dropped` is their share;
    `load` the machine's after the run.
    """

    point: Point
    layout: str
    rounds: int
    bytes_party0: int
    bytes_party1: int
    dealt_bytes: int
    setup_bytes: int
    seconds: float
    offline_seconds: float
    lan_seconds: float
    error: float
    dropped: float
    sessions: int
    load: float
    machine: str

    @property
    def megabytes(self) -> float:
        return (self.bytes_party0 + self.bytes_party1) / 1e6


def points(
    experts: Sequence[int], tokens: Sequence[int], widths: Sequence[int], layouts: Sequence[str]
) -> list[Point]:
    """Of the study or a part of it, the smallest models first; of equal numbers of slots, the usual one."""
    found: list[Point] = []
    for layer in sorted((Layer(e, d, "gelu") for e in experts for d in widths), key=lambda o: o.weights):
        for count in tokens:
            for activation in ("gelu", "relu"):
                if activation == "relu" and (layer.experts, count, layer.width) != RELU:
                    continue
                factors = (USUAL, *OTHERS) if count == max(TOKENS) and activation == "gelu" else (USUAL,)
                sizes = (layer.experts, count, layer.width, activation)
                ways = [Point(*sizes, layout) for layout in layouts if layout != DISPATCH]
                ways += [Point(*sizes, DISPATCH, factor) for factor in factors if DISPATCH in layouts]
                different: dict[tuple[str, int], Point] = {}
                for way in ways:
                    different.setdefault((way.layout, way.slots), way)
                found += different.values()
    return found


def measure(point: Point, material: Material, weights: Path, sessions: int, folder: Path) -> Result:
    """In an empty folder; `weights` is the model's."""
    report = secure_run(point.title, material, point.options, sessions, folder)
    session = onnxruntime.InferenceSession(material.model, providers=["CPUExecutionProvider"])
    with np.load(material.input) as inputs, np.load(folder / "y.npz") as outputs:
        x, secure = inputs["x"], outputs["y"]
    (plain,) = session.run(["y"], {"x": x})
    kept = point.layer.kept(x, point.slots or point.tokens, weights)
    online, offline = report["bytes"]["online"], report["bytes"]["offline"]
    chosen = json.loads((folder / "program/experts.json").read_text())["layers"][0]["chosen"]
    return Result(
        point,
        chosen["name"],
        report["rounds"],
        online["party0"],
        online["party1"],
        offline["dealer_to_party0"] + offline["dealer_to_party1"],
        offline["setup_party0_to_party1"],
        report["seconds"]["online"],
        report["seconds"]["offline"],
        report["predicted"]["seconds"]["online"],
        float(np.abs(secure - plain * kept[:, None]).max() / plain.std()),
        float(1 - kept.mean()),
        sessions,
        os.getloadavg()[0],
        machine(),
    )


class Results:
    """Finished points by what they are of, kept in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found = [Result(**{**entry, "point": Point(**entry["point"])}) for entry in kept.read(path)]
        self.by_point = {result.point: result for result in found}

    def add(self, result: Result) -> None:
        self.by_point[result.point] = result
        kept.write(self.path, [asdict(r) for r in self.by_point.values()])


def tell(result: Result) -> None:
    print(
        f"{result.point.title}: {result.rounds} rounds, {result.megabytes:.2f} MB, {result.seconds:.2f} s, "
        f"error {result.error:.2%} of the deviation, dropped {result.dropped:.1%}",
        file=sys.stderr,
        flush=True,
    )
