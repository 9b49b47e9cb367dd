"""What the points should be: exact counts from the smallest ones' declarations, and what seconds and memory
should grow with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.benchmarks.scaling.elements import Declared
from tests.benchmarks.scaling.encoder import CALIBRATION_INPUTS, Encoder
from tests.benchmarks.scaling.points import BASE, Result, Results

Value = Callable[[Result], float]


@dataclass(frozen=True)
class Derived:
    """Of a size."""

    rounds: int
    online_bytes: float
    dealt_bytes: float
    setup_bytes: float
    multiplications: float


@dataclass(frozen=True)
class Theory:
    """`first` and `base` are points of one and two layers that differ in nothing else: together they say what
    a further layer costs.
    """

    first: Result
    base: Result

    @classmethod
    def of(cls, results: Results) -> Theory | None:
        """None where the two points are not there."""
        first, base = (results.by_encoder.get(replace(BASE, layers=count)) for count in (1, BASE.layers))
        return cls(first, base) if first and base else None

    @property
    def layer(self) -> Declared:
        """A further layer's."""
        return self.base.declared.plus(self.first.declared, -1)

    def at(self, encoder: Encoder) -> Derived:
        more = encoder.layers - BASE.layers
        totals = self.base.declared.plus(self.layer, more).at(encoder)
        return Derived(
            rounds=self.base.rounds + more * (self.base.rounds - self.first.rounds),
            online_bytes=totals["party0"] + totals["party1"],
            dealt_bytes=totals["dealt"],
            setup_bytes=totals["setup"],
            multiplications=totals["multiplications"],
        )


@dataclass(frozen=True)
class Quantity:
    """Something measured, and what it consists of: its exponent should lie between theirs."""

    name: str
    value: Value
    parts: dict[str, Value]


def exponent(value: Value, points: Sequence[Result], sizes: Sequence[int]) -> float:
    """b where the value grows as size^b from the first of the points to the last; nan where one is 0."""
    first, last = value(points[0]), value(points[-1])
    return math.log(last / first) / math.log(sizes[-1] / sizes[0]) if first > 0 < last else math.nan


def _weights(result: Result) -> float:
    return 12.0 * result.encoder.layers * result.encoder.width**2


def _model_runs(result: Result) -> float:
    """Multiplications of the runs of the model that compiling takes: one and an evaluation for each
    calibration input, and one for each of a layer's four nonlinear operations with each of three kinds of
    noise.
    """
    e = result.encoder
    layer = 12.0 * e.tokens * e.width**2 + 2.0 * e.tokens**2 * e.width
    return (2 * CALIBRATION_INPUTS + 12 * e.layers) * e.layers * layer


def _layers(result: Result) -> float:
    return result.encoder.layers


def _live(result: Result) -> float:
    """The largest arrays that are alive at one time: of one layer, however many there are."""
    e = result.encoder
    return max(4 * e.tokens * e.width, e.heads * e.tokens**2)


def _linear_results(result: Result) -> float:
    """Party 1's shares of them, made before the input is known."""
    e = result.encoder
    return 9.0 * e.layers * e.tokens * e.width


_FIXED: dict[str, Value] = {"fixed": lambda result: 1.0}
_WEIGHTS: dict[str, Value] = {"weights": _weights}
_DEALT: dict[str, Value] = {"dealt bytes": lambda result: result.dealt_bytes}
_MULTIPLICATIONS: dict[str, Value] = {"multiplications": lambda result: result.multiplications}
_LIVE: dict[str, Value] = {"arrays of a layer": _live}
QUANTITIES = (
    Quantity("rounds", lambda r: r.rounds, {"layers": _layers}),
    Quantity(
        "online s",
        lambda r: r.online_seconds,
        {"rounds": lambda r: r.rounds, **_DEALT, **_MULTIPLICATIONS},
    ),
    Quantity("dealing s", lambda r: r.dealing_seconds, {**_FIXED, **_DEALT, **_MULTIPLICATIONS}),
    Quantity("set-up s", lambda r: r.setup_seconds, {**_FIXED, **_WEIGHTS, **_MULTIPLICATIONS}),
    Quantity(
        "compile s",
        lambda r: r.compile_seconds,
        {**_FIXED, "layers": _layers, "runs of the model": _model_runs},
    ),
    Quantity("server's memory", lambda r: r.memory.server, {**_FIXED, **_WEIGHTS, **_DEALT, **_LIVE}),
    Quantity(
        "client's memory",
        lambda r: r.memory.client,
        {**_FIXED, "linear results": _linear_results, **_DEALT, **_LIVE},
    ),
    Quantity("dealer's memory", lambda r: r.memory.dealer, {**_FIXED, **_LIVE}),
    Quantity("compiler's memory", lambda r: r.memory.compiler, {**_FIXED, **_WEIGHTS, **_LIVE}),
    Quantity("program folder", lambda r: r.folder_bytes, {"layers": _layers, **_WEIGHTS}),
)
