"""Which reading of a region is right: the region and `Moe.evaluate` are run on random weights and routings.

Random weights of the same shapes, so that the decision depends on the graph's structure alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mpcc.ir.dialects.experts import CLAIMS, Moe
from mpcc.passes.recognise.experts.program import RegionProgram
from mpcc.passes.recognise.experts.readings import Reading
from mpcc.passes.recognise.experts.region import Region
from mpcc.passes.recognise.experts.weights import Constants
from mpcc.passes.recognise.graph import scalar, shape

TOLERANCE = 2e-5  # of the largest result; float32 keeps 1e-6, two readings differ by 1e-3 and more
_SAMPLE = 4  # tokens that every reading is tried on
_COVERING = 16  # runs at most in which each token prefers the next expert
_CERTAIN = 30.0  # a logit this far above the others leaves them a gate of 1e-13
_BLOCK = 100_003  # random numbers that weights repeat; prime, so that no two rows are alike


@dataclass(frozen=True)
class Match:
    """The right reading, and the shape of the tokens."""

    reading: Reading
    lead: tuple[int, ...]


@dataclass(frozen=True)
class Miss:
    """The reading that came nearest (None: there is none), and its error relative to the largest result."""

    nearest: Reading | None = None
    error: float = math.inf
    runs: Verification | None = None


@dataclass(frozen=True)
class _Run:
    """Logits [T, E], x [T, d], and the region's result [T, d]."""

    logits: np.ndarray
    x: np.ndarray
    result: np.ndarray

    def first(self, tokens: int) -> _Run:
        return _Run(self.logits[:tokens], self.x[:tokens], self.result[:tokens])

    def reached(self) -> np.ndarray:
        """Tokens whose result is more than rounding: [T]."""
        size = np.max(np.abs(self.result), axis=-1)
        return np.asarray(size > 1e-6 * np.max(size))


class Verification:
    """Runs of one region with random weights."""

    def __init__(self, region: Region, constants: Constants, program: RegionProgram) -> None:
        self._region, self._program = region, program
        self._generator = np.random.default_rng(0)
        self._experts = region.experts
        self._tokens = math.prod(shape(region.logits)[:-1])
        self._width = math.prod(shape(region.x)) // self._tokens
        self._weights = self._random_weights(constants)

    def decide(self, readings: list[Reading]) -> Match | Miss:
        """The reading that holds on every routing. Raises onnxruntime's errors if it cannot run."""
        best: tuple[float, Reading | None] = (math.inf, None)
        if not readings:
            return Miss(runs=self)
        run = self._run(self._logits(2.0))
        for lead, capacity, claims in self._capacities():
            sample = run if capacity else run.first(_SAMPLE)  # else tokens do not depend on each other
            for plain in readings:
                attributes = {**plain.attributes, "capacity": capacity, "claims": claims}
                reading = replace(plain, attributes=attributes)
                error = self._error(reading, sample, lead if capacity else (len(sample.x),))
                if error < best[0]:
                    best = (error, reading)
                if error < TOLERANCE and self._holds(reading, lead):
                    return Match(reading, lead)
        return Miss(best[1], best[0], self)

    def _holds(self, reading: Reading, lead: tuple[int, ...]) -> bool:
        routings = (self._logits(2.0), self._to_one(4.0), *self._covering(5.0, _COVERING))
        return all(self._error(reading, self._run(logits), lead) < TOLERANCE for logits in routings)

    def _error(self, reading: Reading, run: _Run, lead: tuple[int, ...]) -> float:
        """Relative to the largest result."""
        operands = [run.logits.reshape(*lead, -1), run.x.reshape(*lead, -1), *reading.operands(self._weights)]
        y = Moe.evaluate(operands, reading.attributes).reshape(run.x.shape)
        return float(np.max(np.abs(y - run.result)) / max(np.max(np.abs(run.result)), 1e-30))

    def _capacities(self) -> list[tuple[tuple[int, ...], int, str]]:
        """Shapes of tokens, capacities and claims that explain which tokens a full expert drops."""
        kept = self._run(self._to_one(_CERTAIN)).reached()
        leads = dict.fromkeys((shape(self._region.logits)[:-1], shape(self._region.x)[:-1], (self._tokens,)))
        if kept.all() or not kept.any():
            return [(shape(self._region.logits)[:-1], 0, CLAIMS[0])]
        capacities = {lead: int(kept.reshape(lead).sum(axis=-1).max()) for lead in leads}
        return [(lead, c, claims) for lead, c in capacities.items() for claims in CLAIMS]

    def alive(self) -> int:
        """How many experts give a result to some token that is sent to them."""
        alive = np.zeros(self._experts, dtype=bool)
        for logits in self._covering(_CERTAIN, self._experts):
            alive[np.argmax(logits, axis=-1)[self._run(logits).reached()]] = True
        return int(alive.sum())

    # ---- what is run

    def _run(self, logits: np.ndarray) -> _Run:
        x = self._generator.standard_normal((self._tokens, self._width))
        feeds = [logits.reshape(shape(self._region.logits)), x.reshape(shape(self._region.x))]
        return _Run(logits, x, self._program.run([*feeds, *self._weights]).reshape(x.shape))

    def _logits(self, scale: float) -> np.ndarray:
        return np.asarray(self._generator.normal(0.0, scale, (self._tokens, self._experts)))

    def _to_one(self, margin: float) -> np.ndarray:
        """All tokens prefer one expert."""
        preferred = np.arange(self._experts) == self._experts // 2
        return np.asarray(self._logits(1.0) + margin * preferred)

    def _covering(self, margin: float, runs: int) -> Iterator[np.ndarray]:
        """Each token prefers another expert, until every expert had its turn."""
        for run in range(min(math.ceil(self._experts / self._tokens), runs)):
            preferred = (np.arange(self._tokens) + run * self._tokens) % self._experts
            yield self._logits(0.5) + margin * (preferred[:, None] == np.arange(self._experts))

    def _random_weights(self, constants: Constants) -> list[np.ndarray]:
        """So that first layers give values of a deviation of 2, or of the limit that these are cut off at."""
        block = self._generator.standard_normal(_BLOCK)
        bounds = (
            abs(number)
            for node in self._region.nodes
            if node.op_type in ("Clip", "Min", "Max")
            for value in node.inputs
            if (number := scalar(value)) is not None and abs(number) < 1e6
        )
        spread = max((2.0, *bounds))
        arrays: list[np.ndarray] = []
        for use in constants.uses:
            scale = 0.5 if use.bias else self._width**-0.5 * (spread if use.level == 1 else 1.0)
            values = (scale * np.roll(block, 7919 * len(arrays))).astype(np.float32)
            arrays.append(np.resize(values, shape(use.value)))
        return arrays
