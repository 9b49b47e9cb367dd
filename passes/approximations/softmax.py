"""Forms of softmax."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpcc.passes.approximations.base import Approximation
from mpcc.passes.approximations.exponentials import EXPONENTIAL, ExponentialProtocol, Limit
from mpcc.passes.approximations.functions import Array
from mpcc.passes.approximations.inverse import SEGMENTS, InversePower
from mpcc.passes.approximations.piecewise import Piecewise

UNBOUNDED = (-float("inf"), float("inf"))
CENTRES = ("max", "tournament", "mean")


@dataclass(frozen=True, kw_only=True)
class SoftmaxForm(Approximation):
    """Base. `reciprocal` computes 1 / sum; `divide_first` divides before the product with V instead of after.

    `evaluate_masked` is the meaning over the last axis; keep is 0 or 1.
    """

    reciprocal: InversePower = SEGMENTS
    divide_first: bool = False

    def evaluate(self, x: Array) -> Array:
        return self.evaluate_masked(x, np.ones(np.shape(x)))

    def evaluate_masked(self, x: Array, keep: Array) -> Array:
        raise NotImplementedError(self.kind)


@dataclass(frozen=True, kw_only=True)
class ExactSoftmax(SoftmaxForm):
    """exp(x - c) / sum exp(x - c), c the row's secret maximum, or with `centre` = mean its mean (a local sum;
    allowed where the calibrated x - mean stays within what the exponential takes). `tournament` finds the
    maximum by comparing pairs: more rounds, far less to prepare without a dealer.

    c cancels only where the exponential is exp, so other exponentials are taken around the maximum.
    """

    centre: str = "max"
    exponential: ExponentialProtocol | Limit | Piecewise = EXPONENTIAL

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.centre not in CENTRES:
            raise ValueError(f"{self.name}: the centre is one of {', '.join(CENTRES)}, not {self.centre!r}")
        if self.centre == "mean" and not isinstance(self.exponential, ExponentialProtocol):
            raise ValueError(f"{self.name}: around the mean, only the exponential protocol is exp")

    @property
    def kind(self) -> str:
        return "softmax"

    def evaluate_masked(self, x: Array, keep: Array) -> Array:
        kept = np.broadcast_to(keep, x.shape) != 0
        top = np.where(kept, x, -np.inf).max(axis=-1, keepdims=True)
        below = np.where(kept, x - np.where(np.isfinite(top), top, 0.0), -1e4)
        weights = np.where(kept, self.exponential.evaluate(below), 0.0)
        return _divided(weights)


@dataclass(frozen=True, kw_only=True)
class QuadSoftmax(SoftmaxForm):
    """(x + constant)^2 / sum (x + constant)^2: MPCFormer's 2Quad."""

    constant: float = 5.0

    @property
    def kind(self) -> str:
        return "replacement"

    def evaluate_masked(self, x: Array, keep: Array) -> Array:
        return _divided(np.square(x + self.constant) * (np.broadcast_to(keep, x.shape) != 0))


@dataclass(frozen=True, kw_only=True)
class ReluSoftmax(SoftmaxForm):
    """(relu(x) + epsilon / n) / (sum relu(x) + epsilon): MPCFormer's 2ReLU; n counts the kept positions."""

    epsilon: float = 1e-2

    @property
    def kind(self) -> str:
        return "replacement"

    def evaluate_masked(self, x: Array, keep: Array) -> Array:
        kept = np.broadcast_to(keep, x.shape) != 0
        count = np.maximum(kept.sum(axis=-1, keepdims=True), 1)
        return _divided(np.where(kept, np.maximum(x, 0.0) + self.epsilon / count, 0.0))


@dataclass(frozen=True, kw_only=True)
class OdeSoftmax(SoftmaxForm):
    """Euler steps of the softmax's differential equation: g <- g + (x/steps - <g, x/steps>) g, g = 1/n at
    first, x clipped to [low, high]. SHAFT (NDSS 2025).

    No step is longer than 1, so that weights keep their sign: high - low <= steps.
    """

    steps: int = 16
    low: float = -4.0
    high: float = 12.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high <= self.low + self.steps:
            raise ValueError(f"{self.name}: {self.steps} steps need low < high <= low + {self.steps}")

    @property
    def kind(self) -> str:
        return "differential equation"

    def evaluate_masked(self, x: Array, keep: Array) -> Array:
        kept = (np.broadcast_to(keep, x.shape) != 0).astype(np.float64)
        g = kept / np.maximum(kept.sum(axis=-1, keepdims=True), 1.0)
        step = np.clip(x, self.low, self.high) / self.steps
        for _ in range(self.steps):
            g = g + (step - (g * step).sum(axis=-1, keepdims=True)) * g
        return np.asarray(g)


def _divided(weights: Array) -> Array:
    total = weights.sum(axis=-1, keepdims=True)
    return np.asarray(weights / np.where(total == 0.0, 1.0, total))


EXACT = ExactSoftmax(
    name="exact",
    function="softmax",
    domain=UNBOUNDED,
    error=1e-4,
    source="own: exp over the sum of its row",
)
